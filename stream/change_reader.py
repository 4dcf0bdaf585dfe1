"""The step between source and window: rows of a reply, the position carried along, and what to measure."""

import time
from collections.abc import Callable

from stream.change_event import Reply
from stream.changes import read_changes
from stream.clock import Clock
from stream.dead_letter_limit import DeadLetterLimit
from stream.errors import TooManyDeadLettersError
from stream.flush import Flusher
from stream.metrics import StreamMetrics
from stream.normalise import microseconds
from stream.position import Position
from stream.stop import StopSignal
from stream.window import NormalisedBatch


class ChangeReader:
    """Turns replies into batches, in stream order, and stops the worker where the stream itself ends.

    Args:
        position: Where reading begins.
        clock: Gives `extracted_at`.
        stop: Told when the collection is dropped or renamed, and when too much is rejected.
        metrics: Counted into.
        flusher: Knows the durable position.
        limit: When too much is rejected.
        monotonic: Times the limit.

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
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.position = position
        self.events = 0
        self._clock = clock
        self._stop = stop
        self._metrics = metrics
        self._flusher = flusher
        self._limit = limit
        self._monotonic = monotonic
        self._is_over = False
        self._last_change_at = position.cluster_time

    def read(self, reply: Reply | None) -> NormalisedBatch | None:
        """Give the batch of a reply; of a tick (None) an empty one at the same position."""
        if self._is_over:
            return None
        if reply is None:
            return NormalisedBatch([], [], 0, self.position)
        changes = read_changes(reply, behind=self.position, extracted_at=microseconds(self._clock()))
        self.position = changes.batch.position
        for operation, count in changes.operations.items():
            self._metrics.events.labels(op=operation).inc(count)
            self.events += count
        if changes.ended_by:
            self._is_over = True
            self._stop.fail(changes.ended_by)
        if self._limit.is_exceeded(len(changes.batch.dead_letters), self._monotonic()):
            self._is_over = True
            self._stop.fail(_too_many(self._limit))
        self._measure(reply, has_changes=bool(len(changes.batch)))
        return changes.batch

    def _measure(self, reply: Reply, *, has_changes: bool) -> None:
        """Compare times of the server only, so that a wrong clock here does not matter."""
        self._metrics.last_reply_timestamp_seconds.set(self._clock().timestamp())
        now = reply.operation_time >> 32
        self._metrics.source_lag_seconds.set(max(0, now - (self.position.cluster_time >> 32)))
        if has_changes:
            self._last_change_at = self.position.cluster_time
            self._metrics.last_event_timestamp_seconds.set(self.position.cluster_time >> 32)
        has_all_landed = self._flusher.durable.cluster_time >= self._last_change_at
        durable = self.position if has_all_landed else self._flusher.durable
        self._metrics.durable_lag_seconds.set(max(0, now - (durable.cluster_time >> 32)))


def _too_many(limit: DeadLetterLimit) -> TooManyDeadLettersError:
    return TooManyDeadLettersError(
        f"more than {limit.max_per_minute} documents a minute are rejected",
        hint="`claude-analytics dead-letters list` tells why; all are kept for a replay; if that is as it "
        "should be, raise STREAM_MAX_DEAD_LETTERS_PER_MINUTE; started again, it goes on behind them",
    )
