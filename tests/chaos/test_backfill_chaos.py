"""A backfill is killed wherever it hurts, while documents change before, in and behind it."""

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bson import ObjectId

from stream.settings import MongoSettings
from tests.chaos.conftest import BACKFILL, Arena, Documents
from tests.chaos.crashing_backfill import work
from tests.support.backfilling import BackfillRunner
from tests.support.equality import assert_manifest_is_sound, assert_same
from tests.support.forking import Forked
from tests.support.patience import patience
from tests.support.program import Program
from tests.support.streaming import wait_until

pytestmark = pytest.mark.chaos

HISTORY = 1200
FAILPOINTS = [
    "planned",
    "dead_letters_stored",
    "file_written",
    "file_synced",
    "file_renamed",
    "all_read",
    "load_before_commit",
    "load_committed",
    "all_done",
]
REACHED_ONCE = {"planned", "load_committed"}  # the plan is kept, and so is what has been loaded


class BackfillArena:
    """An arena with a history in its collection, and backfill processes to be killed.

    The live writer changes documents all over the history, so before, in and behind the range being read.
    """

    def __init__(self, arena: Arena, mongo: MongoSettings) -> None:
        self.arena = arena
        self.runner = BackfillRunner(mongo, arena.stream.folder)
        writer = arena.writer
        writer.pause_seconds = 0.05
        history: list[dict[str, Any]] = [writer._document() for _ in range(HISTORY)]
        for number, document in enumerate(history):
            if number % 5 == 4:
                document["_id"] = f"text-{number}" if number % 2 else ObjectId()
        bad = [{"_id": f"bad-{number}", "message": "no type"} for number in range(40)]
        arena.collection.insert_many([*history, *bad])

    @contextmanager
    def backfill(self, **options: Any) -> Iterator[Forked]:
        """Run a backfill process beside the block; whatever happens, it is gone afterwards."""
        with self.arena.running(BACKFILL, **options) as process:
            yield process

    def crash_at(self, failpoint: str, nth: int, **options: Any) -> None:
        """Run a backfill until it kills itself at a failpoint."""
        with self.backfill(failpoint=failpoint, nth=nth, **options) as process:
            said, errors = process.communicate(timeout=patience())
        assert -9 == process.returncode, (
            f"ended with {process.returncode}, not at `{failpoint}`:\n{said}{errors}"
        )

    def finish(self, **options: Any) -> dict[str, Any]:
        """Run a backfill to its end; give its summary."""
        return work(self.arena.options(options))

    def landed_files(self) -> set[str]:
        """Return the ids of all landed ranges."""
        return {
            micro_batch.id
            for lane in self.runner.landing.lanes()
            if lane.name.startswith("backfill-")
            for micro_batch in lane.micro_batches()
        }

    def assert_nothing_lost_nothing_twice(self) -> int:
        """Let the stream catch up, then prove raw = collection, and that no range landed twice."""
        self.arena.stream.catch_up(idle_seconds=0.5)
        documents = assert_same(self.arena.collection, self.arena.stream.warehouse)
        assert_manifest_is_sound(self.arena.stream.warehouse)
        for lane, numbers in self.runner.landed().items():
            assert [] == [number for number, times in Counter(numbers).items() if times > 1], lane
        assert [] == list(self.arena.stream.folder.rglob("*.inflight"))
        return documents


@pytest.fixture
def scene(arena: Arena, mongo: MongoSettings) -> BackfillArena:
    return BackfillArena(arena, mongo)


@pytest.mark.fault(
    10,
    "`kill -9` of a backfill at each of nine points, with writes before, in and behind the range",
    "no range twice, no gap, no stale overwrite",
)
@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_crash_at_a_failpoint(scene: BackfillArena, failpoint: str) -> None:
    """A kill -9 between any two steps, then again; the stream is started only afterwards: raw = collection.

    Ranges that have landed are not read again: their files are those of the crashed runs.
    """
    with scene.arena.writer.writing():
        scene.crash_at(failpoint, 1)
        first = scene.landed_files()
        if failpoint not in REACHED_ONCE:
            scene.crash_at(failpoint, 1)
        second = scene.landed_files()
        summary = scene.finish()

    assert first <= second <= scene.landed_files()
    assert summary["is_finished"]
    assert len(second) == summary["ranges_skipped"]
    assert scene.assert_nothing_lost_nothing_twice() > HISTORY / 2


@pytest.mark.fault(10, "stream and backfill killed at random, side by side", "nothing lost, no delete undone")
@pytest.mark.parametrize("run", range(2))
def test_both_are_killed_at_random(scene: BackfillArena, seed: int, run: int) -> None:
    """Stream and backfill run side by side, each is killed and started again, ten times: raw = collection."""
    chance = random.Random(seed + run)
    scene.arena.stream.take_position()
    with scene.arena.writer.writing():
        for _ in range(5):
            with scene.arena.worker(), scene.backfill(pause_ms=chance.randrange(200)):
                time.sleep(chance.uniform(0.1, 2.0))
        summary = scene.finish()

    assert summary["is_finished"]
    assert scene.assert_nothing_lost_nothing_twice() > HISTORY / 2


def test_beside_a_stream_that_stays_up(scene: BackfillArena) -> None:
    """Both load into one warehouse, in whatever order: raw = collection."""
    scene.arena.stream.take_position()
    with scene.arena.writer.writing(), scene.arena.worker() as worker:
        wait_until(lambda: scene.arena.stream.lane.is_being_written)
        scene.finish(pause_ms=20)
        assert worker.poll() is None

    assert scene.assert_nothing_lost_nothing_twice() > HISTORY / 2


def test_twice_in_a_row_and_no_stream_in_between(scene: BackfillArena) -> None:
    """A second backfill sees newer documents; what the stream brings late does not undo them."""
    with scene.arena.writer.writing():
        scene.finish()
        scene.finish()

    assert scene.assert_nothing_lost_nothing_twice() > HISTORY / 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_it_in_good_order(scene: BackfillArena, number: signal.Signals) -> None:
    """Ranges under way land, the process is gone within ten seconds, and the next run does the rest."""
    with scene.backfill(pause_ms=300) as process:
        wait_until(lambda: len(scene.landed_files()) >= 2)
        process.send_signal(number)
        told_at = time.monotonic()
        said, errors = process.communicate(timeout=patience())
    assert time.monotonic() - told_at < patience(10)
    assert 0 == process.returncode, errors
    summary = json.loads(said)
    assert (int(number), False) == (summary["signal_number"], summary["is_finished"])
    landed = scene.landed_files()
    assert 2 <= len(landed) == summary["ranges_landed"] < summary["ranges"]

    assert len(landed) == scene.finish()["ranges_skipped"]
    assert HISTORY == scene.assert_nothing_lost_nothing_twice()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_command_says_how_to_resume(
    scene: BackfillArena, collection: Documents, mongo_uri: str, number: signal.Signals
) -> None:
    """It exits as a shell expects of a signal, and the same command finishes the work."""
    body = {"type": "user", "message": "x" * 2000}
    collection.insert_many([body | {"_id": n} for n in range(1_000_000, 1_030_000)])
    program = Program(
        scene.arena.stream.folder.parent,
        MONGO_URI=mongo_uri,
        MONGO_DB=collection.database.name,
        DATA_DIR=str(scene.arena.stream.folder),
        BACKFILL_RANGE_BYTES="300000",
        DUCKDB_THREADS="1",
    )
    with program.start("backfill") as process:
        wait_until(lambda: len(scene.landed_files()) >= 2)
        process.send_signal(number)
        said, log = process.communicate(timeout=patience())

    assert 128 + number == process.returncode, log
    assert "run the same command again" in said
    program.done("backfill")
    assert HISTORY + 30_000 == scene.assert_nothing_lost_nothing_twice()
