"""Replies of a change stream → rows: what each operation means for the copy. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stream.core.change_event import (
    INVALIDATING_OPERATIONS,
    Reply,
    UndecodableEvent,
    decode_batch,
    decode_one,
    document_of,
    is_write,
)
from stream.core.cluster_time import cluster_time_of
from stream.core.collection_event import InvalidatingEvent, InvalidationPolicy
from stream.core.normalise import DeadLetter, deletion, normalise, truncate_marker, undecodable
from stream.core.position import Position, cluster_time_of_token
from stream.core.redact import Redactor
from stream.core.schema import Row
from stream.core.transcribed import LEFT, Transcribed
from stream.core.window import NormalisedBatch
from stream.errors import CollectionInvalidatedError

_DEFAULT_POLICY = InvalidationPolicy()
_Events = Mapping[int, dict[str, Any] | UndecodableEvent]


class Transcribe(Protocol):
    """Makes the rows of usual change events."""

    def __call__(self, batch: bytes, *, extracted_at: int) -> Transcribed | None:
        """Make the rows of usual change events of a BSON array; None if all of it is left to Python."""


@dataclass(frozen=True)
class Changes:
    """What one reply says.

    Attributes:
        batch: Rows, dead letters, and the position behind them.
        operations: Events by operation.
        compiled: How many of them the compiled way made rows of.
        invalidating_events: What happened to the collection as a whole, and was lived through.
        ended_by: Why the stream stops before an event; the position does not cover it.
    """

    batch: NormalisedBatch
    operations: Mapping[str, int]
    compiled: int = 0
    invalidating_events: Sequence[InvalidatingEvent] = ()
    ended_by: CollectionInvalidatedError | None = None


def read_changes(
    reply: Reply,
    *,
    behind: Position,
    extracted_at: int,
    policy: InvalidationPolicy = _DEFAULT_POLICY,
    redactor: Redactor | None = None,
    transcribe: Transcribe | None = None,
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
        transcribe: Makes the rows of usual events; all that is said above holds for them, too.
    """
    found = transcribe(reply.batch, extracted_at=extracted_at) if transcribe else None
    if found is None:
        events = dict(enumerate(decode_batch(reply.batch)))
        found = Transcribed(reply.batch, (), bytes([LEFT]) * len(events))
    else:
        if redactor is not None:
            found = found.without_suspects(redactor)
        events = {number: decode_one(raw) for number, raw in found.left()}
    rows: list[tuple[int, Row]] = []
    dead_letters: list[DeadLetter] = []
    operations: Counter[str] = Counter()
    invalidating_events: list[InvalidatingEvent] = []
    has_truncate_marker = False
    ended_by: CollectionInvalidatedError | None = None
    for number, event in events.items():
        if isinstance(event, UndecodableEvent):
            dead_letters.append(undecodable(document_of(event.raw), event.problem, redactor=redactor))
            continue
        operation = event["operationType"]
        if operation in INVALIDATING_OPERATIONS:
            namespace = behind.fingerprint.namespace
            invalidating = policy.judge(event, namespace)
            if invalidating.action == "stop":
                found = found.before(number)
                position = _behind_last(found, events, behind)
                ended_by = invalidating.error(namespace)
                break
            if invalidating.action == "truncate":
                rows.append((number, truncate_marker(invalidating.cluster_time)))
                dead_letters.clear()
                has_truncate_marker = True
            invalidating_events.append(invalidating)
            continue
        if not is_write(event):
            continue  # about no document: an index that was made, say, or the `invalidate` behind a drop
        operations[operation] += 1
        row = _row_of(event, operation, extracted_at, redactor)
        if isinstance(row, Row):
            rows.append((number, row))
        else:
            dead_letters.append(row)
    else:
        position = _behind_reply(reply, found, events, behind)
    operations += found.operations
    batch = NormalisedBatch(
        found.with_rows(rows), dead_letters, len(reply.batch), position, has_truncate_marker
    )
    return Changes(batch, operations, found.usual, invalidating_events, ended_by)


def _row_of(
    event: Mapping[str, Any], operation: str, extracted_at: int, redactor: Redactor | None
) -> Row | DeadLetter:
    time = event["clusterTime"]
    source_version = cluster_time_of(time.time, time.inc)
    document = event.get("fullDocument")
    if operation == "delete" or document is None:
        return deletion(event["documentKey"]["_id"], source_version=source_version)
    return normalise(document, source_version=source_version, extracted_at=extracted_at, redactor=redactor)


def behind(reply: Reply, position: Position) -> Position:
    """Return where a stream is behind a reply, as far as the reply's own token says.

    Args:
        reply: From the server.
        position: Before it.
    """
    if reply.token is None or reply.token == position.token:
        return position
    time = cluster_time_of_token(reply.token)
    return position.moved(reply.token, reply.operation_time if time is None else time)


def _behind_reply(reply: Reply, found: Transcribed, events: _Events, position: Position) -> Position:
    if reply.token is None:
        return _behind_last(found, events, position)
    return behind(reply, position)


def _behind_last(found: Transcribed, events: _Events, behind: Position) -> Position:
    if not len(found):
        return behind
    last = len(found) - 1
    event = events[last] if last in events else decode_one(found.raw(last))
    if isinstance(event, UndecodableEvent):
        return behind
    time = event["clusterTime"]
    return behind.moved(event["_id"], cluster_time_of(time.time, time.inc))
