"""The step between source and window: rows of a reply, the position carried along, and what to measure."""

import time
from collections.abc import Callable
from dataclasses import replace

from stream.clock import Clock
from stream.core.change_event import Reply
from stream.core.changes import Transcribe, read_changes
from stream.core.cluster_time import instant_of, second_of
from stream.core.collection_event import InvalidatingEvent, InvalidationPolicy
from stream.core.dead_letter_limit import DeadLetterLimit
from stream.core.normalise import microseconds
from stream.core.position import Position
from stream.core.redact import Redactor
from stream.core.schema import NO_ROWS, to_table
from stream.core.window import NormalisedBatch
from stream.errors import TooManyDeadLettersError
from stream.landing.flush import Flusher
from stream.logs import Logger
from stream.metrics import StreamMetrics
from stream.source.resnapshot import Resnapshot
from stream.stop import StopSignal

_HINTS = {
    ("truncate", False): "its rows are removed; set STREAM_ON_DROP to `keep` or `stop` if they should not be",
    ("keep", False): "its rows are kept; `claude-analytics verify` names them as extra",
    ("keep", True): "its rows are kept; `claude-analytics backfill` reads what the collection holds now",
    ("leave", False): "the worker of partition 0 removes its rows",
    ("leave", True): "the worker of partition 0 reads its content again",
    ("resnapshot", True): "its content is read again; the old rows are removed when that is done",
}


class ChangeReader:
    """Turns replies into batches, in stream order, and stops the worker where the stream itself ends.

    Args:
        position: Where reading begins.
        clock: Gives `extracted_at`.
        stop: Told when the stream must not go on behind an event, and when too much is rejected.
        metrics: Counted into.
        flusher: Knows the durable position.
        limit: When too much is rejected.
        policy: What to do when the collection is dropped, renamed or replaced.
        resnapshot: Reads the collection again; its truncate marker is passed on from here.
        log: One line per drop, rename or replacement.
        monotonic: Times the limit.
        redactor: Takes secrets out of the documents.
        transcribe: The compiled way; None leaves all to Python.

    Attributes:
        position: Behind the last reply read.
        events: Change events so far.
    """

    def __init__(
        self,
        position: Position,
        *,
        clock: Clock,
        stop: StopSignal,
        metrics: StreamMetrics,
        flusher: Flusher,
        limit: DeadLetterLimit,
        policy: InvalidationPolicy,
        resnapshot: Resnapshot,
        log: Logger,
        monotonic: Callable[[], float] = time.monotonic,
        redactor: Redactor | None = None,
        transcribe: Transcribe | None = None,
    ) -> None:
        self.position = position
        self.events = 0
        self._clock = clock
        self._stop = stop
        self._metrics = metrics
        self._flusher = flusher
        self._limit = limit
        self._monotonic = monotonic
        self._redactor = redactor
        self._transcribe = transcribe
        self._policy = policy
        self._resnapshot = resnapshot
        self._log = log
        self._is_over = False
        self._last_change_at = position.cluster_time

    def read(self, reply: Reply | None) -> NormalisedBatch | None:
        """Return the batch of a reply; of a tick (None) an empty one at the same position."""
        if self._is_over:
            return None
        if reply is None:
            return self._with_truncate_marker(NormalisedBatch(NO_ROWS, [], 0, self.position))
        changes = read_changes(
            reply,
            behind=self.position,
            extracted_at=microseconds(self._clock()),
            policy=self._policy,
            redactor=self._redactor,
            transcribe=self._transcribe,
        )
        for event in changes.invalidating_events:
            self._live_through(event)
        self.position = changes.batch.position
        for operation, count in changes.operations.items():
            self._metrics.events.labels(op=operation).inc(count)
            self.events += count
        self._metrics.count_decoded(
            compiled=changes.compiled, in_python=sum(changes.operations.values()) - changes.compiled
        )
        if changes.ended_by:
            self._is_over = True
            self._stop.fail(changes.ended_by)
        if self._limit.is_exceeded(len(changes.batch.dead_letters), self._monotonic()):
            self._is_over = True
            self._stop.fail(_too_many(self._limit))
        self._measure(reply, has_changes=bool(len(changes.batch)))
        return changes.batch

    def _with_truncate_marker(self, batch: NormalisedBatch) -> NormalisedBatch:
        """Add the truncate marker of a resnapshot, if one has ended, to a batch without anything else."""
        marker = self._resnapshot.take_truncate_marker()
        return batch if marker is None else replace(batch, table=to_table([marker]), has_truncate_marker=True)

    def _live_through(self, event: InvalidatingEvent) -> None:
        """Say what has happened; what a resnapshot needs is durable before the position moves on."""
        self._log.warning(
            "collection_replaced" if event.is_replacement else "collection_dropped",
            operation=event.operation,
            target=event.target,
            instant=instant_of(event.cluster_time).isoformat(),
            action=event.action,
            hint=_HINTS[event.action, event.is_replacement],
        )
        if event.action == "resnapshot":
            self._resnapshot.begin(event.cluster_time)

    def _measure(self, reply: Reply, *, has_changes: bool) -> None:
        """Compare times of the server only, so that a wrong clock here does not matter."""
        self._metrics.last_reply_timestamp_seconds.set(self._clock().timestamp())
        now = second_of(reply.operation_time)
        self._metrics.source_lag_seconds.set(max(0, now - second_of(self.position.cluster_time)))
        if has_changes:
            self._last_change_at = self.position.cluster_time
            self._metrics.last_event_timestamp_seconds.set(second_of(self.position.cluster_time))
        has_all_landed = self._flusher.durable.cluster_time >= self._last_change_at
        durable = self.position if has_all_landed else self._flusher.durable
        self._metrics.durable_lag_seconds.set(max(0, now - second_of(durable.cluster_time)))


def _too_many(limit: DeadLetterLimit) -> TooManyDeadLettersError:
    return TooManyDeadLettersError(
        f"more than {limit.max_per_minute} documents a minute are rejected",
        hint="`claude-analytics dead-letters list` tells why; all are kept for a replay; if that is as it "
        "should be, raise STREAM_MAX_DEAD_LETTERS_PER_MINUTE; started again, it goes on behind them",
    )
