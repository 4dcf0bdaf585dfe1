"""What the change stream has behind a position: which documents changed, and whether a worker can get there.

Read with the very stages of the stream itself: a token between the fragments of a split event is of no use to
any other pipeline.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from stream.core.change_event import INVALIDATING_OPERATIONS, UndecodableEvent, decode_batch, field_of
from stream.core.changes import behind
from stream.core.collection_event import InvalidationPolicy
from stream.core.document_key import document_key
from stream.core.position import Position
from stream.core.split_event import SplitEvents
from stream.errors import AnalyticsError, CollectionInvalidatedError, HistoryLostError
from stream.settings import MongoSettings
from stream.source.change_stream import ChangeCursor
from stream.source.client import Client, explained

_BATCH_SIZE = 1_000
_PATIENCE_SECONDS = 30.0
"""How long the stream may stand still before it is given up."""


@dataclass(frozen=True)
class LaterChanges:
    """What there is up to a cluster time.

    Attributes:
        keys: Documents that changed.
        has_all: Whether the collection as a whole was dropped, renamed or replaced.
        blocked_by: Why a worker will not get there by itself; None if it will.
    """

    keys: Collection[str] = frozenset()
    has_all: bool = False
    blocked_by: AnalyticsError | None = None


def later_changes(
    client: Client,
    mongo: MongoSettings,
    position: Position,
    *,
    until: int,
    policy: InvalidationPolicy,
) -> LaterChanges:
    """Read the change stream from a position up to a cluster time.

    All events of a transaction have one cluster time, so those at the very time are read until none is left.

    Args:
        client: To the source.
        mongo: Which collection.
        position: Where the worker goes on.
        until: The cluster time.
        policy: What the worker does when the collection is dropped, renamed or replaced.

    Raises:
        PyMongoError: The source cannot be read.
    """
    reading = _Reading(mongo.namespace, policy)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    is_at_end = position.cluster_time > until
    try:
        while not is_at_end and time.monotonic() < deadline:
            cursor = ChangeCursor(client, mongo, batch_size=_BATCH_SIZE, token=position.token)
            events = SplitEvents()
            try:
                while not is_at_end and time.monotonic() < deadline:
                    reply = events.joined(cursor.next_reply())
                    if reply is None:
                        continue
                    if reading.blocked_by or reading.take(reply.batch):
                        return reading.result()
                    reached, position = position, behind(reply, position)
                    is_at_end = position.cluster_time > until - reply.is_empty
                    if reached != position:
                        deadline = time.monotonic() + _PATIENCE_SECONDS
                    if reply.cursor_id == 0:
                        break
            finally:
                cursor.close()
    except PyMongoError as error:
        problem = explained(error, doing=f"follow `{mongo.namespace}`")
        if isinstance(problem, HistoryLostError):
            return LaterChanges(blocked_by=problem)  # nobody will ever load them: no explanation
        raise
    return reading.result()


class _Reading:
    """Collects what replies hold."""

    def __init__(self, namespace: str, policy: InvalidationPolicy) -> None:
        self._namespace = namespace
        self._policy = policy
        self._keys: set[str] = set()
        self._has_all = False
        self.blocked_by: CollectionInvalidatedError | None = None

    def take(self, batch: bytes) -> bool:
        """Note what a batch says; return whether the worker stops at one of its events."""
        for event in decode_batch(batch):
            if isinstance(event, UndecodableEvent):
                key = field_of(event.raw, "documentKey")
                if key is not None:
                    self._keys.add(document_key(key["_id"]))
            elif event["operationType"] in INVALIDATING_OPERATIONS:
                self._has_all = True
                found = self._policy.judge(event, self._namespace)
                if found.action == "stop":
                    self.blocked_by = found.error(self._namespace)
                    return True
            elif "documentKey" in event:
                self._keys.add(document_key(event["documentKey"]["_id"]))
        return False

    def result(self) -> LaterChanges:
        """Return what was found."""
        return LaterChanges(self._keys, self._has_all, self.blocked_by)
