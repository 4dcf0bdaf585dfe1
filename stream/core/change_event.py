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

from stream.errors import StepFailedError

CODEC_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, tz_aware=False, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""How documents are decoded: naive UTC datetimes, `DatetimeMS` for those outside the years 1 to 9999."""

_AS_STORED: CodecOptions[RawBSONDocument] = CODEC_OPTIONS.with_options(document_class=RawBSONDocument)
_REFERENCE = b"$ref\0"

INVALIDATING_OPERATIONS = frozenset({"drop", "rename", "dropDatabase"})
"""Each ends a change stream: an event `invalidate` follows, behind which only `startAfter` goes on."""

_WRITE_OPERATIONS = frozenset({"insert", "update", "replace", "delete"})

_INT32 = struct.Struct("<i")
_INT64 = struct.Struct("<q")
_TIMESTAMP = struct.Struct("<II")
_FIXED_SIZES = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8}
_DOCUMENT, _ARRAY, _STRING, _BINARY, _TIMESTAMP_TYPE = 0x03, 0x04, 0x02, 0x05, 0x11


@dataclass(frozen=True)
class Reply:
    """What a cursor command answered, the events still as BSON.

    Attributes:
        cursor_id: 0 when the server has closed the cursor.
        batch: BSON array of the events, in stream order.
        token: The postBatchResumeToken: resume point behind the last event of the batch.
        operation_time: Cluster time at which the server answered, seconds << 32 | increment.
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


def elements(document: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """Walk one level of a BSON document: type, name, start and end of each value."""
    at, end = 4, len(document) - 1
    while at < end:
        kind = document[at]
        name_end = document.index(0, at + 1)
        name = document[at + 1 : name_end]
        start = name_end + 1
        if kind in (_DOCUMENT, _ARRAY):
            size = _INT32.unpack_from(document, start)[0]
        elif kind == _STRING:
            size = 4 + _INT32.unpack_from(document, start)[0]
        elif kind == _BINARY:
            size = 5 + _INT32.unpack_from(document, start)[0]
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
                cursor = raw[start:end]
                for _, field, inner_start, inner_end in elements(cursor):
                    if field in (b"nextBatch", b"firstBatch"):
                        batch = cursor[inner_start:inner_end]
                    elif field == b"postBatchResumeToken":
                        token = bson.decode(cursor[inner_start:inner_end])
                    elif field == b"id":
                        cursor_id = _INT64.unpack_from(cursor, inner_start)[0]
            elif kind == _TIMESTAMP_TYPE and name == b"operationTime":
                increment, seconds = _TIMESTAMP.unpack_from(raw, start)
                operation_time = seconds << 32 | increment
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


def is_write(event: Mapping[str, Any]) -> bool:
    """Whether an event changes a document (the others concern the collection as a whole)."""
    return event.get("operationType") in _WRITE_OPERATIONS
