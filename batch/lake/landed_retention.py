"""Removes landed files or objects that are old and loaded; `raw.documents` alone has their rows then.

    1  the low-water mark rises (`stream.landing.retention`): from now on a rebuild would be incomplete
    2  one commit takes them out of `raw.landed`
    3  they are removed once no snapshot of `raw.landed` names them: when those before 2 have expired

Killed anywhere in between, the next run goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, groupby

from batch.backfill.plan import PlanStore
from batch.lake.catalog import catalog_errors
from batch.lake.landed import TABLE, named, registered
from batch.lake.landed_changed import leave
from batch.lake.landed_files import LandedFile, first_number
from batch.lake.load import LakeLoader
from batch.lake.notes import noted_between
from batch.lake.position import is_all_loaded, move_position
from stream.clock import Clock
from stream.errors import WarehouseBusyError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.landed_file import Failpoint, no_failpoint
from stream.landing.places import AnyZone
from stream.landing.retention import raise_low_water_mark


@dataclass(frozen=True)
class LandedRetention:
    """Everything that removing old files needs; the caller has the pipeline lock.

    Attributes:
        landing: What the loader loads.
        days: How many whole days (UTC) are kept beside today.
        lease_timeout_seconds: How long to wait for a loader.
        at_failpoint: Tests crash the process there.
    """

    loader: LakeLoader
    landing: AnyZone
    dead_letters: DeadLetterStore
    clock: Clock
    days: int
    lease_timeout_seconds: float
    at_failpoint: Failpoint = no_failpoint

    def run(self) -> list[str]:
        """Do what can be done of it; return what was done, in a few words each.

        Left where they are: files not loaded, those with dead letters in the queue, the newest of each lane,
        those of an unfinished backfill, and truncate markers, which older rows must not outlive.

        Raises:
            MicroBatchCorruptError: A landed file is damaged.
            StorageUnavailableError: The object store does not answer.
            LandingFullError: No space for the mark; nothing is removed.
            LandingNotWritableError: A folder cannot be written.
            CatalogUnreachableError: The catalog does not answer.
            StepFailedError: Spark refused.
        """
        with catalog_errors():
            old = self._old()
        if not old:
            return []
        self.loader.spark.wait_for_executors()
        try:
            with self.loader.lock(self.lease_timeout_seconds), catalog_errors():
                if not is_all_loaded(self.loader):
                    return []
                raise_low_water_mark(self.landing.state, before=max(old.values()) + timedelta(days=1))
                self.at_failpoint("mark_raised")
                left = leave(self.loader.catalog, {each.id for each in old})
                self.at_failpoint("table_left")
                if left:
                    move_position(self.loader)
                removed = self._remove(old)
        except WarehouseBusyError:
            return ["a load goes on, old landed files are left for the next run"]
        counts = {"old landed files taken out of `raw.landed`": left, "old landed files removed": removed}
        return [f"{number:,} {what}" for what, number in counts.items() if number]

    def _remove(self, old: Iterable[LandedFile]) -> int:
        landed = self.loader.catalog.table(TABLE)
        kept = named(landed) if landed else set()
        gone = [each for each in old if each.id not in kept]
        self.loader.landed.remove(gone, self.at_failpoint)
        return len(gone)

    def _old(self) -> dict[LandedFile, date]:
        """Return what may go and when (UTC) it landed, but for what has left the table and waits."""
        landed = self.loader.catalog.table(TABLE)
        if landed is None:
            return {}
        known = registered(landed).keys()
        files = self.loader.landed.files()
        waiting = named(landed) - known if any(each.id not in known for each in files) else set()
        plan = PlanStore(self.landing).unfinished()
        # What a merged file replaces would come back into sight without it.
        needed = {
            (merged.lane, merged.sequence)
            for lane in self.landing.lanes()
            for merged, _ in lane.replacements()
        }
        old: dict[LandedFile, date] = {}
        for lane, found in groupby(files, key=lambda each: each.lane):
            *others, _ = sorted(found, key=lambda each: each.sequence)
            if plan is None or plan.lane != lane:
                free = [
                    each
                    for each in others
                    if each.id not in waiting and (each.lane, each.sequence) not in needed
                ]
                old |= self._old_in(self._loaded(free))
        return old

    def _loaded(self, files: Sequence[LandedFile]) -> list[LandedFile]:
        """Return those of a lane's files that are noted as loaded; of a merged one, all it replaces."""
        if not files:
            return []
        noted = noted_between(self.loader.catalog, files[0].lane, first_number(files[0]), files[-1].sequence)
        return [
            each
            for each in files
            if each.id in noted or ((replaced := self.loader.landed.replaced_by(each)) and replaced <= noted)
        ]

    def _old_in(self, files: Sequence[LandedFile]) -> Iterator[tuple[LandedFile, date]]:
        """Look into the footers of a lane's files, in order, up to the first that is young."""
        before = self.clock().date() - timedelta(days=self.days)
        footers = self.loader.landed.footers
        # The first by itself: mostly it is young, and in a bucket others are asked for some hundreds at once.
        for each, footer in zip(files, chain(footers(files[:1]), footers(files[1:])), strict=True):
            landed_on = footer.landed_at.date()
            if landed_on >= before:
                return
            is_needed = footer.truncate_marker is not None or (
                footer.dead_letters > 0 and self.dead_letters.has_letters_of(footer.micro_batch_id)
            )
            if not is_needed:
                yield each, landed_on
