"""Metrics: their names are a contract with dashboards and alerts."""

import math
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr

from batch.mongod.server import free_port
from stream.core.change_event import WRITE_OPERATIONS
from stream.core.normalise import REASONS
from stream.errors import SettingsError
from stream.metrics import DiskMetrics, StreamMetrics, serve
from stream.settings import MetricsSettings


def test_the_names_are_those_of_the_contract() -> None:
    """Names, kinds and labels are a contract with dashboards and alerts."""
    registry = CollectorRegistry()
    StreamMetrics(registry)

    kinds = {metric.name: metric.type for metric in registry.collect()}
    prefix = "claude_analytics_stream_"
    counters = ["events", "rows_landed", "rows_loaded", "dead_letters", "redactions", "documents_decoded"]
    gauges = [
        "compiled_way",
        "source_lag_seconds",
        "durable_lag_seconds",
        "oplog_window_seconds",
        "oplog_headroom_seconds",
        "majority_lag_seconds",
        "pending_micro_batches",
        "load_lag_seconds",
        "last_event_timestamp_seconds",
        "last_reply_timestamp_seconds",
        "source_timestamp_seconds",
        "position_timestamp_seconds",
    ]
    assert dict.fromkeys([*counters, "reconnects"], "counter") | dict.fromkeys(gauges, "gauge") | {
        "flush_seconds": "histogram"
    } == {name.removeprefix(prefix): kind for name, kind in kinds.items()}
    exposed = generate_latest(registry).decode()
    for name in ("events", "rows_landed", "rows_loaded", "dead_letters", "reconnects"):
        assert f"# TYPE {prefix}{name}_total counter" in exposed


def test_closed_label_sets_are_there_from_the_start() -> None:
    """A rate over a series that does not exist yet would miss its first event."""
    registry = CollectorRegistry()
    StreamMetrics(registry)

    for operation in WRITE_OPERATIONS:
        assert 0 == registry.get_sample_value("claude_analytics_stream_events_total", {"op": operation})
    for reason in REASONS:
        assert 0 == registry.get_sample_value(
            "claude_analytics_stream_dead_letters_total", {"reason": reason}
        )


def test_what_has_not_been_measured_is_unknown() -> None:
    """A headroom of nought would raise an alarm at every start, and for ever without the right to see it."""
    registry = CollectorRegistry()
    StreamMetrics(registry)
    gauges = [metric for metric in registry.collect() if metric.type == "gauge"]
    assert gauges
    assert all(math.isnan(sample.value) for gauge in gauges for sample in gauge.samples)


def test_the_disk_is_asked_at_each_scrape(tmp_path: Path) -> None:
    """Also before the data folder is there."""
    registry = CollectorRegistry()
    DiskMetrics(registry, tmp_path / "data" / "later")
    prefix = "claude_analytics_disk"
    free, size = (registry.get_sample_value(f"{prefix}_{name}_bytes") for name in ("free", "size"))
    assert free
    assert size
    assert 0 < free <= size


@contextmanager
def served(registry: CollectorRegistry, **options: Any) -> Iterator[int]:
    """Serve a registry within the block, at the port that it is given."""
    port = free_port()
    server = serve(registry, **{"host": "127.0.0.1", **options}, port=port)
    assert server is not None
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()


def ask(port: int, *, authorization: str | None = None, host: str = "127.0.0.1") -> tuple[int, str]:
    """Return status and body of a scrape."""
    request = urllib.request.Request(f"http://{host}:{port}/metrics")
    if authorization is not None:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_registry_is_served_over_http() -> None:
    """Beside what is known of the process."""
    registry = CollectorRegistry()
    StreamMetrics(registry).rows_landed.inc(3)

    with served(registry) as port:
        status, said = ask(port)

    assert 200 == status
    assert "claude_analytics_stream_rows_landed_total 3.0" in said
    assert "process_start_time_seconds" in said


def test_port_zero_serves_nothing() -> None:
    """It is how metrics are turned off."""
    assert serve(CollectorRegistry(), host="127.0.0.1", port=0) is None


def test_a_taken_port_is_said() -> None:
    """Exit code 2, with the setting to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot serve metrics on `127.0.0.1:{port}`") as caught:
            serve(CollectorRegistry(), host="127.0.0.1", port=port)
    assert "METRICS_PORT" in caught.value.hint


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer geheim-geheim", 200),
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer geheim-geheiM", 401),
        ("Bearer geheim-geheim2", 401),
        ("bearer geheim-geheim", 401),
        ("Basic geheim-geheim", 401),
        ("geheim-geheim", 401),
        ("Bearer gehe\u00efm-geheim", 401),
    ],
)
def test_with_a_token_only_those_who_know_it_are_answered(authorization: str | None, status: int) -> None:
    """Everybody else learns which setting it takes, and not one figure."""
    registry = CollectorRegistry()
    StreamMetrics(registry)
    with served(registry, token=SecretStr("geheim-geheim")) as port:
        found, said = ask(port, authorization=authorization)

    assert status == found
    assert (status == 200) == ("claude_analytics_stream_rows_landed_total" in said)
    assert (status == 401) == ("METRICS_TOKEN" in said)
    assert "geheim-geheim" not in said


def test_other_addresses_of_this_machine_are_not_served() -> None:
    """The default is loopback: what does not come to that address finds nobody."""
    with served(CollectorRegistry(), host=MetricsSettings().host) as port:
        assert 200 == ask(port)[0]
        with pytest.raises(urllib.error.URLError):
            ask(port, host="127.0.0.2")
