"""A stream worker is killed wherever it hurts, while the collection changes."""

import json
import random
import signal
import time
import urllib.request

import pytest

from batch.mongod.server import free_port
from stream.errors import AnalyticsError
from tests.chaos.conftest import Arena
from tests.support.patience import patience
from tests.support.streaming import wait_until

pytestmark = pytest.mark.chaos

FAILPOINTS = [
    "window_closed",
    "dead_letters_stored",
    "file_written",
    "file_synced",
    "file_renamed",
    "position_saved",
    "load_before_commit",
    "load_committed",
]


@pytest.mark.fault(
    1,
    "`kill -9` at each of eight points between reading, landing, loading and committing, twice in a row",
    "nothing lost, nothing twice",
)
@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_crash_at_a_failpoint_loses_nothing_and_doubles_nothing(arena: Arena, failpoint: str) -> None:
    """A kill -9 between any two steps, twice in a row, during live changes: raw = collection afterwards."""
    if failpoint == "position_saved":
        arena.writer.pause_seconds = 1.2  # that is saved only when the collection is idle for a moment
    arena.stream.take_position()
    with arena.writer.writing():
        arena.crash_at(failpoint, 1)
        arena.crash_at(failpoint, 2)

    assert arena.assert_nothing_lost_nothing_twice() > 0


def test_a_crash_right_after_the_first_position(arena: Arena) -> None:
    """The first start dies before it has read anything: all that is written from then on arrives."""
    arena.crash_at("position_saved", 1)
    with arena.writer.writing():
        time.sleep(1)

    assert arena.assert_nothing_lost_nothing_twice() > 0


@pytest.mark.fault(1, "`kill -9` at ten random moments of live changes", "nothing lost, nothing twice")
def test_ten_crashes_at_random_moments(arena: Arena, seed: int) -> None:
    """A kill -9 from outside, from start-up to the middle of a load: raw = collection afterwards."""
    chance = random.Random(seed)
    arena.stream.take_position()
    with arena.writer.writing():
        for _ in range(10):
            with arena.worker() as process:
                time.sleep(chance.uniform(0.1, 1.5))
                assert process.poll() is None, process.communicate()
                process.kill()

    assert arena.assert_nothing_lost_nothing_twice() > 0


@pytest.mark.fault(1, "`kill -9` within DuckDB's commit", "the load is there as a whole or not at all")
def test_crashes_in_the_middle_of_a_commit(arena: Arena, seed: int) -> None:
    """A kill -9 some milliseconds into DuckDB's commit: the load is there as a whole or not at all."""
    chance = random.Random(seed)
    arena.stream.take_position()
    with arena.writer.writing():
        for nth in (1, 2, 1, 2, 1):
            arena.crash_at("load_before_commit", nth, delay_ms=chance.uniform(0, 12))

    assert arena.assert_nothing_lost_nothing_twice() > 0


@pytest.mark.fault(16, "SIGTERM, Ctrl-C", "what was read lands and loads; gone within 10 s")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_flushes_what_was_read(arena: Arena, number: signal.Signals) -> None:
    """The window that is still open lands and is loaded, and the process is gone within ten seconds."""
    port = free_port()
    arena.stream.take_position()
    settings = {"STREAM_MAX_AGE_SECONDS": 3600, "STREAM_MAX_ROWS": 1_000_000}
    with arena.worker(settings=settings, metrics_port=port) as process:
        arena.collection.insert_many([{"type": "user", "message": f"{n}"} for n in range(500)])
        wait_until(lambda: events_read(port) == 500)
        assert [] == arena.stream.lane.micro_batches()
        process.send_signal(number)
        told_at = time.monotonic()
        said, log = process.communicate(timeout=patience(30))

    assert time.monotonic() - told_at < patience(10)
    assert 0 == process.returncode, log
    assert {"events": 500, "signal_number": int(number), "rows_upserted": 500} == json.loads(said)
    assert 500 == arena.assert_nothing_lost_nothing_twice()


def events_read(port: int) -> float:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return -1
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("claude_analytics_stream_events_total{")
    )


@pytest.mark.fault(14, "a second worker on the same folder", "it is refused with exit 2, the first goes on")
def test_two_workers_at_once(arena: Arena) -> None:
    """The second is refused with exit code 2 while the first goes on."""
    arena.stream.take_position()
    with arena.writer.writing(), arena.worker() as process:
        wait_until(lambda: arena.stream.lane.is_being_written)
        with pytest.raises(AnalyticsError, match="another process already writes the lane") as caught:
            arena.stream.catch_up()
        assert 2 == caught.value.exit_code
        assert process.poll() is None

    assert arena.assert_nothing_lost_nothing_twice() > 0


def test_a_signal_is_obeyed_while_the_warehouse_is_held(arena: Arena) -> None:
    """Someone holds the lease for an hour: what was read lands, the load is left for later, exit in time."""
    arena.stream.take_position()
    with (
        arena.worker(until_idle_seconds=0.3) as process,
        arena.stream.warehouse.lock.held(timeout_seconds=5),
    ):
        arena.collection.insert_many([{"type": "user", "message": f"{n}"} for n in range(50)])
        wait_until(lambda: len(arena.stream.landed_rows()) == 50)
        time.sleep(1)  # caught up by now: it waits for the lease, as long as its settings say
        process.send_signal(signal.SIGTERM)
        told_at = time.monotonic()
        _, log = process.communicate(timeout=patience(30))

    assert time.monotonic() - told_at < patience(10)
    assert 0 == process.returncode, log
    assert "load_left_for_later" in log
    assert 50 == arena.assert_nothing_lost_nothing_twice()
