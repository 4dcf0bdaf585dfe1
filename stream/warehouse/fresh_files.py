"""Which landed files hold only documents that were never seen before, each once: the cheap ones to load.

A file is judged by the interval of its ids: zone maps answer whether a table has anything there. Ranges of
a backfill never overlap, so one file with known documents among many does not make all of them dear.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stream import sql
from stream.core.cluster_time import upgraded_sql
from stream.core.document_key import canonical_sql

_MAX_QUESTIONS = 32
"""Intervals that a table is asked about, however many files there are: each costs some milliseconds."""
_BOUND_LENGTH = 64
"""Characters of an id that say where an interval ends; ids can be millions long."""
_BEHIND_ALL = "\U0010ffff"

LandedRows = Callable[[Iterable[str]], str]
"""Returns what to select from to read some of the landed files, with the place of each row."""


@dataclass(frozen=True)
class FileIds:
    """What the ids of one file are like.

    Attributes:
        path: Of the file.
        first: Smallest id.
        last: Greatest id.
        is_plain: Whether each id is there once, and no row is a delete.
    """

    path: str
    first: str
    last: str
    is_plain: bool


def group_by_overlap(files: Iterable[FileIds]) -> list[list[FileIds]]:
    """Part files so that intervals of different groups have nothing in common; in the order of ids. Pure."""
    groups: list[list[FileIds]] = []
    reached = ""
    for file in sorted(files, key=lambda each: each.first):
        if groups and file.first <= reached:
            groups[-1].append(file)
        else:
            groups.append([file])
        reached = max(reached, file.last)
    return groups


def landed_rows(paths: Iterable[str], *, old: Collection[str] = ()) -> str:
    """Return what to select from to read landed files, with the place of each row.

    Args:
        paths: Of the files.
        old: Those of them whose footer says `is_old`; their rows are given as newer files have them.
    """
    named = list(paths)
    if not old:
        return _read(named)
    newer = [path for path in named if path not in old]
    older = (
        f"select * replace ("
        f"{canonical_sql('_id')} as _id, {upgraded_sql('source_version')} as source_version"
        f") from {_read(path for path in named if path in old)}"
    )
    if len(newer) == len(named):
        return _read(named)
    return f"({older})" if not newer else f"({older} union all by name select * from {_read(newer)})"


def _read(paths: Iterable[str]) -> str:
    files = sql.array(paths)
    return f"read_parquet({files}, filename = true, file_row_number = true, hive_partitioning = false)"


def rows_of_files(files: Mapping[str, bytes]) -> pa.Table:
    """Return the rows of landed files of the present form, with the places that `landed_rows` gives.

    Args:
        files: Their content by path.

    Raises:
        pa.ArrowInvalid: One is damaged.
    """
    tables = [pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False) for content in files.values()]
    names = [path for path, table in zip(files, tables, strict=True) for _ in range(table.num_rows)]
    numbers = [number for table in tables for number in range(table.num_rows)]
    rows = pa.concat_tables(tables).combine_chunks()
    return rows.append_column("filename", pa.array(names, pa.string())).append_column(
        "file_row_number", pa.array(numbers, pa.int64())
    )


def fresh_files(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[str], *, rows: LandedRows = landed_rows
) -> set[str]:
    """Return the files all of whose rows can simply be inserted; the others' ids are not among theirs."""
    if not paths:
        return set()
    found = connection.execute(
        f"""
        select
            filename, min(_id), max(_id),
            count(*) = count(distinct _id) and count(*) = count(*) filter (op = 'upsert')
        from {rows(paths)} as landed
        group by filename
        """
    ).fetchall()
    groups = [
        group
        for group in group_by_overlap(FileIds(*row) for row in found)
        if all(file.is_plain for file in group) and (len(group) == 1 or _is_distinct(connection, group, rows))
    ]
    neighbours = bundled(groups, _MAX_QUESTIONS)
    known = _known(connection, neighbours)
    return {file.path for number, files in enumerate(neighbours) if number not in known for file in files}


def bundled(groups: Sequence[list[FileIds]], bundles: int) -> list[list[FileIds]]:
    """Put neighbouring groups together, so that at most so many are left; in the order of ids. Pure."""
    size = -(-len(groups) // bundles) or 1
    rest = iter(groups)
    taken = iter(lambda: [file for group in islice(rest, size) for file in group], [])
    return list(taken)


def _is_distinct(connection: duckdb.DuckDBPyConnection, group: Sequence[FileIds], rows: LandedRows) -> bool:
    """Whether no id is in two of the files."""
    query = f"select count(*) = count(distinct _id) from {rows(file.path for file in group)}"
    return connection.execute(query).fetchall() == [(True,)]


def _known(connection: duckdb.DuckDBPyConnection, bundles: Sequence[Sequence[FileIds]]) -> set[int]:
    """Return the numbers of the bundles in whose interval there is a row or a tombstone already."""
    if not bundles:
        return set()
    questions = []
    for number, files in enumerate(bundles):
        last = max(file.last for file in files)[:_BOUND_LENGTH] + _BEHIND_ALL
        first = sql.literal(files[0].first[:_BOUND_LENGTH])
        interval = f"between {first} and {sql.literal(last)}"
        questions.append(
            f"""
            select {number}
            where exists (select 1 from raw.conversations where _id {interval})
                or exists (select 1 from raw.tombstones where _id {interval})
            """
        )
    return {number for (number,) in connection.execute(" union all ".join(questions)).fetchall()}
