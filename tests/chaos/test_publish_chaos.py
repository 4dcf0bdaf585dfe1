"""Whatever happens to a publish, readers have a whole build, and are never made to wait."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.forking import ForkServer
from tests.support.patience import patience
from tests.support.publishing import Shop, message
from tests.support.readers import reading
from tests.support.streaming import meanwhile

pytestmark = pytest.mark.chaos

PUBLISHES = int(os.environ.get("CHAOS_PUBLISHES", "20"))
NEW_TABLE = "create table marts.agg as select 1 as x;"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    found = Shop(tmp_path / "data", keep=10)
    found.land(message(1, version=1))
    found.warehouse.load(timeout_seconds=10)
    return found


@pytest.mark.fault(15, "a publish is killed at each step", "readers keep the previous build")
@pytest.mark.parametrize(
    ("failpoint", "nth", "seen_after_crash"),
    [
        ("table_written", 2, 1),
        ("tables_written", 1, 1),
        ("build_finished", 1, 1),
        ("build_shown", 1, 2),
        ("current_moved", 1, 2),
        ("views_written", 1, 2),
        ("views_renamed", 1, 2),
        ("views_written_down", 1, 2),
    ],
    ids=str,
)
def test_a_kill_at_a_failpoint(
    shop: Shop, scripts: ForkServer, failpoint: str, nth: int, seen_after_crash: int
) -> None:
    """Readers see the old build or the new one, whole; the next publish repairs and clears away the rest."""
    shop.build(1)
    shop.publish(1)
    script = Path(__file__).with_name("crashing_publisher.py")
    crashed = scripts.start(script, str(shop.folder), "2", failpoint, str(nth), NEW_TABLE)
    assert -signal.SIGKILL == crashed.wait(patience())
    expected = (seen_after_crash, seen_after_crash, 100 + seen_after_crash)
    assert expected == shop.seen_build()

    shop.build(3)
    shop.publish(3)
    assert (3, 3, 103) == shop.seen_build()
    assert [(1,)] == shop.ask("select x from marts.agg")
    assert [] == list(shop.serving.root.rglob(".*"))
    finished = ["build-0001", "build-0002", "build-0003"]
    half_written = failpoint in {"table_written", "tables_written"}
    assert [each for each in finished if not (half_written and each == "build-0002")] == shop.serving.builds()


@pytest.mark.fault(15, "builds are published while people read", "no error, no mixture within a table")
def test_readers_never_notice(shop: Shop) -> None:
    """Four processes ask joins without pause during many publishes, loads and builds: no error, no mixture.

    Two keep the file of views open, two open it anew each time. No query waits for a lock: the slowest is far
    quicker than a build. Two tables may be of two builds for a moment, one table never is.
    """
    shop.build(1)
    shop.publish(1)
    with (
        reading(
            Path(__file__).with_name("publish_reader.py"),
            [(shop.serving.database, each % 2) for each in range(4)],
        ) as readers,
        _loading(shop) as landed,
    ):
        for number in range(2, PUBLISHES + 1):
            shop.build(number)
            shop.publish(number)
    print(json.dumps({"readers": readers, "landed": len(landed)}))  # noqa: T201 - figures for whoever asks

    assert [] == [problem for told in readers for problem in told["problems"]]
    assert all(told["builds"] > PUBLISHES / 20 for told in readers)
    assert all(told["slowest_seconds"] < 5 for told in readers)
    queries = sum(told["queries"] for told in readers)
    assert sum(told["mixed"] for told in readers) < queries * 0.05
    assert landed
    assert (PUBLISHES, PUBLISHES, 100 + PUBLISHES) == shop.seen_build()


@contextmanager
def _loading(shop: Shop) -> Iterator[list[int]]:
    """Land and load micro-batches beside the block, as a stream worker does."""
    stop = threading.Event()
    landed: list[int] = []

    def load() -> None:
        while not stop.wait(0.1):
            landed.append(len(landed) + 2)
            shop.land(message(landed[-1] % 50, version=landed[-1]))
            if len(landed) % 5 == 0:
                shop.warehouse.load(timeout_seconds=60)

    with meanwhile(load):
        try:
            yield landed
        finally:
            stop.set()
