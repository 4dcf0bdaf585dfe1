"""Replies of a change stream → rows: what each operation means for the copy. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import json_util

from stream.change_event import INVALIDATING_OPERATIONS, Reply, UndecodableEvent, decode_batch, is_write
from stream.errors import CollectionInvalidatedError
from stream.normalise import DeadLetter, deletion, normalise, undecodable
from stream.position import Position, cluster_time_of, cluster_time_of_token
from stream.schema import Row
from stream.window import NormalisedBatch


@dataclass(frozen=True)
class Changes:
    """What one reply says.

    Attributes:
        batch: Rows, dead letters, and the position behind them.
        operations: Events by operation.
        ended_by: The event that ends the stream (drop, rename …), not covered by the position.
    """

    batch: NormalisedBatch
    operations: Mapping[str, int]
    ended_by: CollectionInvalidatedError | None = None


def read_changes(reply: Reply, *, behind: Position, extracted_at: int) -> Changes:
    """Make the rows of a reply, in stream order.

    An insert, update or replace becomes the whole document as the server looked it up: maybe a newer version
    than the event's own, in which case the later event brings it once more. If there is none any more the
    document has been deleted since, and the row says so: never an empty document.

    Args:
        reply: From the server.
        behind: Position before the reply.
        extracted_at: When it was read, microseconds since 1970.
    """
    events = decode_batch(reply.batch)
    rows: list[Row] = []
    dead_letters: list[DeadLetter] = []
    operations: Counter[str] = Counter()
    for number, event in enumerate(events):
        if isinstance(event, UndecodableEvent):
            dead_letters.append(undecodable(event.raw, event.problem))
            continue
        operation = event["operationType"]
        if operation in INVALIDATING_OPERATIONS:
            position = _behind_event(events[number - 1], behind) if number else behind
            return Changes(
                NormalisedBatch(rows, dead_letters, len(reply.batch), position),
                operations,
                _invalidated(operation, event, behind),
            )
        if not is_write(event):
            continue  # about the collection, no document: an index that was made, say
        operations[operation] += 1
        found = _row_of(event, operation, extracted_at)
        if isinstance(found, Row):
            rows.append(found)
        else:
            dead_letters.append(found)
    position = _behind_reply(reply, events, behind)
    return Changes(NormalisedBatch(rows, dead_letters, len(reply.batch), position), operations)


def _row_of(event: Mapping[str, Any], operation: str, extracted_at: int) -> Row | DeadLetter:
    time = event["clusterTime"]
    source_version = cluster_time_of(time.time, time.inc)
    document = event.get("fullDocument")
    if operation == "delete" or document is None:
        return deletion(event["documentKey"]["_id"], source_version=source_version)
    return normalise(document, source_version=source_version, extracted_at=extracted_at)


def _behind_reply(
    reply: Reply, events: list[dict[str, Any] | UndecodableEvent], behind: Position
) -> Position:
    if reply.token is None:
        return _behind_event(events[-1], behind) if events else behind
    if reply.token == behind.token:
        return behind
    time = cluster_time_of_token(reply.token)
    return Position(reply.token, reply.operation_time if time is None else time, behind.fingerprint)


def _behind_event(event: Mapping[str, Any] | UndecodableEvent, behind: Position) -> Position:
    if isinstance(event, UndecodableEvent):
        return behind
    time = event["clusterTime"]
    return Position(event["_id"], cluster_time_of(time.time, time.inc), behind.fingerprint)


def _invalidated(operation: str, event: Mapping[str, Any], behind: Position) -> CollectionInvalidatedError:
    target = json_util.dumps(event["to"]) if "to" in event else ""
    return CollectionInvalidatedError(
        f"the collection `{behind.fingerprint.namespace}` has been changed as a whole: `{operation}`"
        + (f" to `{target}`" if target else ""),
        hint="all changes before it have landed, and the rows are kept; once the collection is back, go on "
        "with `claude-analytics stream --from-now` and fetch what it holds with `claude-analytics backfill`",
    )
