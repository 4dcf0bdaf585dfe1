"""Which landed files hold only documents that were never seen before, each once: the cheap ones to load.

A file is judged by the interval of its ids: zone maps answer whether a table has anything there. Ranges of
a backfill never overlap, so one file with known documents among many does not make all of them dear.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb

from stream import sql


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


def landed_rows(paths: Iterable[str]) -> str:
    """Give the table function that reads landed files, with the place of each row."""
    files = sql.array(paths)
    return f"read_parquet({files}, filename = true, file_row_number = true, hive_partitioning = false)"


def fresh_files(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> set[str]:
    """Give the files all of whose rows can simply be inserted; the others' ids are not among theirs."""
    if not paths:
        return set()
    found = connection.execute(
        f"""
        select
            filename, min(_id), max(_id),
            count(*) = count(distinct _id) and count(*) = count(*) filter (op = 'upsert')
        from {landed_rows(paths)} as landed
        group by filename
        """
    ).fetchall()
    groups = [
        group
        for group in group_by_overlap(FileIds(*row) for row in found)
        if all(file.is_plain for file in group) and (len(group) == 1 or _is_distinct(connection, group))
    ]
    known = _known_groups(connection, groups)
    return {file.path for number, group in enumerate(groups) if number not in known for file in group}


def _is_distinct(connection: duckdb.DuckDBPyConnection, group: Sequence[FileIds]) -> bool:
    """Whether no id is in two of the files."""
    query = f"select count(*) = count(distinct _id) from {landed_rows(file.path for file in group)}"
    return connection.execute(query).fetchall() == [(True,)]


def _known_groups(connection: duckdb.DuckDBPyConnection, groups: Sequence[Sequence[FileIds]]) -> set[int]:
    """Give the numbers of the groups in whose interval there is a row or a tombstone already."""
    if not groups:
        return set()
    questions = []
    for number, group in enumerate(groups):
        last = max(file.last for file in group)
        interval = f"between {sql.literal(group[0].first)} and {sql.literal(last)}"
        questions.append(
            f"""
            select {number}
            where exists (select 1 from raw.conversations where _id {interval})
                or exists (select 1 from raw.tombstones where _id {interval})
            """
        )
    return {number for (number,) in connection.execute(" union all ".join(questions)).fetchall()}
