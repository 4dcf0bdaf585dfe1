"""Whether the compiled way is there and gives what Python's way gives: asked once, when a program starts."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, partial
from typing import Any

import bson
from bson import Decimal128, Int64, ObjectId, Timestamp

from stream.core.change_event import Reply
from stream.core.changes import Transcribe, read_changes
from stream.core.position import Fingerprint, Position
from stream.core.redact import Redactor
from stream.core.transcribed import Transcribed
from stream.decode import compiled
from stream.decode.columns import Tabulate, tabulate_compiled, tabulate_in_python

HINT = "all works, several times slower; install again where there is a C compiler (docs/compiled.md)"
"""What to do about a problem."""

_ID = ObjectId("0123456789abcdef01234567")
_INSTANT = datetime(2026, 1, 31, 23, 59, 59, 999_000)  # noqa: DTZ001 - BSON dates are naive UTC
_MESSAGE = {
    "id": "msg_1",
    "role": "assistant",
    "content": [
        {"type": "text", "text": 'été 😀\n"quoted" \\ and \t\x01, then plain characters'},
        {"type": "tool_use", "name": "Read", "kind": "call", "text": "none", "input": {"$id": 1, "$ref": ""}},
        "bare",
    ],
    "usage": {"input_tokens": 2**40, "rate": 0.125, "whole": 3.0, "none": None, "deep": [[], {}, [{"": -1}]]},
}
_USUAL: tuple[dict[str, Any], ...] = (
    {"_id": _ID, "type": "assistant", "sessionId": "s", "message": _MESSAGE, "ingestedAt": _INSTANT},
    {"_id": "text", "type": "user", "timestamp": "2024-02-29T12:00:00.123Z", "message": "plain", "uuid": "u"},
    {"_id": Int64(-(2**63)), "type": "mode", "timestamp": -1, "cwd": "/srv", "flag": True, "list": [1, None]},
)
_UNUSUAL: tuple[dict[str, Any], ...] = (
    {"_id": 1, "type": "user", "message": "U+0000: \0"},
    {"_id": 2, "type": "user", "cost": Decimal128("1.5"), "sum": 0.1 + 0.2},
    {"_id": 3, "type": None},
    {"_id": 4, "type": "user", "timestamp": "2023-02-29T12:00:00.123Z"},
)


@cache
def problem() -> str | None:
    """Return why documents are read without the compiled way; None if they need not be."""
    absent = compiled.problem()
    if absent is not None:
        return f"not built: {absent}"
    return difference(compiled.transcribe_documents, compiled.transcribe_events)


def difference(
    transcribe_documents: Callable[..., Transcribed | None], transcribe_events: Transcribe
) -> str | None:
    """Compare both ways on a few documents of every kind; return what is wrong with the compiled one."""
    documents = [each for pair in zip(_USUAL, _UNUSUAL, strict=False) for each in pair] + [_UNUSUAL[-1]]
    batch = _array(documents)
    when: dict[str, Any] = {"source_version": 1, "extracted_at": 1_780_000_000_123_456}
    in_python = tabulate_in_python(batch, **when)
    actual = tabulate_compiled(batch, **when, transcribe=transcribe_documents)
    if not in_python.table.equals(actual.table) or in_python.dead_letters != actual.dead_letters:
        return "its rows of a test batch are not those that Python makes"
    if actual.compiled != len(_USUAL):
        return f"it makes {actual.compiled} of the {len(_USUAL)} usual rows of a test batch"
    events = [_insert(each) for each in documents] + [{**_insert(documents[0]), "operationType": "delete"}]
    del events[-1]["fullDocument"]
    reply = Reply(cursor_id=1, batch=_array(events), token=None, operation_time=1)
    behind = Position({"_data": ""}, 0, Fingerprint(None, "", "", ""))
    read = partial(read_changes, reply, behind=behind, extracted_at=when["extracted_at"])
    expected, changes = read(), read(transcribe=transcribe_events)
    if expected.batch != changes.batch or expected.operations != changes.operations:
        return "its rows of test events are not those that Python makes"
    if changes.compiled != len(_USUAL) + 1:
        return f"it makes {changes.compiled} of the {len(_USUAL) + 1} usual rows of test events"
    return None


def tabulate_way(redactor: Redactor | None) -> Tabulate:
    """Return the faster way from documents to columns that is to be trusted."""
    return partial(tabulate_in_python if problem() else tabulate_compiled, redactor=redactor)


def transcribe_way() -> Transcribe | None:
    """Return the compiled way for change events, None if it is not to be trusted."""
    return None if problem() else compiled.transcribe_events


def _array(documents: list[dict[str, Any]]) -> bytes:
    return bson.encode({str(number): each for number, each in enumerate(documents)})


def _insert(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "_id": {"_data": "82"},
        "operationType": "insert",
        "clusterTime": Timestamp(7, 1),
        "fullDocument": document,
        "documentKey": {"_id": document["_id"]},
    }
