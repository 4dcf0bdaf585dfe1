"""The whole stream on a real MongoDB and a real DuckDB: what each kind of change does to the warehouse."""

import random
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from pymongo import DeleteOne, InsertOne, UpdateOne
from pymongo.collection import Collection

from tests.support.equality import assert_manifest_is_sound, assert_same, warehouse_rows
from tests.support.streaming import StreamRunner, line

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


def test_inserts_arrive(stream: StreamRunner, collection: Documents) -> None:
    """Each inserted document is one row, with the summary counting them."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(100)])

    summary = stream.catch_up()

    assert 100 == assert_same(collection, stream.warehouse)
    assert 100 == summary.events
    assert 100 == summary.loaded.rows_upserted
    assert summary.signal_number is None
    assert_manifest_is_sound(stream.warehouse)


def test_updates_replaces_and_deletes_arrive(stream: StreamRunner, collection: Documents) -> None:
    """The row follows its document, and goes with it."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(4)])
    stream.catch_up()
    collection.update_one({"_id": 0}, {"$set": {"message.content": "updated"}})
    collection.replace_one({"_id": 1}, line(1, type="assistant", extra_field=[1, 2]))
    collection.delete_one({"_id": 2})

    summary = stream.catch_up()

    assert 3 == assert_same(collection, stream.warehouse)
    assert (2, 1) == (summary.loaded.rows_upserted, summary.loaded.rows_deleted)
    rows = warehouse_rows(stream.warehouse)
    assert "updated" == rows["i:0"]["message_content"]
    assert ("assistant", '{"extra_field":[1,2]}') == (rows["i:1"]["type"], rows["i:1"]["extra"])


@pytest.mark.fault(9, "thousands of changes of one document in one window", "the last wins")
def test_the_last_of_many_changes_wins(stream: StreamRunner, collection: Documents) -> None:
    """Thousands of changes of one document in one window leave its last state."""
    stream.take_position()
    collection.insert_one(line(1))
    collection.bulk_write(
        [UpdateOne({"_id": 1}, {"$set": {"message.content": str(number)}}) for number in range(3000)]
    )

    summary = stream.catch_up(STREAM_MAX_AGE_SECONDS=3600)

    assert 3001 == summary.events
    assert 1 == len(stream.lane.micro_batches())
    assert 1 == assert_same(collection, stream.warehouse)
    assert "2999" == warehouse_rows(stream.warehouse)["i:1"]["message_content"]


@pytest.mark.fault(
    9, "an update whose document is gone before it is read", "the delete wins, never an empty row"
)
def test_a_document_deleted_at_the_end_is_gone(stream: StreamRunner, collection: Documents) -> None:
    """Insert, update (whose lookup finds nothing any more) and delete in one window leave no row."""
    stream.take_position()
    collection.insert_one(line(1))
    collection.update_one({"_id": 1}, {"$set": {"type": "assistant"}})
    collection.delete_one({"_id": 1})
    collection.insert_one(line(2))

    stream.catch_up()

    assert ["upsert", "delete", "delete", "upsert"] == [row["op"] for row in stream.landed_rows()]
    assert [0] == [each["dead_letters"] for each in stream.logged if each["event"] == "micro_batch_landed"]
    assert 1 == assert_same(collection, stream.warehouse)


def test_changes_of_one_document_in_one_transaction_keep_their_order(
    stream: StreamRunner, collection: Documents
) -> None:
    """All changes of a transaction have one cluster time; the last in stream order wins."""
    stream.take_position()
    with collection.database.client.start_session() as session, session.start_transaction():
        collection.insert_many([line(number) for number in range(5)], session=session)
        for content in ("first", "second", "third"):
            collection.update_one({"_id": 1}, {"$set": {"message.content": content}}, session=session)
        collection.delete_one({"_id": 2}, session=session)

    stream.catch_up()

    assert 1 == len({row["source_version"] for row in stream.landed_rows()})
    assert 4 == assert_same(collection, stream.warehouse)
    assert "third" == warehouse_rows(stream.warehouse)["i:1"]["message_content"]


def test_delete_and_insert_again_in_one_transaction(stream: StreamRunner, collection: Documents) -> None:
    """The document is there in its new form, whether it was loaded before or not."""
    stream.take_position()
    collection.insert_many([line(1), line(2)])
    stream.catch_up()
    with collection.database.client.start_session() as session, session.start_transaction():
        for number in (1, 3):
            if number == 3:
                collection.insert_one(line(3), session=session)
            collection.delete_one({"_id": number}, session=session)
            collection.insert_one(line(number, type="reborn"), session=session)

    stream.catch_up()

    assert 3 == assert_same(collection, stream.warehouse)
    rows = warehouse_rows(stream.warehouse)
    assert ["reborn", "user", "reborn"] == [rows[key]["type"] for key in ("i:1", "i:2", "i:3")]


@pytest.mark.fault(
    9, "one transaction deletes and re-inserts the same documents", "the last in stream order wins"
)
def test_one_transaction_over_several_micro_batches(stream: StreamRunner, collection: Documents) -> None:
    """Delete and re-insert with one cluster time, landed apart, end as the collection did."""
    stream.take_position()
    with collection.database.client.start_session() as session, session.start_transaction():
        for _ in range(3):
            collection.insert_many([line(number) for number in range(4)], session=session)
            collection.delete_many({"_id": {"$lt": 3}}, session=session)
            collection.delete_one({"_id": 3}, session=session)
        collection.insert_many([line(number, type="last") for number in range(4)], session=session)
        collection.delete_one({"_id": 0}, session=session)

    stream.catch_up(BATCH_SIZE=1, STREAM_MAX_ROWS=1)

    assert 3 * 8 + 5 == len(stream.lane.micro_batches())
    assert 1 == len({row["source_version"] for row in stream.landed_rows()})
    assert 3 == assert_same(collection, stream.warehouse)


def test_a_restart_neither_repeats_nor_loses(stream: StreamRunner, collection: Documents) -> None:
    """What changes between two runs is in the second, what the first has read is not read again."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(10)])
    first = stream.catch_up()
    collection.insert_many([line(number) for number in range(10, 30)])
    second = stream.catch_up()
    third = stream.catch_up()

    assert [10, 20, 0] == [run.events for run in (first, second, third)]
    assert [row["_id"] for row in stream.landed_rows()] == [f"i:{number}" for number in range(30)]
    assert 30 == assert_same(collection, stream.warehouse)
    assert_manifest_is_sound(stream.warehouse)


def test_until_idle_waits_for_a_slow_trickle(stream: StreamRunner, collection: Documents) -> None:
    """The worker does not end while changes keep coming in."""
    stream.take_position()

    def write() -> None:
        for number in range(8):
            collection.insert_one(line(number))
            time.sleep(0.25)

    writer = threading.Thread(target=write)
    writer.start()
    summary = stream.catch_up(idle_seconds=1.5)
    writer.join()

    assert 8 == summary.events
    assert 8 == assert_same(collection, stream.warehouse)


@pytest.mark.fault(11, "numbers, text, dates, binaries, sub-documents as `_id`", "each document exactly once")
def test_all_types_of_id_are_kept_apart(stream: StreamRunner, collection: Documents) -> None:
    """`1`, `"1"`, `1.5`, `true`, sub-documents, dates, binaries: each document exactly once."""
    ids = [
        1, "1", 1.5, True, False, None, {"a": 1}, {"a": 2, "b": "x"}, ObjectId(), Int64(2**40), b"1",
        Binary(b"1", 5), Binary.from_uuid(uuid.uuid4()), datetime(2026, 1, 1, tzinfo=UTC),
        Decimal128("2.50"), Decimal128("7"), Timestamp(1, 1), MinKey(), MaxKey(), Code("1"), "", "s:1", "i:1",
        float("inf"), float("nan"), -0.0, "a\0b", "a\ufffdb",
    ]  # fmt: skip
    stream.take_position()
    for number, document_id in enumerate(ids):
        collection.insert_one(line(0) | {"_id": document_id, "number": number})

    stream.catch_up()
    assert assert_same(collection, stream.warehouse) == len(ids)

    collection.delete_many({"number": {"$mod": [2, 0]}})
    collection.update_many({}, {"$set": {"type": "updated"}})
    stream.catch_up()
    assert assert_same(collection, stream.warehouse) == len(ids) // 2


def test_bulk_writes_of_all_kinds(stream: StreamRunner, collection: Documents) -> None:
    """Hundreds of mixed changes, in many small micro-batches, leave what the collection holds."""
    chance = random.Random(7)
    stream.take_position()
    for _ in range(20):
        writes: list[InsertOne[dict[str, Any]] | UpdateOne | DeleteOne] = []
        for _ in range(40):
            number = chance.randrange(30)
            choice = chance.randrange(3)
            if choice == 0:
                writes.append(
                    UpdateOne({"_id": number}, {"$set": {"type": f"t{chance.random()}"}}, upsert=True)
                )
            elif choice == 1:
                writes.append(DeleteOne({"_id": number}))
            else:
                writes += [DeleteOne({"_id": number}), InsertOne(line(number, round=chance.random()))]
        collection.bulk_write(writes)

    stream.catch_up(BATCH_SIZE=7, STREAM_MAX_ROWS=20)

    assert_same(collection, stream.warehouse)
    assert_manifest_is_sound(stream.warehouse)
