"""The watch over the oplog's headroom."""

from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import LogCapture

from stream.metrics import StreamMetrics
from stream.source.client import Oplog
from stream.source.oplog import OplogWatch
from stream.stop import StopSignal
from tests.support.replies import position_at


@pytest.mark.parametrize(
    ("durable", "fill", "headroom", "is_warned"),
    [
        (99_000, 1.0, 99_000, False),
        (3_000, 1.0, 3_000, True),
        (-5, 1.0, 0, True),
        (3_000, 0.1, 903_000, False),
    ],
    ids=["far", "close", "fallen off", "oplog hardly filled"],
)
def test_the_headroom_is_measured_and_warned_of(
    durable: int,
    fill: float,
    headroom: int,
    is_warned: bool,  # noqa: FBT001
) -> None:
    """Below an hour the log says how much is left, and what to do."""
    registry, logged = CollectorRegistry(), LogCapture()
    watch = OplogWatch(
        None,  # type: ignore[arg-type]
        SimpleNamespace(durable=position_at(max(0, durable))),  # type: ignore[arg-type]
        stop=StopSignal(),
        metrics=StreamMetrics(registry),
        log=structlog.wrap_logger(None, processors=[logged]),
    )
    first = max(0, -durable)

    watch._measure(Oplog(first, 100_000 + first, fill))

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"claude_analytics_stream_oplog_{name}_seconds")

    assert (100_000, headroom) == (value("window"), value("headroom"))
    moved = ("source", "position")
    assert [100_000 + first, max(0, durable)] == [
        registry.get_sample_value(f"claude_analytics_stream_{name}_timestamp_seconds") for name in moved
    ]
    told: list[Any] = [entry for entry in logged.entries if entry["event"] == "history_soon_lost"]
    assert [entry["headroom_seconds"] for entry in told] == ([headroom] if is_warned else [])
    assert all("replSetResizeOplog" in entry["hint"] for entry in told)
