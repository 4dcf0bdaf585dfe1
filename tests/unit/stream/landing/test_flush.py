"""What happens to a closed window: dead letters, micro-batch, position, in this order."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import LogCapture

from stream.core.schema import to_table
from stream.core.window import ClosedWindow
from stream.errors import LandingFullError, LandingNotWritableError
from stream.landing import flush
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.flush import Flusher
from stream.landing.micro_batch import read_footer
from stream.landing.zone import LandingZone, Lane
from stream.metrics import StreamMetrics
from stream.stop import StopSignal
from tests.support.landing import LETTER, delete, lane_of, position_at, upsert

NOON = datetime(2026, 1, 3, 12, tzinfo=UTC)


class Fixture:
    """A flusher, and all that it writes to."""

    def __init__(self, folder: Path) -> None:
        self.reached: list[str] = []
        self.problems: dict[str, list[Exception]] = {}
        self.logged: list[Any] = (capture := LogCapture()).entries
        self.registry = CollectorRegistry()
        self.stop = StopSignal()
        self.lane: Lane = lane_of(folder, clock=lambda: NOON, at_failpoint=self.at_failpoint)
        self.landing = LandingZone(folder / "landing", clock=lambda: NOON)
        self.letters = folder / "dead_letter"
        self.dead_letters = DeadLetterStore(self.letters, clock=lambda: NOON)
        self.flusher = Flusher(
            self.lane,
            self.dead_letters,
            position_at(1),
            clock=lambda: NOON,
            stop=self.stop,
            metrics=StreamMetrics(self.registry),
            log=structlog.wrap_logger(None, processors=[capture]),
            at_failpoint=self.at_failpoint,
        )

    def at_failpoint(self, name: str) -> None:
        """Note it; raise what waits for it."""
        self.reached.append(name)
        if self.problems.get(name):
            raise self.problems[name].pop(0)

    def value(self, name: str, **labels: str) -> float | None:
        """Return a metric."""
        return self.registry.get_sample_value(f"claude_analytics_stream_{name}", labels)


@pytest.fixture
def fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fixture:
    monkeypatch.setattr(flush, "_RETRY_SECONDS", 0.01)
    return Fixture(tmp_path)


def window(*rows: Any, letters: int = 0, at: int = 50) -> ClosedWindow:
    return ClosedWindow(to_table(rows), [LETTER] * letters, position_at(at))


def test_a_window_becomes_durable_in_this_order(fixture: Fixture) -> None:
    """Dead letters before the file that they belong to."""
    landed = fixture.flusher.flush(window(upsert(1, 10), letters=2))

    assert [
        "window_closed", "dead_letters_stored", "file_written", "file_synced", "file_renamed",
    ] == fixture.reached  # fmt: skip
    assert landed == fixture.lane.newest()
    assert fixture.flusher.durable == fixture.lane.position() == position_at(50)
    assert 2 == fixture.dead_letters.count(fixture.landing)


def test_windows_are_numbered_on(fixture: Fixture, tmp_path: Path) -> None:
    """Behind what an earlier worker landed."""
    fixture.flusher.flush(window(upsert(1, 10)))
    fixture.flusher.flush(window(upsert(1, 11)))
    Fixture(tmp_path).flusher.flush(window(upsert(1, 12)))

    assert [0, 1, 2] == [found.sequence for found in fixture.lane.micro_batches()]


def test_a_window_without_rows_saves_the_position(fixture: Fixture) -> None:
    """No file lands."""
    fixture.flusher.flush(window(upsert(1, 10), at=20))

    assert fixture.flusher.flush(window(at=70)) is None

    assert 1 == len(fixture.lane.micro_batches())
    assert fixture.flusher.durable == fixture.lane.position() == position_at(70)


def test_a_window_of_dead_letters_lands(fixture: Fixture) -> None:
    """Its file has no rows; without it the dead letters would be orphans."""
    landed = fixture.flusher.flush(window(letters=3))

    assert landed is not None
    footer = read_footer(landed)
    assert (0, 3, None) == (footer.rows, footer.dead_letters, footer.first_cluster_time)


def test_the_metrics_count(fixture: Fixture) -> None:
    """Rows, dead letters by reason, time; nothing for a position alone."""
    fixture.flusher.flush(window(upsert(1, 10), delete(2, 11), letters=2))
    fixture.flusher.flush(window(at=70))

    assert 2 == fixture.value("rows_landed_total")
    assert 2 == fixture.value("dead_letters_total", reason="missing_type")
    assert 1 == fixture.value("flush_seconds_count")


def test_one_line_is_logged_a_micro_batch(fixture: Fixture) -> None:
    """Facts, no content."""
    landed = fixture.flusher.flush(window(upsert(1, 10, message="private"), delete(2, 11), letters=1))

    [entry] = fixture.logged
    assert landed is not None
    del entry["seconds"]
    expected = {"event": "micro_batch_landed", "log_level": "info", "micro_batch": landed.id, "upserts": 1}
    expected |= {"deletes": 1, "dead_letters": 1, "position": "1970-01-01T00:00:00+00:00"}
    assert expected == entry


@pytest.mark.parametrize(
    "failpoint", ["window_closed", "dead_letters_stored", "file_written", "file_renamed"]
)
def test_a_full_disk_is_tried_again(fixture: Fixture, failpoint: str) -> None:
    """Until there is room; then there is one file, one set of dead letters, and the next number is free."""
    fixture.problems[failpoint] = [LandingFullError("full", hint="free some")] * 2

    fixture.flusher.flush(window(upsert(1, 10), letters=1))
    fixture.flusher.flush(window(upsert(2, 20), letters=1))

    assert 2 == [entry["event"] for entry in fixture.logged].count("disk_full")
    assert [0, 1] == [found.sequence for found in fixture.lane.micro_batches()]
    assert 2 == fixture.dead_letters.count(fixture.landing)
    assert 2 == len(list(fixture.letters.rglob("*.jsonl")))
    assert 2 == fixture.value("rows_landed_total")


def test_a_full_disk_is_waited_for_by_an_idle_stream_too(fixture: Fixture) -> None:
    """The position has to be saved as well."""
    fixture.problems["position_saved"] = [LandingFullError("full", hint="free some")]

    fixture.flusher.flush(window(at=70))

    assert position_at(70) == fixture.flusher.durable


@pytest.mark.parametrize(
    ("number", "is_told", "expected"),
    [(errno.ENOSPC, True, LandingFullError), (errno.EROFS, False, LandingNotWritableError)],
    ids=["told to stop", "a folder that cannot be written"],
)
def test_when_it_gives_up(fixture: Fixture, number: int, expected: type[Exception], *, is_told: bool) -> None:
    """Once told to stop, or where a person must act: it is read again later; the position has not moved."""
    if is_told:
        fixture.stop.interrupt(15)
    fixture.problems["file_written"] = [OSError(number, os.strerror(number))] * 9

    with pytest.raises(expected, match=os.strerror(number)):
        fixture.flusher.flush(window(upsert(1, 10)))
    assert position_at(1) == fixture.flusher.durable
    assert [] == fixture.lane.micro_batches()
