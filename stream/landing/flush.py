"""What happens to a closed window: dead letters, then the micro-batch, made durable in this order."""

import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from stream.clock import Clock
from stream.core.position import Position
from stream.core.window import ClosedWindow
from stream.errors import AlreadyRunningError, LandingFullError, StorageUnavailableError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.footer import Footer, footer_of
from stream.landing.landed_file import Failpoint, no_failpoint
from stream.landing.lane_writer import LaneWriter
from stream.landing.micro_batch import MicroBatch
from stream.logs import Logger
from stream.metrics import StreamMetrics
from stream.stop import StopSignal

_RETRY_SECONDS = 5.0

Written = TypeVar("Written")


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
        at_failpoint: Called between two steps that a crash may part.
        on_truncate: Called when a truncate marker is durable, with its cluster time.

    Attributes:
        durable: Everything before this position is in the landing zone.
    """

    def __init__(
        self,
        lane: LaneWriter,
        dead_letters: DeadLetterStore,
        position: Position,
        *,
        clock: Clock,
        stop: StopSignal,
        metrics: StreamMetrics,
        log: Logger,
        at_failpoint: Failpoint = no_failpoint,
        on_truncate: Callable[[int], None] = lambda _marker: None,
    ) -> None:
        self._lane = lane
        self._dead_letters = dead_letters
        self._clock = clock
        self._stop = stop
        self._metrics = metrics
        self._log = log
        self._at_failpoint = at_failpoint
        self._on_truncate = on_truncate
        self._newest = lane.newest()
        self.durable = position

    def flush(self, window: ClosedWindow) -> MicroBatch | None:
        """Make a window durable; without rows only its position. Waits while there is no room.

        Returns:
            The micro-batch that landed, if one did.

        Raises:
            LandingFullError: Still no space when the worker was told to stop; the window is read again later.
            StorageUnavailableError: Likewise, if the object store does not answer.
            AlreadyRunningError: Another worker landed in this lane.
            LandingNotWritableError: The folder cannot be written.
        """
        if window.is_empty:
            self._until_there_is_room(lambda: self._lane.save_position(window.position, behind=self._newest))
            landed = None
        else:
            # One name and one content for all attempts: what one leaves behind, the next one overwrites.
            micro_batch = self._lane.new_name(self._newest.sequence + 1 if self._newest else 0)
            footer = footer_of(
                micro_batch.id,
                window.table,
                landed_at=self._clock(),
                dead_letters=len(window.dead_letters),
                position=window.position,
            )
            landed = self._until_there_is_room(lambda: self._land(micro_batch, window, footer))
            self._newest = landed
            if footer.truncate_marker is not None:
                self._on_truncate(footer.truncate_marker)
        self.durable = window.position
        return landed

    def _until_there_is_room(self, write: Callable[[], Written]) -> Written:
        while True:
            try:
                return write()
            except (LandingFullError, StorageUnavailableError) as error:
                event = "disk_full" if isinstance(error, LandingFullError) else "storage_unavailable"
                self._log.error(event, problem=error.message, hint=error.hint)
                if self._stop.wait(_RETRY_SECONDS):
                    raise

    def _land(self, micro_batch: MicroBatch, window: ClosedWindow, footer: Footer) -> MicroBatch:
        started = time.perf_counter()
        self._at_failpoint("window_closed")
        if window.dead_letters:
            self._dead_letters.store(micro_batch, window.dead_letters)
            self._at_failpoint("dead_letters_stored")
        try:
            landed = self._lane.land(micro_batch, window.table, footer)
        except AlreadyRunningError:
            self._dead_letters.forget(micro_batch)
            raise
        seconds = time.perf_counter() - started
        self._metrics.flush_seconds.observe(seconds)
        self._metrics.rows_landed.inc(window.table.num_rows)
        for reason, count in Counter(letter.reason for letter in window.dead_letters).items():
            self._metrics.dead_letters.labels(reason=reason).inc(count)
        self._log.info(
            "micro_batch_landed",
            micro_batch=landed.id,
            upserts=footer.upserts,
            deletes=footer.deletes,
            dead_letters=footer.dead_letters,
            seconds=round(seconds, 3),
            position=window.position.instant.isoformat(),
        )
        return landed
