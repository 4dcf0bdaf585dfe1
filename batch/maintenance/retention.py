"""Removes landed files that are old and loaded; the warehouse alone has their rows then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import duckdb

from batch.backfill.plan import LANE_PREFIX, PlanStore
from batch.maintenance.merges import landed_on
from stream.clock import Clock
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.landed_file import remove_files
from stream.landing.micro_batch import MicroBatch, read_footer
from stream.landing.retention import raise_low_water_mark
from stream.landing.zone import LandingZone, Lane


@dataclass(frozen=True)
class Retention:
    """Everything that removing old files needs.

    Attributes:
        days: How many whole days (UTC) are kept beside today.
    """

    landing: LandingZone
    dead_letters: DeadLetterStore
    clock: Clock
    days: int

    def remove_old(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Remove what is old and loaded; give the number of files.

        Left where they are: files not loaded, those with dead letters in the queue, the newest of a lane that
        goes on behind it, those of an unfinished backfill, and truncate markers, which older rows must not
        outlive.

        Args:
            connection: To the warehouse.

        Raises:
            LandingFullError: No space to note it first; nothing is removed.
            LandingNotWritableError: A folder cannot be written.
        """
        before = self.clock().date() - timedelta(days=self.days)
        old = [
            each
            for lane in self.landing.lanes()
            for each in self._removable(lane)
            if landed_on(each) < before and not self.dead_letters.has_letters_of(each.id)
        ]
        loaded = {
            micro_batch_id
            for (micro_batch_id,) in connection.execute(
                "select micro_batch_id from raw.micro_batches"
            ).fetchall()
        }
        gone = [each for each in old if each.id in loaded and read_footer(each).truncate_marker is None]
        if gone:
            raise_low_water_mark(self.landing.state, before=max(map(landed_on, gone)) + timedelta(days=1))
            remove_files(gone)
        return len(gone)

    def _removable(self, lane: Lane) -> Sequence[MicroBatch]:
        files = lane.micro_batches()
        if lane.name.startswith(LANE_PREFIX):
            plan = PlanStore(self.landing).unfinished()
            return [] if plan is not None and plan.lane == lane.name else files
        # What a merged file replaces would come back into sight without it.
        needed = {merged.id for merged, _ in lane.replacements()}
        return [each for each in files[:-1] if each.id not in needed]
