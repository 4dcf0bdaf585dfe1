"""Metrics of the stream worker, for Prometheus. Made by the worker, in a registry of its own."""

import hmac
import socket
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from pydantic import SecretStr

from stream.errors import SettingsError
from stream.normalise import REASONS

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

OPERATIONS = ("insert", "update", "replace", "delete")
_PREFIX = "claude_analytics_stream"


class StreamMetrics:
    """What the worker tells about itself.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.events = Counter(
            f"{_PREFIX}_events_total", "Change events read from MongoDB.", ["op"], registry=registry
        )
        self.rows_landed = Counter(
            f"{_PREFIX}_rows_landed_total", "Rows made durable in the landing zone.", registry=registry
        )
        self.rows_loaded = Counter(
            f"{_PREFIX}_rows_loaded_total", "Rows of micro-batches loaded into DuckDB.", registry=registry
        )
        self.dead_letters = Counter(
            f"{_PREFIX}_dead_letters_total",
            "Documents rejected and kept as dead letters.",
            ["reason"],
            registry=registry,
        )
        self.flush_seconds = Histogram(
            f"{_PREFIX}_flush_seconds",
            "Time to write one micro-batch durably.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.source_lag_seconds = Gauge(
            f"{_PREFIX}_source_lag_seconds",
            "How far reading is behind the server, by the server's own clock.",
            registry=registry,
        )
        self.durable_lag_seconds = Gauge(
            f"{_PREFIX}_durable_lag_seconds",
            "How far the landing zone is behind the server, by the server's own clock.",
            registry=registry,
        )
        self.oplog_window_seconds = Gauge(
            f"{_PREFIX}_oplog_window_seconds", "Time that the server's oplog reaches back.", registry=registry
        )
        self.oplog_headroom_seconds = Gauge(
            f"{_PREFIX}_oplog_headroom_seconds",
            "Time left until the saved position falls off the oplog, and changes are lost for good.",
            registry=registry,
        )
        self.pending_micro_batches = Gauge(
            f"{_PREFIX}_pending_micro_batches", "Landed files that wait to be loaded.", registry=registry
        )
        self.reconnects = Counter(
            f"{_PREFIX}_reconnects_total", "Times the change stream was opened again.", registry=registry
        )
        self.last_event_timestamp_seconds = Gauge(
            f"{_PREFIX}_last_event_timestamp_seconds",
            "Server time of the newest change event read, in seconds since 1970.",
            registry=registry,
        )
        for operation in OPERATIONS:
            self.events.labels(op=operation)
        for reason in REASONS:
            self.dead_letters.labels(reason=reason)


class _Handler(WSGIRequestHandler):
    """Says nothing: scrapes are no event of the pipeline."""

    timeout = 30

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def serve(
    registry: CollectorRegistry, *, host: str, port: int, token: SecretStr | None = None
) -> WSGIServer | None:
    """Serve a registry over HTTP until `shutdown()`; port 0 means not at all.

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
    threading.Thread(target=server.serve_forever, name="serve-metrics", daemon=True).start()
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
