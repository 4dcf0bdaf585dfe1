"""Merges the landed files of closed days, beside whoever lands and reads.

Of each document only the last change is kept, deletes among them: they keep an older row of another lane from
coming back. The files replaced stay on disk for a while, out of sight, for readers that have begun with them.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from batch.backfill.plan import LANE_PREFIX
from batch.maintenance.merges import LandedFile, days_worth_a_look, plan_merges
from stream import sql
from stream.clock import Clock
from stream.core.schema import LANDING_SCHEMA
from stream.disk import disk_errors
from stream.errors import LandingFullError, StepFailedError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.footer import Footer, make_footer
from stream.landing.landed_file import remove_files
from stream.landing.micro_batch import MicroBatch, check_content, read_footer
from stream.landing.zone import MERGING_SUFFIX, Failpoint, LandingZone, Lane, no_failpoint
from stream.warehouse.database import interruptible_queries
from stream.warehouse.fresh_files import landed_rows
from stream.warehouse.warehouse import MAX_ROWS_PER_TRANSACTION, MAX_SIZE_PER_TRANSACTION_BYTES

_GROUP_ROWS = 20_000
_GROUP_SIZE_BYTES = 24_000_000
_SCRATCH_PREFIX = ".compaction-"


@dataclass(frozen=True)
class Merged:
    """What was merged.

    Attributes:
        files: Files replaced.
        into: Files that replace them.
        size_bytes: Size of the former less that of the latter.
    """

    files: int = 0
    into: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Merged") -> "Merged":
        """Add two up."""
        return Merged(self.files + other.files, self.into + other.into, self.size_bytes + other.size_bytes)


@dataclass(frozen=True)
class Compaction:
    """Everything merging needs; the caller has the pipeline lock, so only one goes on at a time.

    Attributes:
        lane: Gives a lane by name; tests crash at its failpoints.
        memory_limit: Of DuckDB, as it takes sizes.
        grace: How long replaced files stay.
        at_failpoint: Tests crash the process at its failpoints.
    """

    landing: LandingZone
    dead_letters: DeadLetterStore
    clock: Clock
    memory_limit: str
    grace: timedelta
    at_failpoint: Failpoint = no_failpoint

    def merge(self) -> Merged:
        """Merge what there is to merge, in all lanes but those of backfills, whose files are large.

        Raises:
            MicroBatchCorruptError: A landed file is damaged; what was merged before stays merged.
            LandingFullError: No space.
            StepFailedError: DuckDB gave up.
        """
        names = [lane.name for lane in self.landing.lanes() if not lane.name.startswith(LANE_PREFIX)]
        lanes = [self.landing.lane(name, at_failpoint=self.at_failpoint) for name in names]
        self._clear_away(lanes)
        return sum((self._merge_lane(lane) for lane in lanes), start=Merged())

    def remove_replaced(self, *, is_overdue: Callable[[datetime], bool] | None = None) -> int:
        """Remove files replaced long enough ago; give their number. The caller holds the warehouse's lease.

        So no load is under way that has listed them.

        Args:
            is_overdue: Takes the time of the merge; without, the time of grace must have passed.

        Raises:
            MicroBatchCorruptError: A merged file is damaged, so what it replaces stays.
        """
        is_overdue = is_overdue or (lambda merged_at: self.clock() - merged_at >= self.grace)
        removed = 0
        for lane in self.landing.lanes():
            for merged, replaced in lane.replacements():
                if is_overdue(read_footer(merged).landed_at):
                    check_content(merged)
                    remove_files(replaced, at_failpoint=self.at_failpoint)
                    removed += len(replaced)
        return removed

    def _clear_away(self, lanes: Sequence[Lane]) -> None:
        """Remove what a killed merge has left half-written."""
        with disk_errors(self.landing.root):
            for lane in lanes:
                for left_over in lane.folder.glob(f"date=*/.*{MERGING_SUFFIX}"):
                    left_over.unlink(missing_ok=True)
            for folder in self.landing.root.parent.glob(f"{_SCRATCH_PREFIX}*"):
                shutil.rmtree(folder)

    def _merge_lane(self, lane: Lane) -> Merged:
        total = Merged()
        for day in days_worth_a_look(lane.micro_batches(), today=self.clock().date()):
            runs = plan_merges(
                map(self._judged, day),
                max_rows=MAX_ROWS_PER_TRANSACTION,
                max_size_bytes=MAX_SIZE_PER_TRANSACTION_BYTES,
            )
            for run in runs:
                total += self._merge_run(lane, run)
        return total

    def _judged(self, micro_batch: MicroBatch) -> LandedFile:
        footer = read_footer(micro_batch)
        # A truncate marker says something of all older files, and a dead letter names its file.
        stays = (
            micro_batch.is_merged
            or footer.truncate_marker is not None
            or self.dead_letters.has_letters_of(micro_batch)
        )
        return LandedFile(micro_batch, footer.rows, micro_batch.path.stat().st_size, stays)

    def _merge_run(self, lane: Lane, run: Sequence[MicroBatch]) -> Merged:
        size_bytes = sum(map(check_content, run))
        footers = [read_footer(each) for each in run]
        counted: list[pa.Table] = []

        def groups() -> Iterator[pa.Table]:
            for group in self._last_changes(run, footers):
                counted.append(group.select(["op"]))
                yield group

        def footer(micro_batch_id: str) -> Footer:
            return _footer(micro_batch_id, footers, counted, merged_at=self.clock())

        merged = lane.land_merged(run, groups(), footer)
        return Merged(len(run), 1, size_bytes - merged.path.stat().st_size)

    def _last_changes(self, run: Sequence[MicroBatch], footers: Sequence[Footer]) -> Iterator[pa.Table]:
        """Return the last change of each document, in the order of ids, in groups."""
        with self._engine() as connection:
            names = sql.rows((str(each.path), position) for position, each in enumerate(run))
            old = {str(each.path) for each, footer in zip(run, footers, strict=True) if footer.is_old}
            landed = landed_rows((str(each.path) for each in run), old=old)
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
            ).to_arrow_reader(_rows_per_group(run))
            for batch in reader:
                yield pa.Table.from_batches([batch]).cast(LANDING_SCHEMA)

    @contextmanager
    def _engine(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a DuckDB of its own, that spills beside the landing zone and leaves nothing behind."""
        with (
            disk_errors(self.landing.root),
            tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=self.landing.root.parent) as folder,
        ):
            try:
                with duckdb.connect(
                    config={"memory_limit": self.memory_limit, "temp_directory": folder}
                ) as connection:
                    connection.execute("set TimeZone = 'UTC'")
                    with interruptible_queries(connection):
                        yield connection
            except duckdb.Error as error:
                raise _explained(error, self.landing.root) from error


def _rows_per_group(run: Sequence[MicroBatch]) -> int:
    """Return how many rows a row group may have to fit into memory: as many as the schema usually."""
    rows = size_bytes = 0
    for each in run:
        metadata = pq.read_metadata(each.path)
        rows += metadata.num_rows
        size_bytes += sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    return max(1, min(_GROUP_ROWS, _GROUP_SIZE_BYTES * rows // max(1, size_bytes)))


def _footer(
    micro_batch_id: str, members: Sequence[Footer], written: Sequence[pa.Table], *, merged_at: datetime
) -> Footer:
    """Sum the members up: rows as they are now, everything else as it was for all of them."""
    return make_footer(
        micro_batch_id,
        Counter(op for table in written for op in table["op"].to_pylist()),
        versions=[time for each in members for time in (each.first_cluster_time, each.last_cluster_time)],
        landed_at=merged_at,
        dead_letters=sum(each.dead_letters for each in members),
        position=members[-1].position,
    )


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
