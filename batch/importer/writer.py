"""Inserts documents in batches; those that are there already stay untouched."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import bson
from bson.errors import InvalidDocument
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from batch.importer.cursor import EncodedDocument
from batch.importer.document import Unreadable
from batch.importer.report import ImportReport
from batch.importer.tail import LogLine
from stream.source.client import explained

Documents = Collection[dict[str, Any]]

_MAX_DOCUMENT_BYTES = 16 * 2**20
_BATCH_DOCUMENTS = 3000
_BATCH_BYTES = 8_000_000
_BATCHES_ON_THEIR_WAY = 2
"""With one, MongoDB would be idle while the next is made, or wait for its journal while there is work."""
_DUPLICATE_KEY = 11000


class _Encoded(NamedTuple):
    """A document as bytes, and the place of its line: a tenth of the memory of the document itself."""

    path: Path
    number: int
    object_id: ObjectId
    document: RawBSONDocument


@dataclass
class _Batch:
    """Documents on their way, and what MongoDB says of them; None if they must be sent again."""

    documents: list[_Encoded]
    answer: Future[list[dict[str, Any]]] | None = None


class DocumentWriter:
    """Inserts documents unordered, some batches on their way while the next is made; a context manager.

    At least once: a batch is kept until MongoDB has confirmed it. After a failed `flush` or `finish`
    another one tries the same batch again, which is harmless as `_id`s are given.

    Args:
        collection: Where the documents go.
        report: Told what became of each line; only by the thread that calls.
    """

    def __init__(self, collection: Documents, report: ImportReport) -> None:
        self._collection = collection
        self._report = report
        self._added: list[_Encoded] = []
        self._size_bytes = 0
        self._on_their_way: deque[_Batch] = deque()
        self._threads = ThreadPoolExecutor(_BATCHES_ON_THEIR_WAY, thread_name_prefix="import")
        # To ask first costs less than an insert that is refused, and more than one that is not.
        self._expects_known = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown()

    @property
    def is_full(self) -> bool:
        """Whether it is time to flush."""
        return len(self._added) >= _BATCH_DOCUMENTS or self._size_bytes >= _BATCH_BYTES

    def add(self, line: LogLine) -> None:
        """Count a line, and keep its document for the next flush.

        It is encoded at once: thousands of dicts kept until the flush made the garbage collector look through
        them again and again, half of the time of an import.
        """
        if line.content is None:
            self._report.incomplete += line.is_open
            return
        self._report.lines += 1
        encoded = _encoded(line, line.content)
        if isinstance(encoded, Unreadable):
            self._report.add_unreadable(line.path, line.number, encoded.reason)
        else:
            self._report.compiled += isinstance(line.content, EncodedDocument)
            self._added.append(encoded)
            self._size_bytes += len(encoded.document.raw)

    def flush(self) -> None:
        """Send what was added, once what was sent long before is confirmed.

        Raises:
            AnalyticsError: MongoDB does not answer, or refuses a whole batch.
        """
        try:
            self._settle(_BATCHES_ON_THEIR_WAY - 1)
            if self._added:
                batch = _Batch(self._without_known())
                self._added = []
                self._size_bytes = 0
                self._on_their_way.append(batch)
                self._send(batch)
        except PyMongoError as error:
            raise explained(error, doing=f"import into `{self._collection.full_name}`") from error

    def finish(self) -> None:
        """Send what was added and wait until all is confirmed.

        Raises:
            AnalyticsError: As `flush`.
        """
        self.flush()
        try:
            self._settle(0)
        except PyMongoError as error:
            raise explained(error, doing=f"import into `{self._collection.full_name}`") from error

    def _send(self, batch: _Batch) -> None:
        batch.answer = self._threads.submit(self._insert, [each.document for each in batch.documents])

    def _settle(self, remaining: int) -> None:
        """Wait for batches on their way, all but some; one that has failed is sent again the next time."""
        while len(self._on_their_way) > remaining:
            batch = self._on_their_way[0]
            if batch.answer is None:
                self._send(batch)
            answer, batch.answer = batch.answer, None
            errors = answer.result() if answer else []
            self._on_their_way.popleft()
            self._count(batch.documents, errors)

    def _count(self, documents: Sequence[_Encoded], errors: Sequence[dict[str, Any]]) -> None:
        known = 0
        for error in errors:
            if error["code"] == _DUPLICATE_KEY:
                known += 1
            else:
                refused = documents[error["index"]]
                reason = f"refused by MongoDB: {error['errmsg'][:200]}"
                self._report.add_unreadable(refused.path, refused.number, reason)
        self._report.inserted += len(documents) - len(errors)
        self._report.already_there += known
        if documents:
            self._expects_known = 2 * known > len(documents)

    def _without_known(self) -> list[_Encoded]:
        """Leave out documents that are there already, if that is likely."""
        if not self._expects_known:
            return self._added
        ids = [each.object_id for each in self._added]
        known = {found["_id"] for found in self._collection.find({"_id": {"$in": ids}}, {"_id": 1})}
        self._report.already_there += sum(object_id in known for object_id in ids)
        self._expects_known = bool(known)
        return [each for each in self._added if each.object_id not in known]

    def _insert(self, documents: Sequence[RawBSONDocument]) -> list[dict[str, Any]]:
        """Return the server's complaint for each document that it did not insert."""
        if not documents:
            return []
        try:
            self._collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if error.details["writeConcernErrors"]:
                raise
            complaints: list[dict[str, Any]] = error.details["writeErrors"]
            return complaints
        return []


def _encoded(line: LogLine, document: dict[str, Any] | EncodedDocument | Unreadable) -> _Encoded | Unreadable:
    if isinstance(document, EncodedDocument):
        return _Encoded(line.path, line.number, document.object_id, RawBSONDocument(document.bson))
    if isinstance(document, Unreadable):
        return document
    try:
        encoded = bson.encode(document)
    except (InvalidDocument, OverflowError, ValueError, RecursionError) as error:
        return Unreadable(f"no BSON: {type(error).__name__}")
    if len(encoded) > _MAX_DOCUMENT_BYTES:
        return Unreadable(
            f"too large: {len(encoded):,} bytes as BSON, MongoDB stores {_MAX_DOCUMENT_BYTES:,}"
        )
    return _Encoded(line.path, line.number, document["_id"], RawBSONDocument(encoded))
