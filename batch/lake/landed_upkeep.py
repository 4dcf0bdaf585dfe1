"""Keeps the landed objects of a bucket few: small ones are merged, in the tables, too."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from batch.lake.catalog import Table
from batch.lake.landed import TABLE, registered, registered_at
from batch.lake.landed_changed import replace_merged
from batch.lake.load import LakeLoader
from batch.lake.position import is_all_loaded, move_position
from batch.maintenance.object_merges import ObjectCompaction
from stream.errors import WarehouseBusyError
from stream.landing.fenced import LandedObject

_RUNS_A_COMMIT = 8
"""Loads wait while so many objects are written, not longer."""


@dataclass(frozen=True)
class LandedUpkeep:
    """Everything that merging needs; the caller has the pipeline lock.

    A run is merged under the loader's lock, when all that is registered is loaded. First the merged object is
    written, then the table is told, in one commit that has the one and not the others, then, a while later,
    the others are removed. Killed anywhere in between, the next run goes on; nothing is loaded twice.

    Attributes:
        grace: How long replaced objects stay, for readers that have begun with them.
        lease_timeout_seconds: How long to wait for a loader.
    """

    loader: LakeLoader
    compaction: ObjectCompaction
    grace: timedelta
    lease_timeout_seconds: float

    def run(self) -> list[str]:
        """Do all of it; return what was done, in a few words each.

        Raises:
            MicroBatchCorruptError: A landed object is damaged.
            StorageUnavailableError: The object store does not answer.
            StepFailedError: Spark or DuckDB refused.
        """
        landed = self.loader.catalog.table(TABLE)
        if landed is None:
            return []
        replaced = removed = 0
        self.loader.spark.wait_for_executors()
        try:
            plan = self.compaction.plan(registered(landed).keys())
            for runs in _chunks(plan):
                replaced += self._merge(runs)
            removed = self._remove_replaced()
        except WarehouseBusyError:
            return [*_said(replaced, removed), "a load goes on, the rest is left for the next run"]
        return _said(replaced, removed)

    def _merge(self, runs: list[list[LandedObject]]) -> int:
        with self.loader.lock(self.lease_timeout_seconds):
            if not is_all_loaded(self.loader):
                return 0
            sizes = registered(self._landed())
            for run in runs:
                # Else a purge has written one of them again since it was listed.
                if all(sizes.get(each.name) == each.size_bytes for each in run):
                    self.compaction.merge(run)
            replaced = replace_merged(self.loader.catalog, self.loader.landed)
            self.compaction.at_failpoint("merge_registered")
            if replaced:
                move_position(self.loader)
            return replaced

    def _remove_replaced(self) -> int:
        lanes = self.compaction.landing.lanes()
        found = [each for lane in lanes for each in lane.replacements()]
        if not found:
            return 0
        with self.loader.lock(self.lease_timeout_seconds):
            times = registered_at(self._landed())
            before = datetime.now(tz=UTC) - self.grace
            return sum(
                self.compaction.remove(replaced)
                for merged, replaced in found
                if merged.name in times and times[merged.name] <= before
            )

    def _landed(self) -> Table:
        return self.loader.catalog.commit(TABLE, lambda table: table)


def _chunks(plan: list[list[LandedObject]]) -> Iterator[list[list[LandedObject]]]:
    """Part a plan; one without runs has a part, too, as a merge that was killed is to be ended."""
    yield plan[:_RUNS_A_COMMIT]
    for start in range(_RUNS_A_COMMIT, len(plan), _RUNS_A_COMMIT):
        yield plan[start : start + _RUNS_A_COMMIT]


def _said(replaced: int, removed: int) -> list[str]:
    counts = {"landed objects merged": replaced, "merged objects removed": removed}
    return [f"{number:,} {what}" for what, number in counts.items() if number]
