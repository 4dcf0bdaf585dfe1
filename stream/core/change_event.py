"""From the bytes of a `getMore` reply to change events: one C call a batch, no object an event too many."""

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import bson
from bson.code import Code
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from stream.core.cluster_time import cluster_time_of
from stream.errors import StepFailedError

CODEC_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, tz_aware=False, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""How documents are decoded: naive UTC datetimes, `DatetimeMS` for those outside the years 1 to 9999."""

_AS_STORED: CodecOptions[RawBSONDocument] = CODEC_OPTIONS.with_options(document_class=RawBSONDocument)
_REFERENCE = b"$ref\0"

INVALIDATING_OPERATIONS = frozenset({"drop", "rename", "dropDatabase"})
"""Each ends a change stream: an event `invalidate` follows, behind which only `startAfter` goes on."""

WRITE_OPERATIONS = ("insert", "update", "replace", "delete")

_INT32 = struct.Struct("<i")
_INT64 = struct.Struct("<q")
_TIMESTAMP = struct.Struct("<II")
_FIXED_SIZES = {
    0x01: 8,
    0x06: 0,
    0x07: 12,
    0x08: 1,
    0x09: 8,
    0x0A: 0,
    0x10: 4,
    0x11: 8,
    0x12: 8,
    0x13: 16,
    0x7F: 0,
    0xFF: 0,
}
_ADDED_SIZES = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0C: 16, 0x0D: 4, 0x0E: 4, 0x0F: 0}
"""Bytes of a value beside what its own length says: text, document, array, binary, pointer, code, symbol."""
_DOCUMENT, _REGULAR_EXPRESSION = 0x03, 0x0B
_TIMESTAMP_TYPE = 0x11


@dataclass(frozen=True)
class Reply:
    """What a cursor command answered, the events still as BSON.

    Attributes:
        cursor_id: 0 when the server has closed the cursor.
        batch: BSON array of the events, in stream order.
        token: The postBatchResumeToken: resume point behind the last event of the batch.
        operation_time: Cluster time at which the server answered, as `stream.core.cluster_time` packs it.
    """

    cursor_id: int
    batch: bytes
    token: Mapping[str, Any] | None
    operation_time: int

    @property
    def is_empty(self) -> bool:
        """Whether there is no event in it."""
        return len(self.batch) <= 5  # noqa: PLR2004 - an empty BSON array: 4 bytes of length and the end


@dataclass(frozen=True)
class UndecodableEvent:
    """An event whose BSON cannot be decoded as a whole.

    Attributes:
        raw: Its bytes.
        problem: What the decoder said.
    """

    raw: bytes
    problem: str


def elements(
    document: bytes, begin: int = 0, behind: int | None = None
) -> Iterator[tuple[int, bytes, int, int]]:
    """Walk one level of a BSON document: type, name, start and end of each value.

    Args:
        document: Or what it is part of.
        begin: Where it begins in that.
        behind: Where it ends; None where that ends.
    """
    at, end = begin + 4, (len(document) if behind is None else behind) - 1
    while at < end:
        kind = document[at]
        name_end = document.index(0, at + 1)
        name = document[at + 1 : name_end]
        start = name_end + 1
        if kind in _ADDED_SIZES:
            size = _ADDED_SIZES[kind] + _INT32.unpack_from(document, start)[0]
        elif kind == _REGULAR_EXPRESSION:
            size = document.index(0, document.index(0, start) + 1) + 1 - start
        else:
            size = _FIXED_SIZES[kind]
        if size < 0:
            raise ValueError(f"a value of {size} bytes")
        yield kind, name, start, start + size
        at = start + size


def parse_reply(raw: bytes) -> Reply:
    """Take a reply of `aggregate` or `getMore` apart without decoding its events.

    Args:
        raw: The reply, one BSON document.

    Raises:
        StepFailedError: It is no cursor reply.
    """
    cursor_id: int | None = None
    batch = b""
    token: Mapping[str, Any] | None = None
    operation_time = 0
    try:
        for kind, name, start, end in elements(raw):
            if name == b"cursor":
                for _, field, inner_start, inner_end in elements(raw, start, end):
                    if field in (b"nextBatch", b"firstBatch"):
                        batch = raw[inner_start:inner_end]
                    elif field == b"postBatchResumeToken":
                        token = bson.decode(raw[inner_start:inner_end])
                    elif field == b"id":
                        cursor_id = _INT64.unpack_from(raw, inner_start)[0]
            elif kind == _TIMESTAMP_TYPE and name == b"operationTime":
                increment, seconds = _TIMESTAMP.unpack_from(raw, start)
                operation_time = cluster_time_of(seconds, increment)
    except (struct.error, LookupError, ValueError, BSONError) as error:
        raise StepFailedError(
            f"cannot read the server's reply: {error!r}",
            hint="try again; if it stays, check what stands between this program and MongoDB",
        ) from error
    if cursor_id is None:
        raise StepFailedError(
            "cannot read the server's reply: it holds no cursor",
            hint="try again; if it stays, check what stands between this program and MongoDB",
        )
    return Reply(cursor_id=cursor_id, batch=batch, token=token, operation_time=operation_time)


def decode_document(raw: bytes) -> dict[str, Any]:
    """Decode one document as it is stored: its keys in their order, also of one that looks like a DBRef.

    PyMongo would make objects of those (`$ref` beside `$id`, as in JSON schemas), and lose the order.

    Raises:
        BSONError: It cannot be decoded.
    """
    if _REFERENCE not in raw:
        return bson.decode(raw, CODEC_OPTIONS)
    return {name: _plain(value) for name, value in bson.decode(raw, _AS_STORED).items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a document holds
    if isinstance(value, RawBSONDocument):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Code) and value.scope is not None:
        return Code(str(value), _plain(value.scope))
    return value


def decode_batch(batch: bytes) -> list[dict[str, Any] | UndecodableEvent]:
    """Decode a BSON array of documents, in order; only if that fails, one by one.

    A document that cannot be decoded comes back as its bytes, and costs its neighbours nothing.
    """
    if not batch:
        return []
    if _REFERENCE not in batch:
        # Fails if one document is odd, in a way that only the decoder knows: find which.
        with suppress(Exception):
            return list(bson.decode(batch, CODEC_OPTIONS).values())
    return [decode_one(batch[start:end]) for _, _, start, end in elements(batch)]


def decode_one(raw: bytes) -> dict[str, Any] | UndecodableEvent:
    """Decode one document; one that cannot be decoded comes back as its bytes."""
    try:
        return decode_document(raw)
    except Exception as error:  # noqa: BLE001 - whatever it is, the bytes are kept and the reason told
        return UndecodableEvent(raw=raw, problem=f"{type(error).__name__}: {error}")


def document_of(event: bytes) -> bytes:
    """Return the document that an event brings, undecoded; the event itself if it brings none."""
    found = {name: event[start:end] for kind, name, start, end in elements(event) if kind == _DOCUMENT}
    return found.get(b"fullDocument") or event


def field_of(document: bytes, name: str) -> Any | None:  # noqa: ANN401 - whatever BSON holds
    """Return one field of a document that cannot be decoded as a whole; None if there is none that can be."""
    try:
        for kind, found, start, end in elements(document):
            if found == name.encode():
                body = bytes([kind]) + found + b"\0" + document[start:end] + b"\0"
                one = decode_one(_INT32.pack(len(body) + 4) + body)
                return None if isinstance(one, UndecodableEvent) else one[name]
    except (struct.error, LookupError, ValueError):
        return None
    return None


def is_write(event: Mapping[str, Any]) -> bool:
    """Whether an event changes a document (the others concern the collection as a whole)."""
    return event.get("operationType") in WRITE_OPERATIONS
