"""The backfill on a real MongoDB: everything arrives once, and every end can be gone on from."""

import signal
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, Decimal128, ObjectId, Timestamp
from filelock import FileLock
from pymongo.collection import Collection

from batch.backfill.filters import Filters
from batch.mongod.replica_set import EmbeddedMongo
from stream.errors import (
    AlreadyRunningError,
    AnalyticsError,
    BackfillMismatchError,
    PositionMismatchError,
    StepFailedError,
    WarehouseBusyError,
)
from stream.landing.zone import Failpoint
from stream.settings import MongoSettings
from tests.support.backfilling import BackfillRunner
from tests.support.equality import assert_manifest_is_sound, assert_same, warehouse_rows
from tests.support.patience import patience
from tests.support.streaming import StreamRunner, meanwhile, wait_until

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


@pytest.fixture
def backfill(mongo: MongoSettings, tmp_path: Path) -> BackfillRunner:
    return BackfillRunner(mongo, tmp_path / "data")


def lines(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {
            "_id": ObjectId(),
            "type": "user",
            "sessionId": f"session-{number % 7}",
            "projectId": f"project-{number % 2}",
            "timestamp": f"2026-01-{number % 28 + 1:02d}T10:00:00.000Z",
            "message": {"role": "user", "content": "x" * (number % 90)},
        }
        | fields
        for number in range(count)
    ]


def fail_at(failpoint: str, nth: int) -> Failpoint:
    """Return what fails when a failpoint is reached for the n-th time."""
    left = nth

    def reached(name: str) -> None:
        nonlocal left
        left -= name == failpoint
        if name == failpoint and left == 0:
            raise StepFailedError("no more", hint="none")

    return reached


def test_everything_arrives_once(backfill: BackfillRunner, collection: Documents) -> None:
    """Many ranges, two threads: raw = collection, and the end is on record."""
    collection.insert_many(lines(1500))

    summary = backfill.run()

    assert 1500 == assert_same(collection, backfill.warehouse)
    assert_manifest_is_sound(backfill.warehouse)
    assert (1500, 0, True, False) == (
        summary.documents,
        summary.dead_letters,
        summary.is_finished,
        summary.is_resumed,
    )
    assert 5 < summary.ranges == summary.ranges_landed
    assert 1500 == summary.loaded.rows_upserted
    (lane,) = backfill.landed()
    assert (backfill.landing.root / lane / "finished.json").exists()


@pytest.mark.parametrize("size_bytes", [5_000, 10_000_000], ids=["many ranges", "one range"])
def test_ids_of_every_type(backfill: BackfillRunner, collection: Documents, size_bytes: int) -> None:
    """One collection, all kinds of `_id`: each document once (a query by `$gt` would see one kind only)."""
    makers: list[Any] = [
        lambda _n: ObjectId(),
        lambda n: f"text-{n}",
        lambda n: n,
        lambda n: n + 0.5,
        lambda _n: Binary.from_uuid(uuid.uuid4()),
        lambda n: {"b": n, "a": "x"},
        lambda n: datetime(2026, 1, 3, tzinfo=UTC).replace(microsecond=n * 1000),
        lambda n: Decimal128(f"{n}.25"),
        lambda n: Timestamp(n, 1),
    ]
    collection.insert_many(
        [{"_id": make(n), "type": "user", "message": "x" * 50} for n in range(1, 60) for make in makers]
        + [{"_id": single, "type": "user"} for single in (None, True, "")]
    )

    backfill.run(range_size_bytes=size_bytes)

    assert 59 * len(makers) + 3 == assert_same(collection, backfill.warehouse)


def test_an_empty_collection(backfill: BackfillRunner, collection: Documents) -> None:
    """There is nothing to do, and the stream begins here: what comes next is the stream's."""
    summary = backfill.run()

    assert (0, True) == (summary.documents, summary.is_finished)
    collection.insert_one({"type": "user"})
    StreamRunner(backfill.mongo, backfill.folder).catch_up()
    assert 1 == assert_same(collection, backfill.warehouse)


def test_bad_documents_are_dead_letters(backfill: BackfillRunner, collection: Documents) -> None:
    """They are kept with reason and content, and the summary counts them."""
    collection.insert_many([*lines(200), *({"message": "no type"} for _ in range(3))])

    summary = backfill.run()

    assert (203, 3) == (summary.documents, summary.dead_letters)
    assert ["missing_type"] * 3 == [
        each.letter.reason for each in backfill.dead_letters.list(backfill.landing)
    ]
    assert 200 == assert_same(collection, backfill.warehouse)


def test_again_and_again(backfill: BackfillRunner, collection: Documents) -> None:
    """A finished backfill can be run anew: another lane, the same rows."""
    collection.insert_many(lines(300))
    first = backfill.run()
    collection.update_one({"type": "user"}, {"$set": {"message": "changed"}})

    second = backfill.run()

    assert first.id != second.id
    assert 2 == len(backfill.landed())
    assert 300 == assert_same(collection, backfill.warehouse)


def test_a_range_that_has_landed_is_not_read_again(backfill: BackfillRunner, collection: Documents) -> None:
    """A run that dies after some ranges: the next one reads the others, and only those."""
    collection.insert_many(lines(1000))
    with pytest.raises(AnalyticsError, match="no more"):
        backfill.run(at_failpoint=fail_at("file_renamed", 4), threads=1)
    (before,) = backfill.landed().values()

    summary = backfill.run()

    assert summary.is_resumed
    assert len(before) == summary.ranges_skipped > 0
    assert set(before).isdisjoint(backfill.logged_numbers("range_landed"))
    assert 1000 == assert_same(collection, backfill.warehouse)
    assert_manifest_is_sound(backfill.warehouse)


def test_restart_begins_anew(backfill: BackfillRunner, collection: Documents) -> None:
    """The unfinished plan is forgotten, all ranges are read again, the rows are the same."""
    collection.insert_many(lines(500))
    with pytest.raises(AnalyticsError):
        backfill.run(at_failpoint=fail_at("file_renamed", 2))

    summary = backfill.run(restart=True)

    assert (False, 0, 500) == (summary.is_resumed, summary.ranges_skipped, summary.documents)
    assert 500 == assert_same(collection, backfill.warehouse)


def test_a_collection_made_anew_is_not_resumed(backfill: BackfillRunner, collection: Documents) -> None:
    """Dropped and filled again it has the same name and another id: refused, with a way out."""
    collection.insert_many(lines(500))
    with pytest.raises(AnalyticsError):
        backfill.run(at_failpoint=fail_at("file_renamed", 2))
    collection.drop()
    collection.insert_many(lines(10))

    with pytest.raises(BackfillMismatchError, match="the collection's id is") as caught:
        backfill.run()
    assert "--restart" in caught.value.hint


def test_a_collection_dropped_meanwhile(backfill: BackfillRunner, collection: Documents) -> None:
    """What was read of the new one does not land as if it were the old one."""
    collection.insert_many(lines(500))

    def drop(failpoint: str) -> None:
        if failpoint == "planned":
            collection.drop()
            collection.insert_many(lines(10))

    with pytest.raises(BackfillMismatchError, match="has been dropped or replaced"):
        backfill.run(at_failpoint=drop)
    assert [[]] == list(backfill.landed().values())


def test_other_filters_are_not_mixed(backfill: BackfillRunner, collection: Documents) -> None:
    """An unfinished backfill of one project is not finished with another's documents."""
    collection.insert_many(lines(500))
    with pytest.raises(AnalyticsError):
        backfill.run(Filters(project="project-0"), at_failpoint=fail_at("file_renamed", 1))

    with pytest.raises(BackfillMismatchError, match="--project project-0"):
        backfill.run()


def test_filters(backfill: BackfillRunner, collection: Documents) -> None:
    """A period and a project: those documents, no others."""
    collection.insert_many(lines(560))
    filters = Filters(
        since=datetime(2026, 1, 10, tzinfo=UTC), until=datetime(2026, 1, 12, tzinfo=UTC), project="project-1"
    )

    backfill.run(filters)

    expected = {
        str(each["_id"])
        for each in collection.find()
        if each["projectId"] == "project-1" and each["timestamp"][:10] in {"2026-01-10", "2026-01-11"}
    }
    assert 0 < len(expected)
    assert expected == set(warehouse_rows(backfill.warehouse))


def test_landing_only(backfill: BackfillRunner, collection: Documents) -> None:
    """`extract --full-backfill` leaves loading to `load`."""
    collection.insert_many(lines(300))

    summary = backfill.run(loads=False)

    assert (True, 0) == (summary.is_finished, summary.loaded.micro_batches)
    assert not backfill.warehouse.path.exists()
    backfill.warehouse.load(timeout_seconds=5)
    assert 300 == assert_same(collection, backfill.warehouse)


def test_a_held_warehouse_does_not_keep_ranges_from_landing(
    backfill: BackfillRunner, collection: Documents
) -> None:
    """Everything lands, the run ends with an error that may pass, and the next one only loads."""
    collection.insert_many(lines(500))
    with (
        backfill.warehouse.lock.held(timeout_seconds=1),
        pytest.raises(WarehouseBusyError, match="in use by"),
    ):
        backfill.run(lease_timeout_seconds=0.5)

    summary = backfill.run()

    assert (0, True) == (summary.documents, summary.is_finished)
    assert 500 == assert_same(collection, backfill.warehouse)


def test_a_second_backfill_is_refused(backfill: BackfillRunner, collection: Documents) -> None:
    """One at a time on a landing zone, with exit code 2."""
    backfill.landing.root.mkdir(parents=True)
    with (
        FileLock(backfill.landing.root / "backfill.lock"),
        pytest.raises(AlreadyRunningError, match="another backfill already runs") as caught,
    ):
        backfill.run()
    assert 2 == caught.value.exit_code


def test_the_position_is_taken_before_anything_is_read(
    backfill: BackfillRunner, collection: Documents
) -> None:
    """What changes during a first backfill is the stream's, also when that is started only later."""
    found = lines(300)
    collection.insert_many(found)

    def change(failpoint: str) -> None:
        if failpoint == "planned":
            collection.delete_one({"_id": found[0]["_id"]})
            collection.update_one({"_id": found[1]["_id"]}, {"$set": {"message": "changed"}})
        if failpoint == "all_read":
            collection.delete_one({"_id": found[2]["_id"]})
            collection.replace_one({"_id": found[3]["_id"]}, {"type": "replaced"})
            collection.insert_many(lines(20))

    backfill.run(at_failpoint=change)
    StreamRunner(backfill.mongo, backfill.folder).catch_up()

    assert 318 == assert_same(collection, backfill.warehouse)


def test_beside_a_running_stream(
    backfill: BackfillRunner, collection: Documents, stream: StreamRunner
) -> None:
    """A worker runs and has its position; both load, and every document is there once."""
    collection.insert_many(lines(600))
    stream.take_position()

    def load_and_delete() -> None:
        # However long the backfill takes: the worker runs until it has landed what came behind it.
        try:
            wait_until(lambda: stream.lane.is_being_written)
            collection.insert_many(lines(200))
            backfill.run()
            deleted = collection.delete_many({"sessionId": "session-3"}).deleted_count
            wait_until(lambda: deleted == sum(row["op"] == "delete" for row in stream.landed_rows()))
        finally:
            signal.raise_signal(signal.SIGTERM)

    with meanwhile(load_and_delete):
        stream.worker().run()
    stream.warehouse.load(timeout_seconds=20)

    assert 685 == assert_same(collection, backfill.warehouse)
    assert_manifest_is_sound(backfill.warehouse)


def test_a_stream_of_another_source_is_not_mixed(
    backfill: BackfillRunner, collection: Documents, stream: StreamRunner
) -> None:
    """The folder belongs to the collection that its stream follows."""
    stream.take_position()
    other = backfill.mongo.model_copy(update={"collection": "others"})

    with pytest.raises(PositionMismatchError, match="namespace is"):
        backfill.run(mongo=other)


def test_an_outage_is_waited_out(
    backfill: BackfillRunner, collection: Documents, replica_set: EmbeddedMongo
) -> None:
    """The server dies amid the reading and is back seconds later: ranges are read again, nothing is lost."""
    collection.insert_many(lines(2000))
    reached = threading.Event()

    def pause(failpoint: str) -> None:
        if failpoint == "file_renamed":
            reached.set()
            time.sleep(0.3)

    def restart() -> None:
        reached.wait(patience())
        replica_set.kill_node(0)
        wait_until(lambda: "range_waits" in {entry["event"] for entry in backfill.logged})
        replica_set.restart_node(0)
        replica_set.wait_for_primary()

    with meanwhile(restart):
        backfill.run(
            at_failpoint=pause, mongo=backfill.mongo.model_copy(update={"connect_timeout_seconds": 1})
        )

    assert "range_waits" in {entry["event"] for entry in backfill.logged}
    assert 2000 == assert_same(collection, backfill.warehouse)


def test_dry_run_changes_nothing(backfill: BackfillRunner, collection: Documents) -> None:
    """The plan is shown, no file is made, no position taken."""
    collection.insert_many(lines(500))

    plan, landed = backfill.job().survey(Filters())

    assert (500, 0) == (plan.documents, landed)
    assert 1 < len(plan.ranges)
    assert not backfill.folder.exists()


def test_the_estimate_of_a_partial_backfill(backfill: BackfillRunner, collection: Documents) -> None:
    """About half of the documents are of one of two projects."""
    collection.insert_many(lines(500))

    plan, _ = backfill.job().survey(Filters(project="project-0"))

    assert 150 < plan.documents < 350


def test_metrics(backfill: BackfillRunner, collection: Documents) -> None:
    """Documents landed, and ranges by state."""
    collection.insert_many(lines(500))

    summary = backfill.run()

    value = backfill.registry.get_sample_value
    assert 500 == value("claude_analytics_backfill_documents_total")
    assert (0, 0, summary.ranges) == tuple(
        value("claude_analytics_backfill_ranges", {"state": state})
        for state in ("planned", "landed", "loaded")
    )


def test_progress_counts_up_to_everything(backfill: BackfillRunner, collection: Documents) -> None:
    """The last look has all documents, and every range loaded."""
    collection.insert_many(lines(500))
    looks: list[Any] = []

    summary = backfill.job().run(Filters(), on_progress=looks.append)

    assert 500 == looks[-1].documents == looks[-1].documents_expected
    assert looks[-1].is_read
    assert summary.ranges == looks[-1].ranges["loaded"]
    assert sorted(look.documents for look in looks) == [look.documents for look in looks]
