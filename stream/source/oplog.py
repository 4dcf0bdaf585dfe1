"""Watches how long the saved position stays readable: the oplog's window, and the headroom in seconds."""

import threading

from pymongo.errors import PyMongoError

from stream.core.cluster_time import second_of
from stream.landing.flush import Flusher
from stream.logs import Logger
from stream.metrics import StreamMetrics
from stream.source.client import Client, Oplog, read_oplog
from stream.stop import StopSignal

_INTERVAL_SECONDS = 30.0
_WARN_BELOW_SECONDS = 3600
_WARN_FROM_FILL = 0.5  # an oplog that has just begun drops nothing yet


class OplogWatch:
    """A thread that measures every half minute, and warns before history is lost.

    Args:
        client: Needs `find` on `local.oplog.rs`; without it nothing is measured, which is said once.
        flusher: Knows the durable position.
    """

    def __init__(
        self, client: Client, flusher: Flusher, *, stop: StopSignal, metrics: StreamMetrics, log: Logger
    ) -> None:
        self._client = client
        self._flusher = flusher
        self._stop = stop
        self._metrics = metrics
        self._log = log
        self._thread = threading.Thread(target=self._run, name="watch-oplog", daemon=True)

    def start(self) -> None:
        """Begin to measure; ends with the stop signal."""
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread to end after the stop signal."""
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            try:
                oplog = read_oplog(self._client)
            except PyMongoError:
                oplog = None  # the change stream reports outages
            else:
                if oplog is None:
                    self._log.info(
                        "oplog_not_readable", hint="grant `find` on `local.oplog.rs` to see the headroom"
                    )
                    return
            if oplog is not None:
                self._measure(oplog)
            if self._stop.wait(_INTERVAL_SECONDS):
                return

    def _measure(self, oplog: Oplog) -> None:
        self._metrics.oplog_window_seconds.set(oplog.window_seconds)
        second = second_of(self._flusher.durable.cluster_time)
        self._metrics.source_timestamp_seconds.set(oplog.last_second)
        self._metrics.position_timestamp_seconds.set(second)
        headroom_seconds = oplog.headroom_seconds(second)
        self._metrics.oplog_headroom_seconds.set(headroom_seconds)
        if headroom_seconds < _WARN_BELOW_SECONDS and oplog.fill >= _WARN_FROM_FILL:
            self._log.warning(
                "history_soon_lost",
                headroom_seconds=headroom_seconds,
                lag_seconds=oplog.last_second - second,
                hint="the position is about to leave the oplog: enlarge the oplog now (replSetResizeOplog)",
            )
