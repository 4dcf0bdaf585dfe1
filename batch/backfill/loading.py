"""A thread that loads landed ranges beside the reading, some at once, as DuckDB likes it."""

import threading
import time

from batch.backfill.progress import RangeTally
from stream.errors import AnalyticsError, WarehouseBusyError
from stream.logs import Logger
from stream.stop import StopSignal
from stream.warehouse.load import LoadResult
from stream.warehouse.loader import load_what_has_landed
from stream.warehouse.warehouse import Warehouse

_LOAD_ROWS = 40_000
_LOAD_SIZE_BYTES = 100_000_000
"""Rows, or their BSON, that make a load worth its while; more would leave more to load when all is read."""
_BUSY_RETRY_SECONDS = 1.0
_POLL_SECONDS = 0.1
_HURRY_SECONDS = 3.0
"""How long a load may go on after a stop signal; with the time that ranges have, less than ten in all."""


class RangeLoader:
    """Loads whenever enough has landed, and at the end the rest.

    Args:
        warehouse: Where to load; whatever else has landed is loaded along.
        tally: Told what is loaded.
        stop: Once set, a load is broken off after a few seconds, and none is begun.
        final_threads: Of DuckDB once all is read and the cores are free; None for the warehouse's own.
        log: One line per load, one per change of trouble.

    Attributes:
        total: What was loaded so far.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        *,
        tally: RangeTally,
        stop: StopSignal,
        log: Logger,
        final_threads: int | None = None,
    ) -> None:
        self._warehouse = warehouse
        self._tally = tally
        self._stop = stop
        self._log = log
        self._final_threads = final_threads
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._wake = threading.Event()
        self._rows = self._size_bytes = 0
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.total = LoadResult()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def notify(self, *, rows: int, size_bytes: int) -> None:
        """Say that a range has landed."""
        with self._lock:
            self._rows += rows
            self._size_bytes += size_bytes
        self._wake.set()

    def finish(self, *, timeout_seconds: float) -> None:
        """End the thread; unless the stop signal is set, load the rest.

        Args:
            timeout_seconds: How long to wait for another process to release the warehouse.

        Raises:
            WarehouseBusyError: It was not released; what has landed waits for the next load.
            AnalyticsError: The warehouse or a landed file is damaged.
        """
        self._is_over.set()
        self._wake.set()
        hurried_at: float | None = None
        while self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
            if self._stop.is_set:
                hurried_at = hurried_at or time.monotonic()
                if time.monotonic() > hurried_at + _HURRY_SECONDS:
                    self._warehouse.interrupt()
        give_up_at = time.monotonic() + timeout_seconds
        while not self._stop.is_set:
            error = self._load(threads=self._final_threads)
            if error is None:
                return
            if not isinstance(error, WarehouseBusyError) or time.monotonic() > give_up_at:
                raise error
            self._report(error)
            self._stop.wait(_BUSY_RETRY_SECONDS)

    def _run(self) -> None:
        while not self._is_over.is_set() and not self._stop.is_set:
            self._wake.clear()
            if self._rows >= _LOAD_ROWS or self._size_bytes >= _LOAD_SIZE_BYTES:
                error = self._load()
                if error is not None:
                    self._report(error)
                    self._is_over.wait(_BUSY_RETRY_SECONDS)
                continue
            self._wake.wait(_POLL_SECONDS)

    def _load(self, *, threads: int | None = None) -> AnalyticsError | None:
        """Load what has landed; give what went wrong."""
        with self._lock:
            rows, size_bytes = self._rows, self._size_bytes
        landed = self._tally.landed
        result = load_what_has_landed(self._warehouse, self._log, threads=threads)
        if isinstance(result, AnalyticsError):
            return result
        self._trouble = None
        with self._lock:
            self._rows -= rows
            self._size_bytes -= size_bytes
        self._tally.load(landed)
        self.total += result
        return None

    def _report(self, error: AnalyticsError) -> None:
        if error.message != self._trouble:
            self._log.warning("load_waits", problem=error.message, hint=error.hint)
            self._trouble = error.message
