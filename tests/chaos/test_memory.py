"""A long backlog passes through in bounded memory, whoever holds the warehouse."""

import json
from pathlib import Path

import psutil
import pytest

from tests.chaos.conftest import Arena
from tests.chaos.test_soak import MINUTES
from tests.support.patience import patience
from tests.support.streaming import wait_until

pytestmark = pytest.mark.chaos

DOCUMENTS = 200_000 if MINUTES else 16_000
MOST_BYTES = 80_000_000
"""It grows by 10 to 31 MB; with what has landed kept in memory by 176 MB."""
DEFAULTS = {
    "STREAM_MAX_ROWS": 20_000,
    "BATCH_SIZE": 10_000,
    "STREAM_MAX_AGE_SECONDS": 2,
    "STREAM_IDLE_POSITION_SECONDS": 10,
}


@pytest.mark.fault(
    13, "it is held during a long backlog, or a `deleteMany`", "landing goes on in bounded memory"
)
@pytest.mark.parametrize("change", ["inserts", "deletes"])
def test_a_backlog_passes_in_bounded_memory(arena: Arena, tmp_path: Path, change: str) -> None:
    """From the first file that lands to the last one, the worker grows by little; then all is loaded."""
    # Of a delete there is nothing but its `_id`, so let that be long.
    long, text = ("x" * 11_000, "") if change == "deletes" else ("", "x" * 4000)
    if change == "inserts":
        arena.stream.take_position()
    for first in range(0, DOCUMENTS, 2000):
        arena.collection.insert_many(
            [{"_id": f"{n:08}{long}", "type": "user", "message": text} for n in range(first, first + 2000)]
        )
    if change == "deletes":
        arena.stream.take_position()
        arena.collection.delete_many({})

    def landed() -> list[int]:
        told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line[-1:] == "}"]
        return [line["upserts"] + line["deletes"] for line in told if line["event"] == "micro_batch_landed"]

    with arena.worker(output=tmp_path / "log", settings=DEFAULTS) as process:
        with arena.stream.warehouse.lock.held(timeout_seconds=5):
            wait_until(lambda: bool(landed()), seconds=patience(600 if MINUTES else 120))
            worker = psutil.Process(process.pid)
            at_first = at_most = worker.memory_info().rss

            def all_landed() -> bool:
                nonlocal at_most
                at_most = max(at_most, worker.memory_info().rss)
                return sum(landed()) == DOCUMENTS

            wait_until(all_landed, seconds=patience(600 if MINUTES else 120))
        process.terminate()
        process.wait(patience())

    assert at_most - at_first < MOST_BYTES
    assert arena.assert_nothing_lost_nothing_twice() == (DOCUMENTS if change == "inserts" else 0)
