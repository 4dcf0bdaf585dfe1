"""`verify` against a real collection and a real warehouse: it finds every defect, and nothing else."""

import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo.collection import Collection

from batch.verify.report import KINDS, Verification
from stream.core.normalise import document_key
from stream.errors import PositionMismatchError, SourceUnreachableError
from stream.settings import MongoSettings
from tests.support.landing import land, position_at, upsert
from tests.support.streaming import StreamRunner, meanwhile, wait_until
from tests.support.verifying import verifier_of

pytestmark = pytest.mark.integration

START = datetime(2026, 1, 3, tzinfo=UTC)
NOTHING: dict[str, int] = dict.fromkeys(KINDS, 0)


def documents(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {
            "_id": ObjectId(f"{1_767_000_000 + number:08x}{number:016x}"),
            "type": "user",
            "sessionId": f"session {number % 7}",
            "timestamp": (START + timedelta(hours=number)).isoformat(),
            "message": {"role": "user", "content": f"text {number}"},
            "cwd": "/somewhere",
        }
        | fields
        for number in range(count)
    ]


def found(result: Verification) -> dict[str, list[str]]:
    """Return what was found, but for kinds without any."""
    assert {kind: len(keys) for kind, keys in result.first.items()} == result.counts
    return {kind: sorted(keys) for kind, keys in result.first.items() if keys}


def change(stream: StreamRunner, statement: str) -> None:
    """Damage the warehouse behind everybody's back."""
    with stream.warehouse.opened(timeout_seconds=10) as connection:
        connection.execute(statement)


@pytest.fixture
def filled(stream: StreamRunner, collection: Collection[dict[str, Any]]) -> StreamRunner:
    """Return a stream that has loaded 300 documents."""
    stream.take_position()
    collection.insert_many(documents(300))
    stream.catch_up()
    return stream


def test_a_true_copy_is_the_same(filled: StreamRunner) -> None:
    """After a load, all documents equal all rows."""
    result = verifier_of(filled).run()
    assert (True, NOTHING, 300, 300, 0) == (
        result.is_same,
        result.counts,
        result.documents,
        result.rows,
        result.looked_again,
    )


COLUMNS = {
    "type": "'assistant'",
    "session_id": "null",
    "project_id": "'another'",
    "timestamp": "timestamp + interval 1 microsecond",
    "ingested_at": "timestamp",
    "message_role": "'assistant'",
    "message_content": "message_content || ' '",
    "message_raw": "replace(message_raw, 'text', 'Text')",
    "source_file": "'a.jsonl'",
    "date": "date + 1",
    "content_length": "content_length + 1",
    "uuid": "'1'",
    "extra": "null",
}


@pytest.mark.parametrize(("column", "value"), COLUMNS.items(), ids=COLUMNS)
def test_a_corrupted_row_is_found(filled: StreamRunner, column: str, value: str) -> None:
    """One wrong value in one column of one row is found, by `_id`."""
    key = str(documents(300)[123]["_id"])
    change(filled, f"update raw.conversations set {column} = {value} where _id = '{key}'")
    result = verifier_of(filled).run()
    assert (False, {"different": [key]}) == (result.is_same, found(result))


def test_deleted_added_and_doubled_rows_are_found(filled: StreamRunner) -> None:
    """A row that is gone, rows of no document and a row that is there twice are found, by `_id`."""
    first, second, third = (str(each["_id"]) for each in documents(3))
    foreign = str(ObjectId("f" * 24))
    change(
        filled,
        f"""
        delete from raw.conversations where _id = '{first}';
        insert into raw.conversations select * from raw.conversations where _id = '{second}';
        insert into raw.conversations select * replace ('{foreign}' as _id)
        from raw.conversations where _id = '{third}';
        insert into raw.conversations select * replace ('no key at all' as _id)
        from raw.conversations where _id = '{third}';
        """,
    )
    result = verifier_of(filled).run()
    assert {
        "missing": [first],
        "duplicate": [second],
        "extra": sorted([foreign, "no key at all"]),
    } == found(result)


def test_defects_are_found_in_many_pieces(
    stream: StreamRunner, collection: Collection[dict[str, Any]]
) -> None:
    """A collection cut into many ranges gives the same findings as one range."""
    stream.take_position()
    collection.insert_many(documents(3000))
    stream.catch_up()
    wrong = [str(each["_id"]) for each in documents(3000)[::500]]
    change(stream, f"update raw.conversations set type = 'x' where _id in {tuple(wrong)}")
    result = verifier_of(stream, range_size_bytes=50_000).run()
    assert (True, {"different": wrong}) == (result.pieces > 7, found(result))
    assert (3000, 3000) == (result.documents, result.rows)
    assert len(wrong) == result.looked_again


IDS: list[Any] = [
    1,
    1.5,
    Int64(2**40),
    -3,
    "1",
    "",
    "s:1",
    "nul \0 inside",
    "64b000000000000000000000",
    "\U0010ffff",
    ObjectId("64b000000000000000000000"),
    ObjectId("0" * 24),
    ObjectId("f" * 24),
    Binary.from_uuid(uuid.UUID(int=7)),
    b"bytes",
    {"a": 1, "b": {"c": "x"}},
    {},
    Decimal128("1.25"),
    True,
    False,
    datetime(2026, 1, 1),  # noqa: DTZ001 - as BSON stores it
    None,
    float("inf"),
]


def test_ids_of_all_types_are_compared(stream: StreamRunner, collection: Collection[dict[str, Any]]) -> None:
    """`_id`s of mixed types are each compared once; a defect of any of them is found."""
    stream.take_position()
    collection.insert_many([{"_id": each, "type": "user"} for each in IDS])
    collection.insert_many([{"_id": f"text {number:04d}", "type": "user"} for number in range(1000)])
    collection.insert_many([{"_id": number, "type": "user"} for number in range(100, 1100)])
    collection.insert_many(documents(1000))
    stream.catch_up()
    verifier = verifier_of(stream, range_size_bytes=10_000, limit=10_000)
    clean = verifier.run()
    total = len(IDS) + 3000
    assert (NOTHING, total, total) == (clean.counts, clean.documents, clean.rows)
    assert clean.pieces > 7
    change(stream, "update raw.conversations set uuid = 'other'")
    assert total == len(found(verifier.run())["different"])
    change(stream, "delete from raw.conversations")
    keys = {document_key(bson.decode(bson.encode({"_id": each}))["_id"]) for each in IDS}
    assert keys <= set(found(verifier.run())["missing"])


def test_what_is_not_loaded_yet_is_pending(
    filled: StreamRunner, collection: Collection[dict[str, Any]]
) -> None:
    """Changes behind the position, and landed ones not loaded yet, are pending; a defect beside is not."""
    ids = [each["_id"] for each in documents(300)]
    collection.update_one({"_id": ids[0]}, {"$set": {"type": "landed"}})
    filled.worker().run(until_idle_seconds=0.3, is_landing_only=True)
    collection.update_one({"_id": ids[1]}, {"$set": {"type": "not even landed"}})
    collection.delete_one({"_id": ids[2]})
    collection.insert_one({"_id": "new", "type": "user"})
    change(filled, f"update raw.conversations set type = 'corrupt' where _id = '{ids[3]}'")
    result = verifier_of(filled).run()
    assert {
        "pending": sorted([*map(str, ids[:3]), "s:new"]),
        "different": [str(ids[3])],
    } == found(result)
    change(filled, f"update raw.conversations set type = 'user' where _id = '{ids[3]}'")
    assert verifier_of(filled).run().is_same
    filled.catch_up()
    assert {} == found(verifier_of(filled).run())


def test_a_drop_that_is_not_loaded_yet_is_pending(
    filled: StreamRunner, collection: Collection[dict[str, Any]]
) -> None:
    """Neither one behind the position, nor a truncate marker that has landed, makes all rows extra."""
    collection.drop()
    collection.insert_one({"_id": "new", "type": "user"})
    pending = NOTHING | {"pending": 301}
    result = verifier_of(filled).run()
    assert (True, pending) == (result.is_same, result.counts)

    filled.worker().run(until_idle_seconds=0.3, is_landing_only=True)
    result = verifier_of(filled).run()
    assert (True, pending) == (result.is_same, result.counts)

    filled.catch_up()
    assert {} == found(verifier_of(filled).run())


def test_what_was_there_before_the_stream_is_missing(
    stream: StreamRunner, collection: Collection[dict[str, Any]]
) -> None:
    """Documents older than the position are under way nowhere: missing, until a backfill reads them."""
    collection.insert_many(documents(3))
    expected = {"missing": [str(each["_id"]) for each in documents(3)]}
    assert expected == found(verifier_of(stream).run())
    stream.take_position()
    stream.catch_up()
    assert expected == found(verifier_of(stream).run())


def test_dead_letters_are_explained(stream: StreamRunner, collection: Collection[dict[str, Any]]) -> None:
    """A rejected document is no difference if it is kept, and its older row is stale; else it is missing."""
    collection.insert_one({"_id": "never seen", "no": "type"})
    stream.take_position()
    collection.insert_many([{"_id": "good", "type": "user"}, {"_id": "bad", "no": "type"}])
    collection.insert_one({"_id": "spoilt", "type": "user"})
    stream.catch_up()
    collection.update_one({"_id": "spoilt"}, {"$unset": {"type": 1}})
    stream.catch_up()
    result = verifier_of(stream).run()
    assert {
        "dead letter": ["s:bad"],
        "stale": ["s:spoilt"],
        "missing": ["s:never seen"],
    } == found(result)


def test_a_running_stream_with_writes_is_the_same(
    filled: StreamRunner, collection: Collection[dict[str, Any]]
) -> None:
    """While documents are written, changed and deleted, and a worker runs, there is no difference."""
    is_over = threading.Event()
    results: list[Verification] = []

    def write() -> None:
        number = 0
        while not is_over.wait(0.005):
            number += 1
            collection.insert_one({"_id": f"live {number}", "type": "user", "number": number})
            collection.update_one({"_id": f"live {number - 3}"}, {"$set": {"number": -number}})
            collection.delete_one({"_id": f"live {number - 20}"})

    def verify() -> None:
        wait_until(lambda: filled.lane.is_being_written)
        try:
            results.extend(verifier_of(filled).run() for _ in range(3))
        finally:
            is_over.set()

    with meanwhile(write), meanwhile(verify):
        filled.catch_up(idle_seconds=2)
    assert [(True, NOTHING)] * 3 == [(each.is_same, each.counts) for each in results]
    assert sum(each.looked_again for each in results) > 0
    assert NOTHING == verifier_of(filled).run().counts


def test_a_period_is_compared_alone(filled: StreamRunner) -> None:
    """With `since`, older documents and rows are left out on both sides."""
    keys = [str(each["_id"]) for each in documents(300)]
    change(filled, f"update raw.conversations set type = 'x' where _id in ('{keys[10]}', '{keys[200]}')")
    result = verifier_of(filled).run(since=START + timedelta(hours=100))
    assert (200, {"different": [keys[200]]}) == (result.rows, found(result))


def test_a_sample_compares_a_share(stream: StreamRunner, collection: Collection[dict[str, Any]]) -> None:
    """With a fraction, so large a share of the pieces is read, and defects in them are found."""
    stream.take_position()
    collection.insert_many(documents(3000))
    stream.catch_up()
    change(stream, "update raw.conversations set type = 'x'")
    result = verifier_of(stream, range_size_bytes=20_000).run(fraction=0.5, seed=7)
    assert 0 < result.documents < 3000
    assert result.documents == result.rows == result.counts["different"]
    assert round(result.ranges_in_all * 0.5) == result.pieces


def test_progress_is_told(filled: StreamRunner) -> None:
    """Whoever waits is told how many documents have been read, of how many."""
    told: list[tuple[int, int]] = []
    verifier_of(filled).run(on_progress=lambda done, total: told.append((done, total)))
    assert (300, 300) == told[-1]


def test_another_source_is_refused(filled: StreamRunner, tmp_path: Path) -> None:
    """A landing zone of another cluster is never compared with this one."""
    other = StreamRunner(filled.mongo, tmp_path / "other")
    land(other.folder, [upsert(1, 5)], position=position_at(5))
    with pytest.raises(PositionMismatchError):
        verifier_of(other).run()


def test_a_server_that_does_not_answer_is_named(stream: StreamRunner) -> None:
    """Without a server there is no verdict, but an error worth another try."""
    mongo = MongoSettings(
        MONGO_URI="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200", MONGO_CONNECT_TIMEOUT_SECONDS=0.2
    )
    with pytest.raises(SourceUnreachableError):
        verifier_of(stream, mongo=mongo).run()
