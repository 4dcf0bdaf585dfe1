"""Several landed files as one: of each document the last change, deletes among them. Streamed, by DuckDB."""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stream import sql
from stream.core.schema import LANDING_SCHEMA
from stream.disk import disk_errors
from stream.errors import LandingFullError, StepFailedError
from stream.landing.footer import Footer, make_footer
from stream.warehouse.database import interruptible_queries
from stream.warehouse.fresh_files import landed_rows

SCRATCH_PREFIX = ".compaction-"
_GROUP_ROWS = 20_000
_GROUP_SIZE_BYTES = 24_000_000


def last_changes(
    paths: Sequence[Path], *, old: Collection[str], scratch: Path, memory_limit: str
) -> Iterator[pa.Table]:
    """Return the last change of each document, in the order of ids, in groups that fit into memory.

    Args:
        paths: Files, in their order.
        old: Those whose footer says `is_old`.
        scratch: Folder that DuckDB spills into; nothing is left behind.
        memory_limit: Of DuckDB, as it takes sizes.

    Raises:
        LandingFullError: No space.
        StepFailedError: DuckDB gave up.
    """
    with _engine(scratch, memory_limit) as connection:
        names = sql.rows((str(each), position) for position, each in enumerate(paths))
        landed = landed_rows(map(str, paths), old=old)
        # Narrow columns first: the wide ones of outdated rows are never read.
        connection.execute(
            f"""
            create temp table chosen as
            select landed.filename, landed.file_row_number
            from {landed} as landed
            inner join (values {names}) as files (filename, position) using (filename)
            qualify row_number() over (
                partition by landed._id
                order by landed.source_version desc, files.position desc, landed.file_row_number desc
            ) = 1
            """
        )
        columns = ", ".join(f"landed.{sql.identifier(name)}" for name in LANDING_SCHEMA.names)
        reader = connection.execute(
            f"""
            select {columns}
            from {landed} as landed
            inner join chosen using (filename, file_row_number)
            order by landed._id
            """
        ).to_arrow_reader(_rows_per_group(paths))
        for batch in reader:
            yield pa.Table.from_batches([batch]).cast(LANDING_SCHEMA)


def summed(
    micro_batch_id: str, members: Sequence[Footer], operations: Counter[str], *, landed_at: datetime
) -> Footer:
    """Sum the members up: rows as they are now, everything else as it was for all of them."""
    return make_footer(
        micro_batch_id,
        operations,
        versions=[time for each in members for time in (each.first_cluster_time, each.last_cluster_time)],
        landed_at=landed_at,
        dead_letters=sum(each.dead_letters for each in members),
        position=members[-1].position,
    )


@contextmanager
def _engine(scratch: Path, memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        disk_errors(scratch),
        tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=scratch) as folder,
    ):
        try:
            with duckdb.connect(
                config={"memory_limit": memory_limit, "temp_directory": folder}
            ) as connection:
                connection.execute("set TimeZone = 'UTC'")
                with interruptible_queries(connection):
                    yield connection
        except duckdb.Error as error:
            raise _explained(error, scratch) from error


def _rows_per_group(paths: Sequence[Path]) -> int:
    """Return how many rows a row group may have to fit into memory: as many as the schema usually."""
    rows = size_bytes = 0
    for each in paths:
        metadata = pq.read_metadata(each)
        rows += metadata.num_rows
        size_bytes += sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    return max(1, min(_GROUP_ROWS, _GROUP_SIZE_BYTES * rows // max(1, size_bytes)))


def _explained(error: duckdb.Error, folder: Path) -> LandingFullError | StepFailedError:
    text = str(error).splitlines()[0]
    if "no space left" in text.lower():
        return LandingFullError(
            f"cannot merge files in `{folder}`: {text}",
            hint="free some space; nothing is lost, and the next run tries again",
        )
    return StepFailedError(
        f"cannot merge files in `{folder}`: {text}",
        hint="nothing is lost, and the next run tries again; if memory was short, raise DUCKDB_MEMORY_LIMIT",
    )
