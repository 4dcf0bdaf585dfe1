"""Metrics of the stream worker, for Prometheus. Made by the worker, in a registry of its own.

Help texts are sentences for operators: `make docs` puts them into `deploy/METRICS.md`. A gauge that has not
been measured yet is NaN, for which no alert fires: nought would say that changes are being lost.
"""

import hmac
import math
import shutil
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    make_wsgi_app,
)
from prometheus_client.exposition import ThreadingWSGIServer
from pydantic import SecretStr

from stream.core.change_event import WRITE_OPERATIONS
from stream.core.normalise import REASONS
from stream.core.secret_rules import KINDS
from stream.errors import SettingsError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

WAYS = ("compiled", "python")
_PREFIX = "claude_analytics_stream"
_SHUTDOWN_POLL_SECONDS = 0.05
"""How soon a program that is done gets rid of its endpoint; half a second, as the library has it, is felt."""


class PartitionRegistry(CollectorRegistry):
    """Gives every sample the label `partition`, so that lag and headroom are told apart, and alerts too.

    Args:
        partition: The label's value.
    """

    def __init__(self, partition: int) -> None:
        super().__init__()
        self._partition = str(partition)

    def collect(self) -> Iterator[Metric]:
        """Return what is registered, labelled."""
        for metric in super().collect():
            labelled = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            labelled.samples = [
                sample._replace(labels={**sample.labels, "partition": self._partition})
                for sample in metric.samples
            ]
            yield labelled


class StreamMetrics:
    """What the worker tells about itself.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.events = self._counter("events_total", "Change events read from MongoDB, by operation.", "op")
        self.rows_landed = self._counter(
            "rows_landed_total", "Rows made durable in the landing zone; what is durable is never lost."
        )
        self.rows_loaded = self._counter(
            "rows_loaded_total", "Rows of micro-batches that this worker has loaded into DuckDB."
        )
        self.dead_letters = self._counter(
            "dead_letters_total",
            "Documents that could not become rows and are kept as dead letters.",
            "reason",
        )
        self.reconnects = self._counter(
            "reconnects_total",
            "Times the change stream was opened again after MongoDB or the network failed.",
        )
        self.redactions = Counter(
            f"{_PREFIX}_redactions_total",
            "Secrets taken out of documents before they became rows, by kind; none unless REDACT is set.",
            ["kind"],
            registry=registry,
        )
        self.documents_decoded = self._counter(
            "documents_decoded_total",
            "Changes made into rows, by the way they took: compiled code, or Python for unusual documents "
            "(for all, without compiled code).",
            "way",
        )
        self.compiled_way = self._gauge(
            "compiled_way",
            "Whether compiled code makes the rows: 1, or 0 if it is missing or failed its self-check.",
        )
        self.flush_seconds = Histogram(
            f"{_PREFIX}_flush_seconds",
            "Time to write one micro-batch durably; slow flushes mean a slow disk.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.source_lag_seconds = self._gauge(
            "source_lag_seconds", "How far reading is behind the server, by the server's own clock."
        )
        self.durable_lag_seconds = self._gauge(
            "durable_lag_seconds", "How far the landing zone is behind the server, by the server's own clock."
        )
        self.load_lag_seconds = self._gauge(
            "load_lag_seconds", "How long the oldest landed file has waited to be loaded; 0 if none waits."
        )
        self.pending_micro_batches = self._gauge(
            "pending_micro_batches", "Landed files that wait to be loaded into DuckDB."
        )
        self.oplog_window_seconds = self._gauge(
            "oplog_window_seconds", "How far back the server's oplog reaches."
        )
        self.oplog_headroom_seconds = self._gauge(
            "oplog_headroom_seconds",
            "Time left until the saved position falls off the oplog, and changes are lost for good.",
        )
        self.majority_lag_seconds = self._gauge(
            "majority_lag_seconds",
            "By how much what a majority of the members confirms, which alone is read, is behind the "
            "primary's newest write; small while a majority is up.",
        )
        self.last_event_timestamp_seconds = self._gauge(
            "last_event_timestamp_seconds",
            "Server time of the newest change event read, in seconds since 1970.",
        )
        self.last_reply_timestamp_seconds = self._gauge(
            "last_reply_timestamp_seconds",
            "When MongoDB last answered the change stream, by this machine's clock, in seconds since 1970.",
        )
        self.source_timestamp_seconds = self._gauge(
            "source_timestamp_seconds",
            "Server time of the oplog's newest entry, asked for beside the stream, in seconds since 1970.",
        )
        self.position_timestamp_seconds = self._gauge(
            "position_timestamp_seconds",
            "Server time of the saved position when the oplog was last looked at, in seconds since 1970.",
        )
        for way in WAYS:
            self.documents_decoded.labels(way=way)
        for operation in WRITE_OPERATIONS:
            self.events.labels(op=operation)
        for reason in REASONS:
            self.dead_letters.labels(reason=reason)
        for kind in KINDS:
            self.redactions.labels(kind=kind)

    def count_redaction(self, kind: str) -> None:
        """Count one secret that was taken out."""
        self.redactions.labels(kind=kind).inc()

    def count_decoded(self, *, compiled: int, in_python: int) -> None:
        """Count changes by the way that they took to their rows."""
        self.documents_decoded.labels(way="compiled").inc(compiled)
        self.documents_decoded.labels(way="python").inc(in_python)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        gauge = Gauge(f"{_PREFIX}_{name}", text, registry=self.registry)
        gauge.set(math.nan)
        return gauge


class DiskMetrics:
    """How much room there is for the data, asked at each scrape.

    Args:
        registry: Where they are registered.
        folder: On the disk in question; made later if it is not there yet.
    """

    def __init__(self, registry: CollectorRegistry, folder: Path) -> None:
        free = Gauge(
            "claude_analytics_disk_free_bytes",
            "Free space on the disk of DATA_DIR; without any, the worker stops reading until there is some.",
            registry=registry,
        )
        size = Gauge("claude_analytics_disk_size_bytes", "Size of the disk of DATA_DIR.", registry=registry)
        free.set_function(lambda: shutil.disk_usage(_existing(folder)).free)
        size.set_function(lambda: shutil.disk_usage(_existing(folder)).total)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    folder = folder.resolve()
    return next(each for each in (folder, *folder.parents) if each.exists())


class _Handler(WSGIRequestHandler):
    """Says nothing: scrapes are no event of the pipeline."""

    timeout = 30

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def serve(
    registry: CollectorRegistry, *, host: str, port: int, token: SecretStr | None = None
) -> WSGIServer | None:
    """Serve a registry, and what the process takes, over HTTP until `shutdown()`; port 0 means not at all.

    Args:
        registry: What to serve.
        host: Address to listen at; other machines reach it only if it is not a loopback address.
        port: Where to listen.
        token: What a scrape must show as `Authorization: Bearer <token>`; None asks for nothing.

    Raises:
        SettingsError: The address cannot be had.
    """
    if port == 0:
        return None
    ProcessCollector(registry=registry)
    app = make_wsgi_app(registry)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        kind = type("_Server", (ThreadingWSGIServer,), {"address_family": family})
        server: WSGIServer = kind(address[:2], _Handler)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"cannot serve metrics on `{host}:{port}`: {error}",
            hint="set METRICS_PORT to a free port, or to 0 for no metrics",
        ) from error
    # Before the first request is answered: none must get past the guard.
    server.set_app(app if token is None else _guarded(app, token))
    threading.Thread(
        target=server.serve_forever, args=(_SHUTDOWN_POLL_SECONDS,), name="serve-metrics", daemon=True
    ).start()
    return server


def _guarded(app: "WSGIApplication", token: SecretStr) -> "WSGIApplication":
    """Let only those in who know the token; how long the answer takes tells nothing about it."""
    expected = f"Bearer {token.get_secret_value()}".encode()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        given = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1")
        if hmac.compare_digest(given, expected):
            return app(environ, start_response)
        headers = [("WWW-Authenticate", 'Bearer realm="metrics"'), ("Content-Type", "text/plain")]
        start_response("401 Unauthorized", headers)
        return [b"the token of METRICS_TOKEN is needed\n"]

    return answer
