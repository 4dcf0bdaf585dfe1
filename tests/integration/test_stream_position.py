"""Where the stream begins, where it goes on, and when it refuses to."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from stream.core.cluster_time import cluster_time_of
from stream.errors import (
    AlreadyRunningError,
    MicroBatchCorruptError,
    PositionMismatchError,
)
from stream.settings import MongoSettings
from tests.support.equality import assert_same
from tests.support.streaming import StreamRunner, line, make_worker, meanwhile, wait_until

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


def test_a_first_start_on_history_begins_at_the_present(stream: StreamRunner, collection: Documents) -> None:
    """Documents from before the first start are not read, and the log says what reads them."""
    collection.insert_many([line(number) for number in range(3)])

    stream.catch_up()
    [told] = [entry for entry in stream.logged if entry["event"] == "history_not_read"]
    assert "claude-analytics backfill" in told["hint"]
    assert "warning" == told["log_level"]

    collection.insert_one(line(3))
    stream.catch_up()
    assert ["i:3"] == [row["_id"] for row in stream.landed_rows()]
    assert "history_not_read" not in stream.events_logged()


def test_a_first_start_without_collection_warns_of_that_alone(stream: StreamRunner) -> None:
    """There is no history to miss; but the name may be a slip of the pen."""
    stream.catch_up()

    warned = [entry["event"] for entry in stream.logged if entry["log_level"] == "warning"]
    # Other tests may have filled the oplog of the server that all share.
    assert ["collection_missing"] == [event for event in warned if event != "history_soon_lost"]


def test_a_taken_position_is_kept(stream: StreamRunner, collection: Documents) -> None:
    """What is written between `take_position` and the first run arrives, however often it is taken again."""
    first = stream.take_position()
    collection.insert_one(line(1))
    assert first == stream.take_position()

    stream.catch_up()

    assert 1 == assert_same(collection, stream.warehouse)


def test_from_now_leaves_out_what_is_between(stream: StreamRunner, collection: Documents) -> None:
    """The saved position is left on demand, and the next run goes on from the new one."""
    stream.take_position()
    collection.insert_one(line(1))
    stream.catch_up()
    collection.insert_one(line(2))

    stream.worker().run(until_idle_seconds=0.3, from_now=True)
    collection.insert_one(line(3))
    stream.catch_up()

    assert ["i:1", "i:3"] == [row["_id"] for row in stream.landed_rows()]


@pytest.mark.fault(6, "only other collections change", "the saved position moves on")
def test_the_position_moves_on_while_the_collection_is_idle(
    stream: StreamRunner, collection: Documents
) -> None:
    """Other collections fill the oplog: `position.json` follows, without any file landing."""
    taken = stream.take_position()

    def write_elsewhere() -> None:
        for number in range(5):
            collection.database["other"].insert_one(line(number))
        try:
            wait_until(lambda: stream.lane.position() != taken)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with meanwhile(write_elsewhere):
        stream.worker().run()

    position = stream.lane.position()
    assert position is not None
    assert position.cluster_time > taken.cluster_time
    assert [] == stream.lane.micro_batches()
    saved = json.loads((stream.lane.folder / "position.json").read_text())
    assert (None, position.cluster_time) == (saved["behind"], cluster_time_of(*saved["position"]["time"]))


def test_the_idle_position_continues_behind_what_landed(stream: StreamRunner, collection: Documents) -> None:
    """After some files the idle position names the newest of them, and the next run goes on behind it."""
    stream.take_position()
    collection.insert_one(line(1))
    stream.catch_up(idle_seconds=1)
    collection.database["other"].insert_one(line(1))
    stream.catch_up(idle_seconds=1)

    newest = stream.lane.newest()
    assert newest is not None
    assert json.loads((stream.lane.folder / "position.json").read_text())["behind"] == newest.id
    collection.insert_one(line(2))
    assert 1 == stream.catch_up().events


def test_a_newest_file_moved_away_is_read_again(
    stream: StreamRunner, collection: Documents, tmp_path: Path
) -> None:
    """Without its newest file the stream goes on behind the one before it, whatever `position.json` says."""
    stream.take_position()
    collection.insert_one(line(1))
    stream.catch_up()
    collection.insert_one(line(2))
    stream.catch_up(idle_seconds=1)
    newest = stream.lane.newest()
    assert newest is not None
    shutil.move(newest.path, tmp_path)

    stream.catch_up()

    assert ["i:1", "i:2"] == [row["_id"] for row in stream.landed_rows()]
    assert 2 == assert_same(collection, stream.warehouse)


def test_a_second_worker_is_refused(stream: StreamRunner, collection: Documents) -> None:
    """Two workers on one folder would break the order: the second says so and ends."""
    with stream.lane.writing():
        for start in (stream.catch_up, stream.take_position):
            with pytest.raises(AlreadyRunningError, match="another process already writes the lane `stream`"):
                start()
        assert stream.lane.is_being_written
    assert not stream.lane.is_being_written


def test_a_look_at_the_lock_is_not_taken_for_a_worker(stream: StreamRunner, collection: Documents) -> None:
    """Whoever asks whether a worker runs does not keep one from starting."""
    stream.take_position()
    answers: list[bool] = []
    looking = True

    def look() -> None:
        while looking:
            answers.append(stream.lane.is_being_written)

    with meanwhile(look):
        try:
            for _ in range(10):
                stream.take_position()
        finally:
            looking = False

    assert len(answers) > 10


def test_a_position_of_another_namespace_is_refused(stream: StreamRunner, mongo: MongoSettings) -> None:
    """A DATA_DIR that belongs to another collection is not mixed up."""
    stream.take_position()
    other = mongo.model_copy(update={"collection": "other"})

    with pytest.raises(PositionMismatchError, match=r"namespace is `test_.*\.other`, was") as caught:
        make_worker(other, stream.folder).run(until_idle_seconds=0.3)
    assert 2 == caught.value.exit_code
    assert "another DATA_DIR" in caught.value.hint


@pytest.mark.fault(5, "another cluster, set or pipeline under the same address", "exit 2, nothing is read")
@pytest.mark.parametrize("field", ["cluster_id", "set_name", "pipeline"])
def test_a_position_of_another_source_is_refused(stream: StreamRunner, field: str) -> None:
    """A token of another cluster or another pipeline would be accepted silently by the server."""
    stream.take_position()
    path = stream.lane.folder / "position.json"
    saved = json.loads(path.read_text())
    saved["position"]["fingerprint"][field] = "another"
    path.write_text(json.dumps(saved))

    with pytest.raises(PositionMismatchError, match=f"{field} is `.*`, was `another`"):
        stream.catch_up()


def test_a_damaged_position_file_is_said(stream: StreamRunner) -> None:
    """The message names the file and what happens once it is moved away."""
    stream.take_position()
    (stream.lane.folder / "position.json").write_text('{"behind": null}')

    with pytest.raises(MicroBatchCorruptError, match=r"cannot read `.*position\.json`") as caught:
        stream.catch_up()
    assert "move it away" in caught.value.hint
