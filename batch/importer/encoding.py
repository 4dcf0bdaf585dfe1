"""The compiled way from a line to its document, if it is there and gives what Python gives: `encode.c`."""

from datetime import UTC, datetime
from functools import cache

import bson

from batch.importer.cursor import Encode, EncodedDocument, LogCursor
from batch.importer.document import Unreadable

try:
    from batch.importer import _encode
except ImportError as error:  # built where there was a C compiler
    _absent: str | None = str(error)
else:
    _absent = None

HINT = "all works, slower; install again where there is a C compiler (docs/compiled.md)"
"""What to do about a problem."""

_INSTANT = datetime(2026, 1, 31, 23, 59, 59, 999_000, tzinfo=UTC)
_USUAL = (
    b'{"type":"user","timestamp":"2024-02-29T12:00:00.123Z","t":"\\u00e9t\xc3\xa9 \\ud83d\\ude00 \\"\\/\\t"}',
    b'{"list":[1,-2147483648,2147483648,0.1,-0.0,1e22,[],{},true,false,null],"":{"a":{"a":""}}}',
    b'{ "snapshot" : {"timestamp": "2025-01-01T00:00:00Z"} , "timestamp": null }',
)
_UNUSUAL = (
    b'{"a":1,"a":2}',
    b'{"a":"\\u0000","b":"\\ud800"}',
    b'{"timestamp":1700000000000,"_id":1,"sum":0.30000000000000004,"big":12345678901234567890}',
    b'{"torn":"',
)


@cache
def problem() -> str | None:
    """Return why lines are read without the compiled way; None if they need not be."""
    return f"not built: {_absent}" if _absent else difference(_encode.encode)


def difference(encode: Encode) -> str | None:
    """Compare both ways on a few lines of every kind; return what is wrong with the compiled one."""
    python, compiled = (
        LogCursor(source_file="p/log.jsonl", project_id="p", encode=way) for way in (None, encode)
    )
    usual = 0
    for line in (*_USUAL, *_UNUSUAL, *_USUAL):
        expected, actual = (each.take(line, ingested_at=_INSTANT) for each in (python, compiled))
        usual += isinstance(actual, EncodedDocument)
        if as_bson(expected) != as_bson(actual):
            return "its documents of test lines are not those that Python makes"
    if usual != 2 * len(_USUAL):
        return f"it makes {usual} of the {2 * len(_USUAL)} usual documents of test lines"
    return None


def as_bson(document: dict[str, object] | EncodedDocument | Unreadable | None) -> bytes | Unreadable | None:
    """Return a document as BSON, whichever way made it."""
    if isinstance(document, EncodedDocument):
        return document.bson
    return bson.encode(document) if isinstance(document, dict) else document


def encode_way() -> Encode | None:
    """Return the compiled way, None if it is not to be trusted."""
    return None if problem() else _encode.encode
