"""The lines of one log → documents with an `_id` each: as a dict, or as BSON where compiled code does it."""

from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import bson
from bson.objectid import ObjectId

from batch.importer.damaged import whole_records
from batch.importer.document import BYTE_ORDER_MARK, Unreadable, parse, seconds_of

_OWN_FIELDS = ("_id", "projectId", "sourceFile", "ingestedAt")

Encode = Callable[[bytes, bytes, int, bytes], tuple[bytes, int] | None]
"""Writes a usual line's document as BSON: see `encode` in encode.c."""


class EncodedDocument(NamedTuple):
    """A document as BSON.

    Attributes:
        object_id: Its `_id`.
        bson: The whole of it.
    """

    object_id: ObjectId
    bson: bytes


class LogCursor:
    """Turns the lines of one log, in order, into documents whose `_id`s depend on nothing but those lines.

    An `_id` is an ObjectId: 4 bytes time, 8 bytes hash of `sourceFile`, the line, and how many equal
    lines come before it. So equal lines of a log all survive, an import can be repeated, and what is
    appended changes no `_id` before it. For the same reason a line without a time takes the last one
    *before* it, and 0 if there is none: a later line must not matter. (Of the logs at hand 0.7 % of the
    lines fall to 0, nearly all in files that have no time at all.)

    Two lines get the same `_id` only if second and hash agree: were 10 million lines of one second, the
    chance would be 3 in a million. The later of the two would be taken for the former, imported already.

    Args:
        encode: The compiled way, which leaves unusual lines to Python; None has Python make every document.

    Attributes:
        source_file: Path of the log as the documents name it.
        project_id: Project of the log.
        line_number: Lines taken so far, empty ones too.
    """

    def __init__(self, *, source_file: str, project_id: str, encode: Encode | None = None) -> None:
        self.source_file = source_file
        self.project_id = project_id
        self.line_number = 0
        self._hash = blake2b(source_file.encode() + b"\0", digest_size=8)
        self._equal_lines: dict[bytes, int] = {}
        self._seconds = 0
        self._encode = encode
        self._added: tuple[datetime, bytes] | None = None

    def take(
        self, line: bytes, *, ingested_at: datetime
    ) -> dict[str, Any] | EncodedDocument | Unreadable | None:
        """Return the document of the next line; None if the line is empty."""
        self.line_number += 1
        text = self._text_of(line)
        if not text:
            return None
        if self._encode and (encoded := self._encoded(self._encode, text, ingested_at)):
            return encoded
        return self._take_record(text, ingested_at)

    def _encoded(self, encode: Encode, text: bytes, ingested_at: datetime) -> EncodedDocument | None:
        digest = self._digest(text)
        ordinal = self._equal_lines.get(digest, 0)
        own_digest = _of_equal(digest, ordinal)
        found = encode(text, own_digest, self._seconds, self._own_fields(ingested_at))
        if found is None:
            return None
        self._equal_lines[digest] = ordinal + 1
        document, self._seconds = found
        return EncodedDocument(ObjectId(self._seconds.to_bytes(4, "big") + own_digest), document)

    def _own_fields(self, ingested_at: datetime) -> bytes:
        """Return the fields that the importer adds, as BSON: the same for all lines of one reading."""
        if self._added is None or self._added[0] is not ingested_at:
            whole = bson.encode(
                {"projectId": self.project_id, "sourceFile": self.source_file, "ingestedAt": ingested_at}
            )
            self._added = ingested_at, whole[4:-1]
        return self._added[1]

    def take_whole_records(self, line: bytes, *, ingested_at: datetime) -> list[dict[str, Any]]:
        """Return the documents of the whole records inside a line that `take` could not read.

        Each is the document that it would be on a line of its own.
        """
        taken = [self._take_record(record, ingested_at) for record in whole_records(line)]
        return [document for document in taken if not isinstance(document, Unreadable)]

    def _take_record(self, text: bytes, ingested_at: datetime) -> dict[str, Any] | Unreadable:
        parsed = parse(text)
        if isinstance(parsed, Unreadable):
            return parsed
        digest = self._digest(text)
        ordinal = self._equal_lines.get(digest, 0)
        self._equal_lines[digest] = ordinal + 1
        self._seconds = seconds_of(parsed) or self._seconds
        return self._document(parsed, self._object_id(digest, ordinal, self._seconds), ingested_at)

    def peek(self, line: bytes, *, ingested_at: datetime) -> dict[str, Any] | None:
        """Return the document of a last line that has no end yet, without taking it.

        It is whole if it is an object: no beginning of an object is one. None if more must come.
        """
        self.line_number += 1
        text = self._text_of(line)
        self.line_number -= 1
        parsed = parse(text) if text else Unreadable("empty")
        if isinstance(parsed, Unreadable):
            return None
        digest = self._digest(text)
        object_id = self._object_id(
            digest, self._equal_lines.get(digest, 0), seconds_of(parsed) or self._seconds
        )
        return self._document(parsed, object_id, ingested_at)

    def _text_of(self, line: bytes) -> bytes:
        return (line.removeprefix(BYTE_ORDER_MARK) if self.line_number == 1 else line).strip(b" \t\r\n")

    def _digest(self, text: bytes) -> bytes:
        line_hash = self._hash.copy()
        line_hash.update(text)
        return line_hash.digest()

    def _object_id(self, digest: bytes, ordinal: int, seconds: int) -> ObjectId:
        return ObjectId(seconds.to_bytes(4, "big") + _of_equal(digest, ordinal))

    def _document(self, line: dict[str, Any], object_id: ObjectId, ingested_at: datetime) -> dict[str, Any]:
        document = {"_id": object_id, **line}
        for name in _OWN_FIELDS:
            if name in line:
                new_name = f"original_{name}"
                while new_name in document:
                    new_name = f"original_{new_name}"
                document[new_name] = line[name]
        document["_id"] = object_id
        document["projectId"] = self.project_id
        document["sourceFile"] = self.source_file
        document["ingestedAt"] = ingested_at
        return document


def _of_equal(digest: bytes, ordinal: int) -> bytes:
    """Return the digest of a line behind so many equal ones."""
    return blake2b(digest + ordinal.to_bytes(8, "big"), digest_size=8).digest() if ordinal else digest
