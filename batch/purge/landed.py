"""Takes the rows of a conversation out of landed files."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from batch.backfill.guards import only_one
from batch.purge.target import Target
from stream import sql
from stream.core.schema import LANDING_SCHEMA
from stream.landing import merged
from stream.landing.landed_file import many_groups, remove_files, write_file
from stream.landing.micro_batch import (
    MERGED_ENDING,
    NAME,
    PLAIN_ENDING,
    MicroBatch,
    check_content,
    read_footer,
)
from stream.landing.zone import LandingZone
from stream.warehouse.fresh_files import landed_rows

_GROUP_ROWS = 20_000


@dataclass(frozen=True)
class LandedPurge:
    """Everything the rewriting of landed files needs; the caller is the only writer and keeps loads away.

    A rewritten file keeps its id, so a warehouse that has loaded it takes it for loaded, and its place in the
    lane. Killed in between, both are there until the next purge.

    Attributes:
        memory_limit: Of DuckDB, as it takes sizes.
    """

    landing: LandingZone
    memory_limit: str

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every writer of the landing zone away.

        Raises:
            AlreadyRunningError: A stream worker or a backfill runs.
        """
        with ExitStack() as stack:
            stack.enter_context(only_one(self.landing))
            for lane in self.landing.lanes():
                stack.enter_context(lane.writing())
            yield

    def fence(self) -> None:
        """Do nothing: the lanes are locked."""

    def rows(self, target: Target) -> int:
        """Count its rows."""
        return sum(self.rows_in_files(target).values())

    def rows_in_files(self, target: Target) -> dict[MicroBatch, int]:
        """Count its rows in every file that has some, files out of sight as well."""
        files = {str(each.path): each for each in self._files()}
        if not files:
            return {}
        with self._engine() as connection:
            found = connection.execute(
                f"select filename, count(*) from {landed_rows(files)} "
                f"where {target.is_row_of_it} group by all"
            ).fetchall()
        return {files[path]: rows for path, rows in found}

    def remove_rows(self, target: Target) -> int:
        """Rewrite every file that has rows of it; give how many rows went.

        Raises:
            MicroBatchCorruptError: A landed file is damaged; those before it are done.
            LandingFullError: No space; the file at hand is as it was.
        """
        found = self.rows_in_files(target)
        for micro_batch in found:
            self._rewrite(micro_batch, target)
        return sum(found.values())

    def _files(self) -> list[MicroBatch]:
        return [
            MicroBatch(path, lane.name, int(name["sequence"]))
            for lane in self.landing.lanes()
            for path in sorted(lane.folder.glob("date=*/*.parquet"))
            if (name := NAME.fullmatch(path.name))
        ]

    def _rewrite(self, micro_batch: MicroBatch, target: Target) -> None:
        check_content(micro_batch)
        named = replace(micro_batch, path=micro_batch.path.with_name(f"{micro_batch.stem}{PLAIN_ENDING}"))
        ops: list[str] = []

        def groups() -> Iterator[pa.Table]:
            for group in self._others(micro_batch, target):
                ops.extend(group["op"].to_pylist())
                yield group

        def metadata() -> dict[bytes, bytes]:
            footer = read_footer(micro_batch).with_rows(Counter(ops))
            replaced = merged.replaced_by(micro_batch)
            return footer.to_metadata() | (merged.to_metadata(replaced) if replaced else {})

        ending = MERGED_ENDING if micro_batch.is_merged else PLAIN_ENDING
        write_file(named, many_groups(groups(), metadata), ending=ending)
        remove_files([micro_batch])

    def _others(self, micro_batch: MicroBatch, target: Target) -> Iterator[pa.Table]:
        columns = ", ".join(map(sql.identifier, LANDING_SCHEMA.names))
        path = str(micro_batch.path)
        landed = landed_rows([path], old={path} if read_footer(micro_batch).is_old else ())
        with self._engine() as connection:
            reader = connection.execute(
                f"select {columns} from {landed} as landed "
                f"where not {target.is_row_of_it} order by file_row_number"
            ).to_arrow_reader(_GROUP_ROWS)
            for batch in reader:
                yield pa.Table.from_batches([batch]).cast(LANDING_SCHEMA)

    def _engine(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config={"memory_limit": self.memory_limit})
        connection.execute("set TimeZone = 'UTC'")
        return connection
