"""Looks once more at documents that differ: is the change under way, was it rejected, or is it a defect?

Whatever has changed up to the stream's position has landed. So a difference is explained only if the document
is in a landed file that is not loaded yet, or if the change stream tells of it behind the position; both are
asked. Neither depends on how long the worker has been down, nor on clocks.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from batch.verify.digest import Digester
from batch.verify.keys import document_ids
from batch.verify.later_changes import later_changes
from batch.verify.report import Kind, Tally
from batch.verify.scan import SnapshotScan
from batch.verify.warehouse_side import StoredRow, WarehouseSide, judge
from stream.core.collection_event import InvalidationPolicy
from stream.core.position import Position
from stream.errors import AnalyticsError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.partitions import StreamLanes
from stream.landing.places import AnyZone
from stream.settings import MongoSettings
from stream.source.client import Client

_WAIT_SECONDS = 0.5


class Recheck:
    """Judges single documents.

    Args:
        patience_seconds: How long to wait for changes that a running stream worker is about to load.
        policy: What a worker does when the collection is dropped, renamed or replaced.

    Attributes:
        documents: How many have been looked at.
        cluster_time: Of the last look, 0 before the first.
        blocked_by: Why no worker will bring what is under way; None if one will, as far as was looked.
    """

    def __init__(
        self,
        client: Client,
        mongo: MongoSettings,
        *,
        landing: AnyZone,
        dead_letters: DeadLetterStore,
        side: WarehouseSide,
        digester: Digester,
        patience_seconds: float,
        policy: InvalidationPolicy,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.documents = 0
        self.cluster_time = 0
        self.blocked_by: AnalyticsError | None = None
        self._policy = policy
        self._client = client
        self._mongo = mongo
        self._landing = landing
        self._lane = StreamLanes(landing)
        self._dead_letters = dead_letters
        self._side = side
        self._digester = digester
        self._patience_seconds = patience_seconds
        self._sleep = sleep

    def settle(self, keys: Sequence[str], tally: Tally) -> None:
        """Judge these `_id`s; while a worker runs, those under way get some time to arrive.

        Raises:
            AnalyticsError: The warehouse or the landing zone cannot be read.
            PyMongoError: The source cannot.
        """
        self.documents += len(keys)
        deadline = time.monotonic() + self._patience_seconds
        open_keys = list(keys)
        while open_keys:
            verdicts = self.judge(open_keys)
            open_keys = [key for key in open_keys if verdicts[key] == "pending"]
            is_last = time.monotonic() >= deadline or not self._lane.is_being_written
            for key, kind in verdicts.items():
                if kind is not None and (kind != "pending" or is_last):
                    tally.add(key, kind)
            if is_last:
                return
            if open_keys:
                self._sleep(_WAIT_SECONDS)

    def judge(self, keys: Sequence[str]) -> dict[str, Kind | None]:
        """Compare these documents as they are now with their rows; None for those that are the same.

        The order of the steps is what makes it right: position, warehouse, collection, changes since.
        """
        position = self._lane.position()
        pending, stored = self._side.look(keys)
        expected = self._expected(keys)
        verdicts = {key: judge(expected, stored, key) for key in keys}
        differing = [key for key, kind in verdicts.items() if kind is not None]
        if not differing:
            return verdicts
        letters = self._dead_letters.list(self._landing, with_discarded=True)
        rejected = {letter.letter.document_id for letter in letters}
        under_way = (
            pending.keys_among(differing)
            | _below_marker(pending.truncate_marker(), stored)
            | self._changed_since(position, differing)
        )
        for key in differing:
            is_without_row = key not in stored or expected.get(key, 0) is None
            if key in under_way:
                verdicts[key] = "pending"
            elif key in rejected and is_without_row:
                verdicts[key] = "stale" if key in stored else "dead letter"
        return verdicts

    def _expected(self, keys: Iterable[str]) -> dict[str, int | None]:
        scan = SnapshotScan(self._client, self._mongo, {"_id": {"$in": document_ids(keys)}})
        self.cluster_time = scan.cluster_time
        found: dict[str, int | None] = {}
        for reply in scan.replies():
            table = self._digester.digest(reply.batch).table
            found |= zip(table["_id"].to_pylist(), table["digest"].to_pylist(), strict=True)
        return found

    def _changed_since(self, position: Position | None, keys: Sequence[str]) -> set[str]:
        """Return the documents among these that have changed between a position and the last look.

        If the collection was dropped or renamed meanwhile, that is all of them.
        """
        if position is None or position.cluster_time > self.cluster_time:
            return set()
        later = later_changes(
            self._client, self._mongo, position, until=self.cluster_time, policy=self._policy
        )
        self.blocked_by = self.blocked_by or later.blocked_by
        return set(keys) if later.has_all else {key for key in keys if key in later.keys}


def _below_marker(marker: int, stored: Mapping[str, StoredRow]) -> set[str]:
    """Return those of the rows that a landed truncate marker is going to remove."""
    return {key for key, row in stored.items() if row.source_version < marker}
