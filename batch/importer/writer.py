"""Inserts documents in batches; those that are there already stay untouched."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import bson
from bson.errors import InvalidDocument
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from batch.importer.document import Unreadable
from batch.importer.report import ImportReport
from batch.importer.tail import LogLine
from stream.source.client import explained

Documents = Collection[dict[str, Any]]

_MAX_DOCUMENT_BYTES = 16 * 2**20
_BATCH_DOCUMENTS = 1000
_BATCH_BYTES = 8_000_000
_DUPLICATE_KEY = 11000


@dataclass(frozen=True)
class _Batch:
    """Documents on their way, and the lines that they come from."""

    lines: list[LogLine]
    documents: list[RawBSONDocument]


class DocumentWriter:
    """Inserts documents unordered, one batch on its way while the next is made; a context manager.

    At least once: a batch is kept until MongoDB has confirmed it. After a failed `flush` or `finish`
    another one tries the same batch again, which is harmless as `_id`s are given.

    Args:
        collection: Where the documents go.
        report: Told what became of each line; only by the thread that calls.
    """

    def __init__(self, collection: Documents, report: ImportReport) -> None:
        self._collection = collection
        self._report = report
        self._lines: list[tuple[LogLine, dict[str, Any]]] = []
        self._size_bytes = 0
        self._on_its_way: _Batch | None = None
        self._answer: Future[list[dict[str, Any]]] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="import")
        # To ask first costs less than an insert that is refused, and more than one that is not.
        self._expects_known = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    @property
    def is_full(self) -> bool:
        """Whether it is time to flush."""
        return len(self._lines) >= _BATCH_DOCUMENTS or self._size_bytes >= _BATCH_BYTES

    def add(self, line: LogLine) -> None:
        """Count a line, and keep its document for the next flush."""
        if line.content is None:
            self._report.incomplete += line.is_open
            return
        self._report.lines += 1
        if isinstance(line.content, Unreadable):
            self._report.add_unreadable(line.path, line.number, line.content.reason)
            return
        self._lines.append((line, line.content))
        self._size_bytes += line.size_bytes

    def flush(self) -> None:
        """Send what was added, once what was sent before is confirmed.

        Raises:
            AnalyticsError: MongoDB does not answer, or refuses a whole batch.
        """
        try:
            self._settle()
            if self._lines:
                self._on_its_way = self._pack()
                self._lines = []
                self._size_bytes = 0
                self._send()
        except PyMongoError as error:
            raise explained(error, doing=f"import into `{self._collection.full_name}`") from error

    def finish(self) -> None:
        """Send what was added and wait until all is confirmed.

        Raises:
            AnalyticsError: As `flush`.
        """
        self.flush()
        self.flush()

    def _send(self) -> None:
        if self._on_its_way is not None:
            self._answer = self._thread.submit(self._insert, self._on_its_way.documents)

    def _settle(self) -> None:
        """Wait for the batch on its way; after a failure it is sent anew."""
        if self._on_its_way is None:
            return
        if self._answer is None:
            self._send()
        answer, self._answer = self._answer, None
        errors = answer.result() if answer else []
        batch, self._on_its_way = self._on_its_way, None
        known = 0
        for error in errors:
            if error["code"] == _DUPLICATE_KEY:
                known += 1
            else:
                line = batch.lines[error["index"]]
                reason = f"refused by MongoDB: {error['errmsg'][:200]}"
                self._report.add_unreadable(line.path, line.number, reason)
        self._report.inserted += len(batch.documents) - len(errors)
        self._report.already_there += known
        if batch.documents:
            self._expects_known = 2 * known > len(batch.documents)

    def _pack(self) -> _Batch:
        known = self._known_ids() if self._expects_known else set()
        batch = _Batch([], [])
        for line, document in self._lines:
            if document["_id"] in known:
                continue
            encoded = _encoded(document)
            if isinstance(encoded, Unreadable):
                self._report.add_unreadable(line.path, line.number, encoded.reason)
            else:
                batch.lines.append(line)
                batch.documents.append(encoded)
        self._report.already_there += len(known)
        self._expects_known = bool(known)
        return batch

    def _known_ids(self) -> set[ObjectId]:
        ids = [document["_id"] for _, document in self._lines]
        return {found["_id"] for found in self._collection.find({"_id": {"$in": ids}}, {"_id": 1})}

    def _insert(self, documents: Sequence[RawBSONDocument]) -> list[dict[str, Any]]:
        """Give the server's complaint for each document that it did not insert."""
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


def _encoded(document: dict[str, Any]) -> RawBSONDocument | Unreadable:
    try:
        encoded = bson.encode(document)
    except (InvalidDocument, OverflowError, ValueError, RecursionError) as error:
        return Unreadable(f"no BSON: {type(error).__name__}")
    if len(encoded) > _MAX_DOCUMENT_BYTES:
        return Unreadable(
            f"too large: {len(encoded):,} bytes as BSON, MongoDB stores {_MAX_DOCUMENT_BYTES:,}"
        )
    return RawBSONDocument(encoded)
