"""The collection is dropped, renamed or replaced as a whole, also while no worker runs."""

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.collection import Collection

from stream.errors import CollectionInvalidatedError
from tests.support.backfilling import reading_anew
from tests.support.equality import assert_manifest_is_sound, assert_same, warehouse_rows
from tests.support.streaming import StreamRunner, line, meanwhile, wait_until

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]
InvalidatingEvent = Callable[[Documents], None]


def drop(collection: Documents) -> None:
    collection.drop()


def rename(collection: Documents) -> None:
    collection.rename("renamed", dropTarget=True)


def drop_database(collection: Documents) -> None:
    collection.database.client.drop_database(collection.database.name)


GONE = pytest.mark.parametrize(
    "invalidating_event", [drop, rename, drop_database], ids=lambda each: each.__name__
)


def replace_by_rename(collection: Documents) -> None:
    other = collection.database["other"]
    other.insert_many([line(number, uuid="new") for number in range(2, 5)])
    other.rename(collection.name, dropTarget=True)


def replace_by_out(collection: Documents) -> None:
    other = collection.database["other"]
    other.insert_many([line(number, uuid="new") for number in range(2, 5)])
    other.aggregate([{"$out": collection.name}])


REPLACED = pytest.mark.parametrize(
    "invalidating_event", [replace_by_rename, replace_by_out], ids=lambda each: each.__name__
)


@pytest.mark.fault(
    7,
    "`drop`, `rename`, `dropDatabase` while the worker is down, three times",
    "the copy equals the collection",
)
@GONE
def test_what_happened_while_the_worker_was_down(
    stream: StreamRunner, collection: Documents, invalidating_event: InvalidatingEvent
) -> None:
    """Twice in a row gone and made again: the copy is what the collection holds, also built anew."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(5)])
    stream.catch_up()
    for number in (10, 20):
        invalidating_event(collection)
        collection.insert_many([line(1, uuid=f"{number}"), line(number)])
    invalidating_event(collection)
    collection.insert_one(line(30))
    collection.update_one({"_id": 30}, {"$set": {"uuid": "changed"}})

    stream.catch_up()

    assert 3 == stream.events_logged().count("collection_dropped")
    assert 1 == assert_same(collection, stream.warehouse)
    stream.warehouse.rebuild(timeout_seconds=10)
    assert 1 == assert_same(collection, stream.warehouse)
    assert_manifest_is_sound(stream.warehouse)
    assert 0 == stream.catch_up().events


@pytest.mark.fault(
    7, "`drop`, `rename`, `dropDatabase` under a running worker", "it goes on, later inserts arrive"
)
@GONE
def test_what_happens_while_the_worker_runs(
    stream: StreamRunner, collection: Documents, invalidating_event: InvalidatingEvent
) -> None:
    """It goes on behind the event, and what is inserted afterwards arrives."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(3)])

    def change() -> None:
        wait_until(lambda: len(stream.landed_rows()) == 3)
        invalidating_event(collection)
        wait_until(lambda: "collection_dropped" in stream.events_logged())
        collection.insert_one(line(7))

    worker = stream.worker()
    with meanwhile(change):
        worker.run(until_idle_seconds=2)

    assert 1 == assert_same(collection, stream.warehouse)
    assert [*["upsert"] * 3, "truncate", "upsert"] == [row["op"] for row in stream.landed_rows()]
    assert 0 == worker.registry.get_sample_value("claude_analytics_stream_reconnects_total")


def test_rows_may_be_kept(stream: StreamRunner, collection: Documents) -> None:
    """A collection that is dropped to start over leaves its history in the warehouse, if so wanted."""
    stream.take_position()
    collection.insert_one(line(1))
    collection.drop()
    collection.insert_one(line(2))

    stream.catch_up(STREAM_ON_DROP="keep")

    assert ["i:1", "i:2"] == list(warehouse_rows(stream.warehouse))
    assert 0 == stream.catch_up().events


@pytest.mark.fault(7, "the same with `STREAM_ON_DROP=stop`", "all changes before it land; exit 2 naming it")
def test_the_stream_may_stop_before_it(stream: StreamRunner, collection: Documents) -> None:
    """Every restart stops at the same event again, until a person decides; then nothing is missing."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(3)])
    collection.drop()
    collection.insert_one(line(4))

    for _ in range(2):
        with pytest.raises(CollectionInvalidatedError, match="as a whole: `drop`") as caught:
            stream.catch_up(STREAM_ON_DROP="stop")
        assert 2 == caught.value.exit_code
        assert "--on-drop=keep" in caught.value.hint
        assert ["i:0", "i:1", "i:2"] == list(warehouse_rows(stream.warehouse))

    stream.catch_up()
    assert 1 == assert_same(collection, stream.warehouse)


@pytest.mark.fault(
    7, "another collection is renamed onto it, `$out` writes it", "exit 2; with `resnapshot` it is read again"
)
@REPLACED
def test_a_replaced_collection_stops_the_stream(
    stream: StreamRunner, collection: Documents, invalidating_event: InvalidatingEvent
) -> None:
    """No event tells what it holds now: exit code 2 with the way out, and the old rows stay."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(3)])
    invalidating_event(collection)

    for _ in range(2):
        with pytest.raises(CollectionInvalidatedError, match="has been replaced as a whole") as caught:
            stream.catch_up()
        assert "--on-history-lost=resnapshot" in caught.value.hint
    assert ["i:0", "i:1", "i:2"] == list(warehouse_rows(stream.warehouse))


@REPLACED
def test_a_replaced_collection_is_resnapshot(
    stream: StreamRunner, collection: Documents, invalidating_event: InvalidatingEvent
) -> None:
    """The copy is the new collection, with what was changed since, before and after a rebuild."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(3)])
    stream.catch_up()
    invalidating_event(collection)
    collection.insert_one(line(7))
    collection.delete_one({"_id": 3})

    reading_anew(stream).run(until_idle_seconds=0.5)

    assert 3 == assert_same(collection, stream.warehouse)
    assert "collection_replaced" in stream.events_logged()
    assert not (stream.lane.folder / "resnapshot.json").exists()
    stream.warehouse.rebuild(timeout_seconds=10)
    assert 3 == assert_same(collection, stream.warehouse)
    assert 0 == stream.catch_up().events


def test_a_replaced_collection_may_leave_the_rows(stream: StreamRunner, collection: Documents) -> None:
    """With `keep` the stream goes on, and says which command reads the new content."""
    stream.take_position()
    collection.insert_one(line(1))
    replace_by_rename(collection)
    collection.insert_one(line(9))

    stream.catch_up(STREAM_ON_DROP="keep")

    assert ["i:1", "i:9"] == list(warehouse_rows(stream.warehouse))
    [told] = [entry for entry in stream.logged if entry["event"] == "collection_replaced"]
    assert "`claude-analytics backfill`" in told["hint"]
