"""The Bytewax source: replies of the change stream, prefetched by a thread into a bounded queue."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from stream.core.change_event import Reply
from stream.core.position import cluster_time_of_token
from stream.errors import AnalyticsError, StepFailedError
from stream.source.change_stream import ChangeStream
from stream.stop import StopSignal

_MAX_QUEUED_REPLIES = 8
_MAX_QUEUED_BYTES = 4_000_000
_POLL_SECONDS = 0.1


class Prefetch:
    """A thread that reads ahead, as far as a bounded queue allows.

    Args:
        changes: What to read.
        stop: Ends it; an error of the stream is reported through it.
    """

    def __init__(self, changes: ChangeStream, stop: StopSignal) -> None:
        self._changes = changes
        self._stop = stop
        self._queue: deque[Reply] = deque()
        self._size_bytes = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="read-changes", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self, timeout_seconds: float) -> Reply | None:
        """Return the next reply, None if there is none within the time."""
        with self._changed:
            if not self._queue:
                self._changed.wait(timeout_seconds)
            if not self._queue:
                return None
            reply = self._queue.popleft()
            self._size_bytes -= len(reply.batch)
            self._changed.notify_all()
            return reply

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread to end after the stop signal."""
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            for reply in self._changes.replies():
                self._put(reply)
        except AnalyticsError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a thread must not die in silence
            self._fail(
                StepFailedError(
                    f"cannot read the change stream: {type(error).__name__}: {error}",
                    hint="a defect of claude-analytics: please report it; starting again loses nothing",
                )
            )

    def _fail(self, error: AnalyticsError) -> None:
        """End the worker with an error, once it has taken what was read before."""
        with self._changed:
            while self._queue and not self._stop.is_set:
                self._changed.wait(_POLL_SECONDS)
        self._stop.fail(error)

    def _put(self, reply: Reply) -> None:
        with self._changed:
            while not self._stop.is_set and (
                len(self._queue) >= _MAX_QUEUED_REPLIES
                or (self._queue and self._size_bytes + len(reply.batch) > _MAX_QUEUED_BYTES)
            ):
                self._changed.wait(_POLL_SECONDS)
            self._queue.append(reply)
            self._size_bytes += len(reply.batch)
            self._changed.notify_all()


@dataclass
class _ChangesPartition(StatefulSourcePartition[Reply | None, None]):
    """The only partition: reads until the stop signal, or until the source has been idle for long enough."""

    prefetch: Prefetch
    stop: StopSignal
    until_idle_seconds: float | None
    is_held: Callable[[], bool]
    monotonic: Callable[[], float]

    def __post_init__(self) -> None:
        self._busy_at = self.monotonic()
        self._goal: int | None = None
        self.prefetch.start()

    def next_batch(self) -> list[Reply | None]:
        """Return one reply; None is a tick that lets windows grow old while nothing arrives."""
        if self.stop.is_set:
            raise StopIteration
        reply = self.prefetch.take(_POLL_SECONDS)
        if reply is not None and self._is_idle(reply):
            self.stop.finish()
        return [reply]

    def _is_idle(self, reply: Reply) -> bool:
        """Whether to end, with nothing left to read.

        Only a reply can tell: silence may be an outage. An empty one from the midst of a long oplog does not
        count: the stream must have come to where the server was when it answered first.
        """
        if self._goal is None:
            self._goal = reply.operation_time
        if not reply.is_empty:
            self._busy_at = self.monotonic()
        reached = cluster_time_of_token(reply.token) if reply.token else None
        return (
            self.until_idle_seconds is not None
            and reply.is_empty
            and not self.is_held()
            and (reached is None or reached >= self._goal)
            and self.monotonic() - self._busy_at >= self.until_idle_seconds
        )

    def snapshot(self) -> None:
        """Keep nothing in Bytewax: the landing zone holds the position."""

    def close(self) -> None:
        """Let the thread end."""
        self.stop.finish()
        self.prefetch.join(_POLL_SECONDS)


class ChangeStreamSource(FixedPartitionedSource[Reply | None, None]):
    """Replies of a change stream, in stream order.

    Unit of parallelism: none; a change stream is one sequence.
    Delivery guarantee: none of its own; positions travel with the data, and the landing zone keeps them.

    Args:
        prefetch: Gives the replies.
        stop: Ends it.
        until_idle_seconds: End after so long without a change; None never does.
        is_held: Whether something else is still to be done before that.
        monotonic: Gives seconds.
    """

    def __init__(
        self,
        prefetch: Prefetch,
        stop: StopSignal,
        *,
        until_idle_seconds: float | None = None,
        is_held: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefetch = prefetch
        self._stop = stop
        self._until_idle_seconds = until_idle_seconds
        self._is_held = is_held
        self._monotonic = monotonic

    def list_parts(self) -> list[str]:
        """Name the only partition."""
        return ["changes"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _ChangesPartition:  # noqa: ARG002
        """Open the partition."""
        return _ChangesPartition(
            self._prefetch, self._stop, self._until_idle_seconds, self._is_held, self._monotonic
        )
