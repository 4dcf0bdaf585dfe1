"""Reads documents as they were at one cluster time, in raw replies."""

import contextlib
from collections.abc import Iterator
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError

from batch.backfill.ranges import Range
from batch.backfill.scan import present_cluster_time
from stream.core.change_event import Reply, parse_reply
from stream.settings import MongoSettings
from stream.source.client import Client

_BATCH_SIZE = 500
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_NO_SNAPSHOT_CODES = frozenset({9, 72, 115})
"""The server knows no snapshot reads outside transactions: before MongoDB 5.0."""


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
        self._database = client[settings.database]
        self._collection = settings.collection
        self._query = query
        self._piece = piece
        self.cluster_time = present_cluster_time(client)

    def replies(self) -> Iterator[Reply]:
        """Give the server's replies; the cursor is closed when the iterator is.

        Raises:
            PyMongoError: All of it must be read again.
        """
        with self._database.client.start_session(causal_consistency=False) as session:
            cursor_id = 0
            try:
                reply = self._first(session)
                while True:
                    cursor_id = reply.cursor_id
                    if not reply.is_empty:
                        yield reply
                    if cursor_id == 0:
                        return
                    reply = self._run(
                        {"getMore": cursor_id, "collection": self._collection, "batchSize": _BATCH_SIZE},
                        session,
                    )
            finally:
                if cursor_id:
                    with contextlib.suppress(PyMongoError):
                        self._database.command("killCursors", self._collection, cursors=[cursor_id])

    def _first(self, session: ClientSession) -> Reply:
        time = Timestamp(self.cluster_time >> 32, self.cluster_time & 0xFFFF_FFFF)
        try:
            return self._run(self._find({"level": "snapshot", "atClusterTime": time}), session)
        except OperationFailure as error:
            if error.code not in _NO_SNAPSHOT_CODES:
                raise
            return self._run(self._find({"level": "majority", "afterClusterTime": time}), session)

    def _find(self, read_concern: dict[str, Any]) -> dict[str, Any]:
        command: dict[str, Any] = {
            "find": self._collection,
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

    def _run(self, command: dict[str, Any], session: ClientSession) -> Reply:
        answer = self._database.command(
            command, read_preference=ReadPreference.PRIMARY, codec_options=_RAW, session=session
        )
        return parse_reply(bytes(answer.raw))
