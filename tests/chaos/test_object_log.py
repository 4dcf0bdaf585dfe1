"""The log in a bucket: workers are killed, frozen, doubled; the store hangs. Nothing gets lost."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batch.lake.s3_server import S3Server
from stream.clock import utc_now
from stream.landing.fenced import FencedZone
from stream.landing.micro_batch import read_footer
from stream.source.resnapshot import ResnapshotStore
from stream.storage.storage import Storage
from tests.chaos.conftest import BACKFILL, Arena
from tests.chaos.crashing_worker import work
from tests.support.forking import ForkServer
from tests.support.losing import LostHistory, losing_history
from tests.support.objects import assert_nothing_lost_nothing_twice, landed_rows
from tests.support.patience import patience
from tests.support.streaming import StreamRunner, wait_until

pytestmark = pytest.mark.chaos

FAILPOINTS = ["window_closed", "dead_letters_stored", "file_written", "file_renamed", "position_saved"]


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LostHistory]:
    """Return a collection of whose changes some are lost."""
    with losing_history(tmp_path_factory.mktemp("lost")) as found:
        yield found


class ObjectArena:
    """An arena whose workers land in a bucket."""

    def __init__(self, arena: Arena, bucket: Storage, folder: Path) -> None:
        self.arena = arena
        self.bucket = bucket
        self.folder = folder

    def options(self) -> dict[str, Any]:
        """Return what makes a worker land there."""
        return {"data_url": self.bucket.url}

    def crash_at(self, failpoint: str, nth: int) -> None:
        """Run a worker until it kills itself at a failpoint."""
        self.arena.crash_at(failpoint, nth, **self.options())

    def catch_up(self) -> None:
        """Run a worker until nothing arrives any more."""
        work(self.arena.options({"until_idle_seconds": 0.5} | self.options()))

    def assert_nothing_lost_nothing_twice(self) -> None:
        """Catch up, then compare; something must have been written at all."""
        self.catch_up()
        documents = assert_nothing_lost_nothing_twice(
            self.bucket, self.arena.collection, self.folder / "compared"
        )
        assert documents > 0


@pytest.fixture
def objects(arena: Arena, bucket: Storage, tmp_path: Path) -> ObjectArena:
    """Return an arena on an empty place in a bucket; a first worker has taken the position."""
    found = ObjectArena(arena, bucket, tmp_path)
    found.catch_up()
    return found


@pytest.mark.fault(
    1,
    "`kill -9` at each of five points between reading and landing in a bucket",
    "nothing lost, nothing twice",
)
@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_crash_at_a_failpoint_loses_nothing_and_doubles_nothing(
    objects: ObjectArena, failpoint: str
) -> None:
    """Twice in a row, during live changes."""
    if failpoint == "position_saved":
        objects.arena.writer.pause_seconds = 1.2
    with objects.arena.writer.writing():
        objects.crash_at(failpoint, 1)
        objects.crash_at(failpoint, 2)
    objects.assert_nothing_lost_nothing_twice()


@pytest.mark.fault(14, "two workers on one lane of a bucket", "one ends with exit 2, the other has all")
def test_of_two_workers_one_ends(objects: ObjectArena) -> None:
    """Whoever comes second to a number says why it ends; the other goes on."""
    options = objects.options()
    with (
        objects.arena.worker(**options) as one,
        objects.arena.worker(**options) as other,
        objects.arena.writer.writing(),
    ):
        wait_until(lambda: one.poll() is not None or other.poll() is not None)
        loser, winner = (one, other) if one.poll() is not None else (other, one)
        assert winner.poll() is None
        _, log = loser.communicate(timeout=patience())
        assert "AlreadyRunningError: another worker writes the lane `stream`" in log
    objects.assert_nothing_lost_nothing_twice()


@pytest.mark.fault(14, "a worker frozen until its successor has written, then woken", "it ends with exit 2")
def test_a_frozen_worker_that_wakes_up_writes_nothing(objects: ObjectArena) -> None:
    """It had read changes that its successor has landed meanwhile."""
    zone = FencedZone(objects.bucket, clock=lambda: pytest.fail("asked for the time"))
    insert = objects.arena.collection.insert_one
    with objects.arena.worker(**objects.options()) as frozen:
        insert({"_id": "one", "type": "user"})
        wait_until(lambda: len(landed_rows(objects.bucket)) == 1)
        os.kill(frozen.pid, signal.SIGSTOP)
        insert({"_id": "two", "type": "user"})
        objects.catch_up()
        assert [0, 1] == [each.sequence for each in zone.lane("stream").landed()]
        os.kill(frozen.pid, signal.SIGCONT)
        insert({"_id": "three", "type": "user"})
        _, log = frozen.communicate(timeout=patience())
        assert "AlreadyRunningError: another worker writes the lane `stream`" in log
    objects.assert_nothing_lost_nothing_twice()


@pytest.mark.fault(
    10, "three backfills of one collection from several machines, two of them killed", "no gap, nothing twice"
)
@pytest.mark.parametrize("failpoint", ["planned", "file_written", "file_renamed", "all_read", "all_done"])
def test_backfills_share_the_ranges_and_take_over_from_the_dead(objects: ObjectArena, failpoint: str) -> None:
    """One is killed at a failpoint, one is frozen; the third finishes, and the frozen one does no harm."""
    objects.arena.collection.insert_many(
        {"_id": f"old-{number:04d}", "type": "user", "message": "x" * 300} for number in range(1500)
    )
    options = objects.options() | {"options": {"claim_seconds": 3, "threads": 1}, "pause_ms": 30}
    with objects.arena.running(BACKFILL, failpoint=failpoint, nth=1, **options) as killed:
        _, said = killed.communicate(timeout=patience())
        assert -9 == killed.returncode, said
    with objects.arena.running(BACKFILL, **options) as frozen:
        zone = FencedZone(objects.bucket, clock=lambda: pytest.fail("asked for the time"))
        wait_until(lambda: frozen.poll() is not None or claims_of(objects.bucket) > 0)
        frozen.send_signal(signal.SIGSTOP)  # does nothing if all had landed before, and it has ended
        with objects.arena.running(BACKFILL, **options) as third:
            output, said = third.communicate(timeout=patience(180))
            assert 0 == third.returncode, said
        told = json.loads(output)
        assert told["is_finished"]
        assert told["ranges_landed"] == told["ranges"] > 10
        frozen.send_signal(signal.SIGCONT)
        _, said = frozen.communicate(timeout=patience(180))
        assert 0 == frozen.returncode, said
    lanes = [lane for lane in zone.lanes() if lane.name.startswith("backfill-")]
    assert max(len(lane.numbers()) for lane in lanes) == told["ranges"]
    objects.catch_up()
    documents = assert_nothing_lost_nothing_twice(
        objects.bucket, objects.arena.collection, objects.folder / "compared", is_stream_alone=False
    )
    assert 1500 == documents


@pytest.mark.fault(
    4, "`kill -9` at each step of a resnapshot in a bucket", "resumed; the copy equals the collection"
)
@pytest.mark.parametrize(
    ("failpoint", "nth"),
    [("resnapshot_saved", 1), ("planned", 1), ("file_renamed", 2), ("all_done", 1)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_kill_while_everything_is_resnapshot(
    lost: LostHistory, bucket: Storage, scripts: ForkServer, tmp_path: Path, *, failpoint: str, nth: int
) -> None:
    """What has been read is not read again, deleted documents are removed at the end."""
    away = lost.stream(tmp_path / "data")
    land_in(bucket, away)
    arena = Arena(away.mongo, lost.collection, tmp_path / "empty", seed=1, scripts=scripts)
    options: dict[str, Any] = {"data_url": bucket.url, "settings": {"STREAM_ON_HISTORY_LOST": "resnapshot"}}
    assert 200 == len(landed_rows(bucket))
    arena.crash_at(failpoint, nth, **options)

    work(arena.options({"until_idle_seconds": 0.5} | options))

    assert 200 == assert_nothing_lost_nothing_twice(
        bucket, lost.collection, tmp_path / "compared", is_stream_alone=False
    )
    zone = FencedZone(bucket, clock=utc_now)
    backfills = [lane for lane in zone.lanes() if lane.name.startswith("backfill-")]
    assert 1 == len(backfills)
    assert ResnapshotStore(zone.lane("stream")).load() is None
    assert 0 == work(arena.options({"until_idle_seconds": 0.5} | options)).events


def land_in(bucket: Storage, stream: StreamRunner) -> None:
    """Land in a bucket what a stream has landed in its folder, and let its lane stand where that one does."""
    lane, position = FencedZone(bucket, clock=utc_now).lane("stream"), stream.lane.position()
    assert position is not None
    for each in stream.lane.micro_batches():
        lane.land(each, pq.read_table(each.path, partitioning=None), read_footer(each))
    lane.save_position(position, behind=lane.newest())


def claims_of(bucket: Storage) -> int:
    """Return how many claims there have been and are still there."""
    return sum("/claims/" in each.key for each in bucket.list_after("state"))


@pytest.mark.fault(2, "the object store hangs for a while", "the worker waits, and goes on by itself")
def test_a_store_that_hangs_is_waited_for(objects: ObjectArena, s3_server: S3Server) -> None:
    """Changes go on meanwhile; nobody has to start anything again."""
    with objects.arena.worker(**objects.options()) as process:
        objects.arena.collection.insert_one({"_id": "before", "type": "user"})
        wait_until(lambda: len(landed_rows(objects.bucket)) == 1)
        s3_server.pause()
        try:
            objects.arena.collection.insert_one({"_id": "meanwhile", "type": "user"})
            with pytest.raises(AssertionError):
                wait_until(lambda: process.poll() is not None, seconds=5)
        finally:
            s3_server.go_on()
        wait_until(lambda: len(landed_rows(objects.bucket)) == 2)
        assert process.poll() is None
    objects.assert_nothing_lost_nothing_twice()
