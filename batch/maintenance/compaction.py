"""Merges the landed files of closed days, beside whoever lands and reads.

Of each document only the last change is kept, deletes among them: they keep an older row of another lane from
coming back. The files replaced stay on disk for a while, out of sight, for readers that have begun with them.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from batch.backfill.plan import LANE_PREFIX
from batch.maintenance.last_changes import SCRATCH_PREFIX, last_changes, summed
from batch.maintenance.merges import LandedFile, days_worth_a_look, plan_merges
from stream.clock import Clock
from stream.disk import disk_errors
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.footer import Footer
from stream.landing.landed_file import remove_files
from stream.landing.micro_batch import MicroBatch, check_content, read_footer
from stream.landing.zone import MERGING_SUFFIX, Failpoint, LandingZone, Lane, no_failpoint
from stream.warehouse.warehouse import MAX_ROWS_PER_TRANSACTION, MAX_SIZE_PER_TRANSACTION_BYTES


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
            for folder in self.landing.root.parent.glob(f"{SCRATCH_PREFIX}*"):
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

    def _judged(self, micro_batch: MicroBatch) -> LandedFile[MicroBatch]:
        footer = read_footer(micro_batch)
        # A truncate marker says something of all older files, and a dead letter names its file.
        stays = (
            micro_batch.is_merged
            or footer.truncate_marker is not None
            or self.dead_letters.has_letters_of(micro_batch.id)
        )
        return LandedFile(micro_batch, footer.rows, micro_batch.path.stat().st_size, stays)

    def _merge_run(self, lane: Lane, run: Sequence[MicroBatch]) -> Merged:
        size_bytes = sum(map(check_content, run))
        footers = [read_footer(each) for each in run]
        operations: Counter[str] = Counter()

        def groups() -> Iterator[pa.Table]:
            for group in last_changes(
                [each.path for each in run],
                old={str(each.path) for each, footer in zip(run, footers, strict=True) if footer.is_old},
                scratch=self.landing.root.parent,
                memory_limit=self.memory_limit,
            ):
                operations.update(group["op"].to_pylist())
                yield group

        def footer(micro_batch_id: str) -> Footer:
            return summed(micro_batch_id, footers, operations, landed_at=self.clock())

        merged = lane.land_merged(run, groups(), footer)
        return Merged(len(run), 1, size_bytes - merged.path.stat().st_size)
