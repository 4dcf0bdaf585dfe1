"""What happens to a closed window: dead letters, then the micro-batch, made durable in this order."""

import time
from collections import Counter

from stream.clock import Clock
from stream.dead_letters import DeadLetterStore
from stream.errors import LandingFullError
from stream.landing import Lane
from stream.logs import Logger
from stream.metrics import StreamMetrics
from stream.micro_batch import Footer, MicroBatch, to_table
from stream.position import Position
from stream.stop import StopSignal
from stream.window import ClosedWindow

_RETRY_SECONDS = 5.0


class Flusher:
    """Lands windows in one lane, whose only writer it is.

    Args:
        lane: Where micro-batches land.
        dead_letters: Where rejected documents go.
        position: Where the lane stands.
        clock: Dates the files.
        stop: Ends the waiting for a full disk.
        metrics: Counted into.
        log: One line per micro-batch.

    Attributes:
        durable: Everything before this position is in the landing zone.
    """

    def __init__(
        self,
        lane: Lane,
        dead_letters: DeadLetterStore,
        position: Position,
        *,
        clock: Clock,
        stop: StopSignal,
        metrics: StreamMetrics,
        log: Logger,
    ) -> None:
        self._lane = lane
        self._dead_letters = dead_letters
        self._clock = clock
        self._stop = stop
        self._metrics = metrics
        self._log = log
        newest = lane.newest()
        self._sequence = newest.sequence if newest else -1
        self.durable = position

    def flush(self, window: ClosedWindow) -> MicroBatch | None:
        """Make a window durable; without rows only its position. Waits while the disk is full.

        Returns:
            The micro-batch that landed, if one did.

        Raises:
            LandingFullError: Still no space when the worker was told to stop; the window is read again later.
            LandingNotWritableError: The folder cannot be written.
        """
        while True:
            try:
                landed = self._land(window)
            except LandingFullError as error:
                self._log.error("disk_full", problem=error.message, hint=error.hint)
                if self._stop.wait(_RETRY_SECONDS):
                    raise
            else:
                self.durable = window.position
                return landed

    def _land(self, window: ClosedWindow) -> MicroBatch | None:
        if window.is_empty:
            self._lane.save_position(window.position, sequence=self._sequence)
            return None
        started = time.perf_counter()
        micro_batch = self._lane.new_name(self._sequence + 1)
        if window.dead_letters:
            self._dead_letters.store(micro_batch, window.dead_letters)
        footer = footer_of(micro_batch, window, landed_at=self._clock().isoformat())
        self._lane.land(micro_batch, to_table(window.rows), footer)
        self._sequence += 1
        self._metrics.flush_seconds.observe(time.perf_counter() - started)
        self._metrics.rows_landed.inc(len(window.rows))
        for reason, count in Counter(letter.reason for letter in window.dead_letters).items():
            self._metrics.dead_letters.labels(reason=reason).inc(count)
        self._log.info(
            "micro_batch_landed",
            micro_batch=micro_batch.id,
            upserts=footer.upserts,
            deletes=footer.deletes,
            dead_letters=footer.dead_letters,
            seconds=round(time.perf_counter() - started, 3),
            position=window.position.instant.isoformat(),
        )
        return micro_batch


def footer_of(micro_batch: MicroBatch, window: ClosedWindow, *, landed_at: str) -> Footer:
    """Sum a window up for the footer of its file."""
    versions = [row.source_version for row in window.rows]
    deletes = sum(1 for row in window.rows if row.op == "delete")
    return Footer(
        micro_batch_id=micro_batch.id,
        rows=len(window.rows),
        upserts=len(window.rows) - deletes,
        deletes=deletes,
        dead_letters=len(window.dead_letters),
        first_cluster_time=min(versions, default=None),
        last_cluster_time=max(versions, default=None),
        position=window.position,
        landed_at=landed_at,
    )
