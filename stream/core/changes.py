"""Replies of a change stream → rows: what each operation means for the copy. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stream.core.change_event import INVALIDATING_OPERATIONS, Reply, UndecodableEvent, decode_batch, is_write
from stream.core.collection_event import InvalidatingEvent, InvalidationPolicy
from stream.core.normalise import DeadLetter, deletion, normalise, truncate_marker, undecodable
from stream.core.position import Position, cluster_time_of, cluster_time_of_token
from stream.core.redact import Redactor
from stream.core.schema import Row
from stream.core.window import NormalisedBatch
from stream.errors import CollectionInvalidatedError

_DEFAULT_POLICY = InvalidationPolicy()


@dataclass(frozen=True)
class Changes:
    """What one reply says.

    Attributes:
        batch: Rows, dead letters, and the position behind them.
        operations: Events by operation.
        invalidating_events: What happened to the collection as a whole, and was lived through.
        ended_by: Why the stream stops before an event; the position does not cover it.
    """

    batch: NormalisedBatch
    operations: Mapping[str, int]
    invalidating_events: Sequence[InvalidatingEvent] = ()
    ended_by: CollectionInvalidatedError | None = None


def read_changes(
    reply: Reply,
    *,
    behind: Position,
    extracted_at: int,
    policy: InvalidationPolicy = _DEFAULT_POLICY,
    redactor: Redactor | None = None,
) -> Changes:
    """Make the rows of a reply, in stream order.

    An insert, update or replace becomes the whole document as the server looked it up: maybe a newer version
    than the event's own, in which case the later event brings it once more. If there is none any more the
    document has been deleted since, and the row says so: never an empty document. A drop becomes a truncate
    marker; documents rejected before it in the same reply are deleted, so nobody needs to hear of them.

    Args:
        reply: From the server.
        behind: Position before the reply.
        extracted_at: When it was read, microseconds since 1970.
        policy: What to do when the collection is dropped, renamed or replaced.
        redactor: Takes secrets out of the documents.
    """
    events = decode_batch(reply.batch)
    rows: list[Row] = []
    dead_letters: list[DeadLetter] = []
    operations: Counter[str] = Counter()
    invalidating_events: list[InvalidatingEvent] = []
    has_truncate_marker = False
    for number, event in enumerate(events):
        if isinstance(event, UndecodableEvent):
            dead_letters.append(undecodable(event.raw, event.problem, redactor=redactor))
            continue
        operation = event["operationType"]
        if operation in INVALIDATING_OPERATIONS:
            namespace = behind.fingerprint.namespace
            invalidating = policy.judge(event, namespace)
            if invalidating.action == "stop":
                position = _behind_event(events[number - 1], behind) if number else behind
                batch = NormalisedBatch(rows, dead_letters, len(reply.batch), position, has_truncate_marker)
                return Changes(batch, operations, invalidating_events, invalidating.error(namespace))
            if invalidating.action == "truncate":
                rows.append(truncate_marker(invalidating.cluster_time))
                dead_letters.clear()
                has_truncate_marker = True
            invalidating_events.append(invalidating)
            continue
        if not is_write(event):
            continue  # about no document: an index that was made, say, or the `invalidate` behind a drop
        operations[operation] += 1
        found = _row_of(event, operation, extracted_at, redactor)
        if isinstance(found, Row):
            rows.append(found)
        else:
            dead_letters.append(found)
    position = _behind_reply(reply, events, behind)
    batch = NormalisedBatch(rows, dead_letters, len(reply.batch), position, has_truncate_marker)
    return Changes(batch, operations, invalidating_events)


def _row_of(
    event: Mapping[str, Any], operation: str, extracted_at: int, redactor: Redactor | None
) -> Row | DeadLetter:
    time = event["clusterTime"]
    source_version = cluster_time_of(time.time, time.inc)
    document = event.get("fullDocument")
    if operation == "delete" or document is None:
        return deletion(event["documentKey"]["_id"], source_version=source_version)
    return normalise(document, source_version=source_version, extracted_at=extracted_at, redactor=redactor)


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
