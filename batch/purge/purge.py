"""The purge as a whole: landing zone, warehouse, marts, builds, traces; then a search for what is left.

Every step can be done again: a purge that was killed is completed by the same command.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batch.publish.publish import Publisher
from batch.purge import warehouse_side
from batch.purge.letters import LetterPurge
from batch.purge.side import LandedSide, PurgeSide
from batch.purge.target import Target
from batch.purge.traces import TraceSide
from stream.errors import PurgeIncompleteError


@dataclass(frozen=True)
class Purged:
    """What a purge did.

    Attributes:
        removed: What went, by place.
        left: What a search found afterwards, by place.
        mentions: Lines of other conversations that hold the id; they stay.
        seconds: How long it took.
    """

    removed: dict[str, int]
    left: dict[str, int]
    mentions: int
    seconds: float

    def require_complete(self, target: Target) -> None:
        """Check that nothing is left.

        Raises:
            PurgeIncompleteError: Something is.
        """
        left = ", ".join(f"{number:,} in {place}" for place, number in self.left.items() if number)
        if left:
            raise PurgeIncompleteError(
                f"the {target.kind} `{target.id}` is not wholly gone: {left}",
                hint="look at what is named, and run the same command again; nothing else has been removed",
            )


@dataclass(frozen=True)
class Purge:
    """Everything a purge needs, made by the command line; the caller has the pipeline lock.

    Attributes:
        build_marts: Runs dbt on what has changed.
        run_id: Names the new build.
        lease_timeout_seconds: How long to wait for the warehouse.
        on_step: Told what is being done.
    """

    landed: LandedSide
    letters: LetterPurge
    side: PurgeSide
    publisher: Publisher
    traces: Sequence[TraceSide]
    build_marts: Callable[[], object]
    run_id: str
    lease_timeout_seconds: float
    on_step: Callable[[str], None] = lambda _step: None

    def count(self, target: Target) -> dict[str, int]:
        """Count what there is of it, by place.

        Raises:
            WarehouseBusyError: Another process holds the warehouse for too long.
        """
        counts = {
            "landing zone": self.landed.rows(target),
            "dead letters": self.letters.count(target),
        }
        if self.side.exists():
            counts["warehouse"] = self.side.rows_left(target)
        serving = self.publisher.serving
        folders = [serving.folder(build_id) for build_id in serving.builds()]
        counts["published builds"] = warehouse_side.rows_in_builds(folders, target)
        counts["other files"] = sum(len(each.left(target)) for each in self.traces)
        return counts

    def run(self, target: Target) -> Purged:
        """Remove it everywhere but in MongoDB, then search for it.

        Raises:
            AlreadyRunningError: A stream worker or a backfill runs.
            WarehouseBusyError: Another process holds the warehouse for too long.
            AnalyticsError: What stopped it; the same command goes on from there.
        """
        removed: dict[str, int] = {}
        mentions, started = 0, time.monotonic()
        with self.landed.alone():
            self.landed.fence()
            self.on_step("taking it out of the landing zone")
            with self.side.keeping_loads_away():
                removed["landing zone"] = self.landed.remove_rows(target)
            removed["dead letters"] = self.letters.remove(target)
            if self.side.exists():
                removed |= self._clean_warehouse(target)
                mentions = self.side.mentions(target)
            self.on_step("removing results, reports and logs")
            removed["other files"] = sum(each.remove(target) for each in self.traces)
            self.on_step("searching for what is left")
            left = self.count(target)
        return Purged(removed, left, mentions, time.monotonic() - started)

    def _clean_warehouse(self, target: Target) -> dict[str, int]:
        removed = {}
        self.on_step("taking it out of the warehouse")
        removed["warehouse"] = self.side.forget(target)
        has_marts = self.side.has_marts()
        if has_marts:
            self.on_step("building the marts")
            self.build_marts()
        self.side.forget_notes(target)
        serving = self.publisher.serving
        old = serving.builds()
        if has_marts and old:
            self.side.settle()
            self.on_step("publishing the marts")
            self.publisher.publish(self.run_id, timeout_seconds=self.lease_timeout_seconds)
            serving.remove_old(keep=0)
            removed["published builds"] = len(set(old) - set(serving.builds()))
        self.on_step("rewriting the warehouse")
        self.side.wipe()
        return removed
