"""A thread that loads what has landed, so that reading never waits for DuckDB."""

import random
import threading
import time
from collections.abc import Callable

from stream.errors import AnalyticsError, StepFailedError, WarehouseBusyError
from stream.logs import Logger
from stream.warehouse.load import LoadResult
from stream.warehouse.warehouse import Warehouse

_FIRST_BUSY_RETRY_SECONDS = 0.02
_LONGEST_BUSY_RETRY_SECONDS = 0.25
"""A reader that opens the file again and again leaves gaps this short; a try costs milliseconds."""
_FAILURE_RETRY_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 1.0
"""Between two loads, which else pause for as long as the first took: in a backlog, few large loads cost far
less than many small ones."""
_POLL_SECONDS = 0.1
_HURRY_SECONDS = 4.0
"""How long loading may go on after a signal; with what else a process does then, less than ten in all."""


def busy_retry_seconds(tries: int, *, share: float) -> float:
    """Return how long to wait after a try at a warehouse that somebody else has open.

    Args:
        tries: How many there were in a row, at least 1; the wait doubles with each, up to a quarter second.
        share: Between 0 and 1, by chance: never in step with a reader that has a rhythm of its own.
    """
    longest_seconds = min(_FIRST_BUSY_RETRY_SECONDS * 2.0 ** min(tries - 1, 10), _LONGEST_BUSY_RETRY_SECONDS)
    return longest_seconds * (0.5 + share / 2)


class Loader:
    """Loads whenever enough has landed; keeps trying when the warehouse is held, or broken.

    Args:
        warehouse: Where to load; whatever else has landed is loaded along.
        log: One line per load, one per change of trouble.
        on_loaded: Called after each load, with how many of the micro-batches notified so far are loaded.
        is_given_up: Once it says so no load is begun; what has landed waits for the next process.
        final_threads: Of DuckDB for the load of the rest, when cores are free; None for the warehouse's own.
        longest_pause_seconds: After a load nothing is loaded for as long as that took, and at most this.

    Attributes:
        total: What was loaded so far.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        *,
        log: Logger,
        on_loaded: Callable[[LoadResult, int], None] = lambda _result, _micro_batches: None,
        is_given_up: Callable[[], bool] = lambda: False,
        final_threads: int | None = None,
        longest_pause_seconds: float = _LONGEST_PAUSE_SECONDS,
    ) -> None:
        self._warehouse = warehouse
        self._log = log
        self._on_loaded = on_loaded
        self._is_given_up = is_given_up
        self._final_threads = final_threads
        self._longest_pause_seconds = longest_pause_seconds
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._give_up_at = 0.0
        self._error: AnalyticsError | None = None
        self._trouble: str | None = None
        self._busy_tries = 0
        # Each is written by one thread only: their difference cannot drift.
        self._landed = 0
        self._loaded = 0
        self._share = 1.0
        self._waits_since: float | None = None
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.total = LoadResult()

    def start(self) -> None:
        """Begin, with what an earlier worker left pending."""
        self._wake.set()
        self._thread.start()

    @property
    def pending(self) -> int:
        """Micro-batches notified and not loaded yet."""
        return self._landed - self._loaded

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has waited; 0 without any."""
        waits_since = self._waits_since
        return 0.0 if waits_since is None else time.monotonic() - waits_since

    def notify(self, *, share: float = 1.0) -> None:
        """Say that a micro-batch has landed.

        Args:
            share: Of what makes a load worth its while; it begins when shares add up to 1.
        """
        with self._counting:
            self._landed += 1
            self._share += share
            if self._waits_since is None:
                self._waits_since = time.monotonic()
        self._wake.set()

    def finish(self, *, timeout_seconds: float, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """Load the rest and end the thread.

        Args:
            timeout_seconds: How long to wait for another process to release the warehouse.
            is_hurried: Whether the process was told to stop: then all this, a long load too, is broken off
                after a few seconds.

        Raises:
            WarehouseBusyError: It was not released, or time ran out; the next load takes what has landed.
            AnalyticsError: The warehouse or a landed file is damaged.
        """
        self._give_up_at = time.monotonic() + timeout_seconds
        self._stopping.set()
        self._wake.set()
        hurried_at: float | None = None
        while self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
            if hurried_at is None and is_hurried():
                hurried_at = time.monotonic()
                self._give_up_at = min(self._give_up_at, hurried_at + _HURRY_SECONDS)
            if hurried_at is not None and time.monotonic() > hurried_at + _HURRY_SECONDS:
                self._warehouse.interrupt()
        if self._error and not self._is_given_up():
            raise self._error

    def _run(self) -> None:
        retry_seconds: float | None = None
        while not self._stopping.is_set():
            self._wake.wait(retry_seconds)
            self._wake.clear()
            if self._share >= 1 and not self._stopping.is_set() and not self._is_given_up():
                began_at = time.monotonic()
                retry_seconds = self._try_to_load()
                if retry_seconds is None:
                    self._stopping.wait(min(time.monotonic() - began_at, self._longest_pause_seconds))
        self._load_the_rest()

    def _try_to_load(self) -> float | None:
        """Load; give the seconds after which to try again, None if it went well."""
        error = self._load()
        if error is None:
            if self._trouble:
                self._log.info("load_recovered")
            self._trouble = None
            self._busy_tries = 0
            return None
        self._report(error)
        if not isinstance(error, WarehouseBusyError):
            return _FAILURE_RETRY_SECONDS
        self._busy_tries += 1
        return busy_retry_seconds(self._busy_tries, share=random.random())  # noqa: S311 - no secret

    def _load_the_rest(self) -> None:
        while not self._is_given_up():
            self._error = self._load(threads=self._final_threads)
            if not isinstance(self._error, WarehouseBusyError) or time.monotonic() >= self._give_up_at:
                return
            self._report(self._error)
            time.sleep(_POLL_SECONDS)

    def _report(self, error: AnalyticsError) -> None:
        if error.message != self._trouble:
            self._log.warning("load_waits", problem=error.message, hint=error.hint)
        self._trouble = error.message

    def _load(self, *, threads: int | None = None) -> AnalyticsError | None:
        """Load if the warehouse is free; an error is returned, not raised: the thread must not die of any."""
        with self._counting:
            landed, share, began_at = self._landed, self._share, time.monotonic()
        try:
            result = self._warehouse.load(timeout_seconds=0, threads=threads)
        except AnalyticsError as error:
            return error
        except Exception as error:  # noqa: BLE001 - see above
            return StepFailedError(
                f"cannot load into the warehouse: {type(error).__name__}: {error}",
                hint="a defect of claude-analytics: please report it; what has landed is not lost",
            )
        with self._counting:
            self._loaded = landed
            self._share -= share
            self._waits_since = began_at if self._landed > landed else None
        if result.micro_batches:
            self._log.info(
                "loaded",
                micro_batches=result.micro_batches,
                rows=result.rows,
                upserted=result.rows_upserted,
                deleted=result.rows_deleted,
                seconds=round(time.monotonic() - began_at, 1),
            )
        self.total += result
        self._on_loaded(result, landed)
        return None


class NoLoader:
    """Leaves the loading to others.

    Attributes:
        total: Nothing.
    """

    total = LoadResult()

    def start(self) -> None:
        """Do nothing."""

    def notify(self) -> None:
        """Do nothing."""

    def finish(self, *, timeout_seconds: float, is_hurried: Callable[[], bool]) -> None:
        """Do nothing."""
