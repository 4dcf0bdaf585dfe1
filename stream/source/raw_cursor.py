"""A server-side cursor read in raw replies: what PyMongo's own would decode is left to whoever wants it."""

import contextlib
from collections.abc import Iterator
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.errors import PyMongoError

from stream.core.change_event import Reply, parse_reply
from stream.settings import MongoSettings
from stream.source.client import Client

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


class RawCursor:
    """One cursor on the primary; it asks for as many documents as make a reply of about the size wished.

    Args:
        client: Its connections are used.
        settings: Which collection.
        first_batch_size: Documents in the first reply, at most.
        max_batch_size: Documents in any reply, at most.
        reply_size_bytes: A larger reply halves the number of documents, one of less than half doubles it.
        min_reply_size_bytes: A reply as small as that says nothing: there was no more to give.
    """

    def __init__(
        self,
        client: Client,
        settings: MongoSettings,
        *,
        first_batch_size: int,
        max_batch_size: int,
        reply_size_bytes: int,
        min_reply_size_bytes: int = 0,
    ) -> None:
        self._database = client[settings.database]
        self._collection = settings.collection
        self._max_batch_size = max_batch_size
        self._reply_size_bytes = reply_size_bytes
        self._min_reply_size_bytes = min_reply_size_bytes
        self._session = client.start_session(causal_consistency=False)
        self._cursor_id = 0
        self.batch_size = min(first_batch_size, max_batch_size)

    def open(self, command: dict[str, Any]) -> Reply:
        """Run a command that opens the cursor.

        Raises:
            PyMongoError: It does not.
        """
        return self._run(command)

    def next_reply(self, **options: Any) -> Reply:  # noqa: ANN401 - as the server has them
        """Ask for more.

        Raises:
            PyMongoError: The cursor is of no more use.
        """
        return self._run(
            {"getMore": self._cursor_id, "collection": self._collection, "batchSize": self.batch_size}
            | options
        )

    def replies(self, first: Reply) -> Iterator[Reply]:
        """Yield a reply and those behind it, to the last document; empty ones are left out.

        Raises:
            PyMongoError: All must be read again.
        """
        reply = first
        while True:
            if not reply.is_empty:
                yield reply
            if reply.cursor_id == 0:
                return
            reply = self.next_reply()

    def close(self) -> None:
        """Free the cursor on the server, as far as the server can be reached."""
        with contextlib.suppress(PyMongoError):
            if self._cursor_id:
                self._database.command("killCursors", self._collection, cursors=[self._cursor_id])
        self._session.end_session()

    def _run(self, command: dict[str, Any]) -> Reply:
        answer = self._database.command(
            command, read_preference=ReadPreference.PRIMARY, codec_options=_RAW, session=self._session
        )
        reply = parse_reply(bytes(answer.raw))
        self._cursor_id = reply.cursor_id
        self._adapt(len(reply.batch))
        return reply

    def _adapt(self, size_bytes: int) -> None:
        if size_bytes > self._reply_size_bytes:
            self.batch_size = max(1, self.batch_size // 2)
        elif self._min_reply_size_bytes <= size_bytes < self._reply_size_bytes // 2:
            self.batch_size = min(self._max_batch_size, self.batch_size * 2)
