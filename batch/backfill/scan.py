"""Reads one range of a collection: raw replies, nothing older than a cluster time known before the first."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from pymongo.errors import AutoReconnect, ConnectionFailure, OperationFailure, PyMongoError

from batch.backfill.filters import Filters
from batch.backfill.ranges import Range
from stream.core.change_event import Reply
from stream.core.cluster_time import cluster_time_of, timestamp_of
from stream.errors import SourceUnsuitableError
from stream.settings import MongoSettings
from stream.source.client import Client
from stream.source.raw_cursor import RawCursor

_REPLY_SIZE_BYTES = 4_000_000
_FIRST_BATCH_SIZE = 500

_PASSING_CODES = frozenset({43, 50, 89, 91, 134, 175, 189, 237, 246, 262, 11600, 11602, 13388, 13435, 13436})
"""Cursor gone, time-outs, shutdown, election, query plan killed, no majority yet: another try may go well."""


def is_passing(error: PyMongoError) -> bool:
    """Whether a range may simply be read again after this error."""
    if isinstance(error, OperationFailure):
        return error.code in _PASSING_CODES or error.has_error_label("RetryableError")
    return isinstance(error, AutoReconnect | ConnectionFailure)


class RangeScan:
    """One server-side cursor over a range, in the order of `_id`.

    Args:
        client: Its connections are used.
        settings: Which collection.
        piece: What to read.
        filters: What to leave out.
        batch_size: Documents per reply, at most.
        not_before: Cluster time that the scan must not be older than.

    Attributes:
        source_version: Cluster time before the scan: every document is at least as new.
    """

    def __init__(
        self,
        client: Client,
        settings: MongoSettings,
        piece: Range,
        filters: Filters,
        *,
        batch_size: int,
        not_before: int = 0,
    ) -> None:
        self._client = client
        self._settings = settings
        self._piece = piece
        self._filters = filters
        self._batch_size = batch_size
        # A new primary may tell an older time than its predecessor; the read waits until it has caught up.
        self.source_version = max(present_cluster_time(client), not_before)

    def replies(self) -> Iterator[Reply]:
        """Return the range's replies; the cursor is closed when the iterator is.

        Raises:
            PyMongoError: The range must be read again.
        """
        with closing(self._cursor()) as cursor:
            yield from cursor.replies(cursor.open(self._find(cursor.batch_size)))

    def _cursor(self) -> RawCursor:
        return RawCursor(
            self._client,
            self._settings,
            first_batch_size=_FIRST_BATCH_SIZE,
            max_batch_size=self._batch_size,
            reply_size_bytes=_REPLY_SIZE_BYTES,
        )

    def _find(self, batch_size: int) -> dict[str, Any]:
        command: dict[str, Any] = {
            "find": self._settings.collection,
            "filter": self._filters.to_query(),
            # `min` and `max` compare across BSON types, as `$gte` would not; they ask for the hint.
            "hint": {"_id": 1},
            "sort": {"_id": 1},
            "batchSize": batch_size,
            # Without the time, a majority read may be older than the server's newest operation.
            "readConcern": {"level": "majority", "afterClusterTime": timestamp_of(self.source_version)},
        }
        if self._piece.lower is not None:
            command["min"] = self._piece.lower.document
        if self._piece.upper is not None:
            command["max"] = self._piece.upper.document
        return command


def present_cluster_time(client: Client) -> int:
    """Ask the server for the cluster time of its newest operation.

    Raises:
        SourceUnsuitableError: It has none: it is not part of a replica set.
    """
    time = client.admin.command("ping").get("operationTime")
    if time is None:
        raise SourceUnsuitableError(
            "cannot read at a cluster time: the server gives none",
            hint="a replica set or a sharded cluster is needed; one server is enough: start it with "
            "`--replSet rs0` and run `rs.initiate()` once",
        )
    return cluster_time_of(time.time, time.inc)
