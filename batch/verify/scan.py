"""Reads documents as they were at one cluster time, in raw replies."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from pymongo.errors import OperationFailure

from batch.backfill.ranges import Range
from batch.backfill.scan import present_cluster_time
from stream.core.change_event import Reply
from stream.core.cluster_time import timestamp_of
from stream.settings import MongoSettings
from stream.source.client import Client
from stream.source.raw_cursor import RawCursor

_BATCH_SIZE = 500
_REPLY_SIZE_BYTES = 4_000_000
_SNAPSHOT_UNAVAILABLE = 246
_NO_SNAPSHOT_CODES = frozenset({9, 72, 115})
"""The server knows no snapshot reads outside transactions: before MongoDB 5.0."""


def _has_no_snapshots(error: OperationFailure) -> bool:
    """Whether trying again would not help: of a capped collection there are none, else 246 passes."""
    is_capped = error.code == _SNAPSHOT_UNAVAILABLE and "capped" in str(error.details or error)
    return error.code in _NO_SNAPSHOT_CODES or is_capped


class SnapshotScan:
    """One server-side cursor.

    Args:
        client: Its connections are used.
        settings: Which collection.
        query: Which documents.
        piece: Limits them to a range of `_id`; None does not.

    Attributes:
        cluster_time: The documents are read as they were then; where the server has no snapshot reads, as
            they were then or later.
    """

    def __init__(
        self, client: Client, settings: MongoSettings, query: dict[str, Any], piece: Range | None = None
    ) -> None:
        self._client = client
        self._settings = settings
        self._query = query
        self._piece = piece
        self.cluster_time = present_cluster_time(client)

    def replies(self) -> Iterator[Reply]:
        """Return the server's replies; the cursor is closed when the iterator is.

        Raises:
            PyMongoError: All of it must be read again.
        """
        cursor = RawCursor(
            self._client,
            self._settings,
            first_batch_size=_BATCH_SIZE,
            max_batch_size=_BATCH_SIZE,
            reply_size_bytes=_REPLY_SIZE_BYTES,
        )
        with closing(cursor):
            yield from cursor.replies(self._first(cursor))

    def _first(self, cursor: RawCursor) -> Reply:
        time = timestamp_of(self.cluster_time)
        try:
            return cursor.open(self._find({"level": "snapshot", "atClusterTime": time}))
        except OperationFailure as error:
            if not _has_no_snapshots(error):
                raise
            return cursor.open(self._find({"level": "majority", "afterClusterTime": time}))

    def _find(self, read_concern: dict[str, Any]) -> dict[str, Any]:
        command: dict[str, Any] = {
            "find": self._settings.collection,
            "filter": self._query,
            "hint": {"_id": 1},
            "batchSize": _BATCH_SIZE,
            "readConcern": read_concern,
        }
        if self._piece and self._piece.lower is not None:
            command["min"] = self._piece.lower.document
        if self._piece and self._piece.upper is not None:
            command["max"] = self._piece.upper.document
        return command
