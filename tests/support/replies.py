"""Replies of a server as bytes, made by hand."""

from typing import Any

import bson
from bson import Int64, Timestamp

from stream.core.cluster_time import cluster_time_of
from stream.core.position import Fingerprint, Position

SOURCE = Fingerprint("6507", "rs0", "claude_logs.conversations", "1")
BEGINNING = Position({"_data": "begin"}, 0, SOURCE)


def token_at(second: int, increment: int = 1) -> dict[str, str]:
    """Return a token with a cluster time in it, as the server writes them."""
    return {"_data": f"82{second:08X}{increment:08X}2B"}


def position_at(second: int, increment: int = 1) -> Position:
    """Return a position at a cluster time."""
    return Position(token_at(second, increment), cluster_time_of(second, increment), SOURCE)


def event(operation: str, second: int, increment: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a change event."""
    return {
        "_id": token_at(second, increment),
        "operationType": operation,
        "clusterTime": Timestamp(second, increment),
        **fields,
    }


def insert(document: dict[str, Any], second: int, increment: int = 1) -> dict[str, Any]:
    """Return the event of an insert."""
    key = {"_id": document.get("_id")}
    return event("insert", second, increment, documentKey=key, fullDocument=document)


def fragments(document: dict[str, Any], second: int, of: int = 3) -> list[dict[str, Any]]:
    """Return an insert as that many fragments, each with a token of its own and some of the fields."""
    fields = list(insert(document, second).items())[1:]
    return [
        {"_id": token_at(second, number), "splitEvent": {"fragment": number, "of": of}}
        | dict(fields[number - 1 :: of])
        for number in range(1, of + 1)
    ]


def raw_reply(
    events: list[Any],
    *,
    token: dict[str, Any] | None,
    name: str = "nextBatch",
    cursor_id: int = 7,
    second: int = 100,
) -> bytes:
    """Return the BSON of a reply."""
    cursor: dict[str, Any] = {name: events}
    if token is not None:
        cursor["postBatchResumeToken"] = token
    cursor |= {"id": Int64(cursor_id), "ns": "claude_logs.conversations"}
    return bson.encode(
        {
            "cursor": cursor,
            "ok": 1.0,
            "$clusterTime": {"clusterTime": Timestamp(second, 9)},
            "operationTime": Timestamp(second, 1),
        }
    )


POISON = b"\xff\xfe\xff"
"""Not UTF-8; as long as the text it takes the place of."""


def poisoned(raw: bytes) -> bytes:
    """Make the text `BAD` invalid, wherever it is."""
    assert b"BAD" in raw
    return raw.replace(b"BAD", POISON)
