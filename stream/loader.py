"""A thread beside the dataflow that loads what has landed, so that reading never waits for DuckDB."""

import threading

from stream.errors import AnalyticsError, TerminalError, TransientError, WarehouseBusyError
from stream.load import LoadResult
from stream.logs import Logger
from stream.metrics import StreamMetrics
from stream.warehouse import Warehouse

_BUSY_RETRY_SECONDS = 1.0
_FAILURE_RETRY_SECONDS = 30.0


class Loader:
    """Loads after each landed micro-batch; keeps trying when the warehouse is held, or broken.

    Args:
        warehouse: Where to load.
        metrics: Counted into.
        log: One line per load, one per change of trouble.
    """

    def __init__(self, warehouse: Warehouse, *, metrics: StreamMetrics, log: Logger) -> None:
        self._warehouse = warehouse
        self._metrics = metrics
        self._log = log
        self._wake = threading.Event()
        self._is_stopping = False
        self._trouble: str | None = None
        self._landed_since_load = 0
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.total = LoadResult()

    def start(self) -> None:
        """Begin, with what an earlier worker left pending."""
        self._wake.set()
        self._thread.start()

    def notify(self) -> None:
        """Say that a micro-batch has landed."""
        self._landed_since_load += 1
        self._metrics.pending_micro_batches.set(self._landed_since_load)
        self._wake.set()

    def finish(self, *, timeout_seconds: float) -> None:
        """Stop the thread, then load the rest.

        Args:
            timeout_seconds: How long to wait for another process to release the warehouse.

        Raises:
            WarehouseBusyError: It did not; what has landed waits for the next load.
            AnalyticsError: The warehouse or a landed file is damaged.
        """
        self._is_stopping = True
        self._wake.set()
        self._thread.join()
        self._load(timeout_seconds=timeout_seconds)

    def _run(self) -> None:
        retry_seconds: float | None = None
        while True:
            self._wake.wait(retry_seconds)
            self._wake.clear()
            if self._is_stopping:
                return
            retry_seconds = self._try_load()

    def _try_load(self) -> float | None:
        try:
            self._load(timeout_seconds=0)
        except WarehouseBusyError as error:
            self._report(error)
            return _BUSY_RETRY_SECONDS
        except (TransientError, TerminalError) as error:
            self._report(error)
            return _FAILURE_RETRY_SECONDS
        if self._trouble:
            self._log.info("load_recovered")
            self._trouble = None
        return None

    def _load(self, *, timeout_seconds: float) -> None:
        landed = self._landed_since_load
        result = self._warehouse.load(timeout_seconds=timeout_seconds)
        self._landed_since_load -= landed
        self._metrics.pending_micro_batches.set(self._landed_since_load)
        self._metrics.rows_loaded.inc(result.rows)
        self.total += result
        if result.micro_batches:
            self._log.info(
                "loaded",
                micro_batches=result.micro_batches,
                rows=result.rows,
                upserted=result.rows_upserted,
                deleted=result.rows_deleted,
            )

    def _report(self, error: AnalyticsError) -> None:
        if error.message != self._trouble:
            self._log.warning("load_waits", problem=error.message, hint=error.hint)
            self._trouble = error.message
