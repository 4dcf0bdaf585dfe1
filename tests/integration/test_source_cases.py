"""What people report of MongoDB pipelines: the copy is right, or says what is in the way."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from batch.dead_letters import replay
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from batch.verify.report import Verification
from stream.clock import utc_now
from stream.errors import CollectionInvalidatedError, EventTooLargeError, HistoryRewoundError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import LandingZone
from tests.support.backfilling import BackfillRunner, reading_anew
from tests.support.equality import warehouse_rows
from tests.support.replies import poisoned
from tests.support.streaming import StreamRunner, line, meanwhile, mongo_settings, wait_until
from tests.support.verifying import verifier_of

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


def found(result: Verification) -> dict[str, int]:
    """Return how many were found of each kind, but for kinds without any."""
    return {kind: count for kind, count in result.counts.items() if count}


def keys_of(stream: StreamRunner) -> list[str]:
    return sorted(warehouse_rows(stream.warehouse))


SAME_KEYS = {
    "int as double": (1, 1.0),
    "double as long": (5.0, Int64(5)),
    "decimal as int": (Decimal128("7"), 7),
    "decimals of two scales": (Decimal128("7.10"), Decimal128("7.1")),
    "zero as minus zero": (0.0, -0.0),
    "number in a sub-document": ({"k": 1}, {"k": 1.0}),
    "number deep in a sub-document": ({"k": [1, {"l": Int64(2)}]}, {"k": [1.0, {"l": Decimal128("2.0")}]}),
    "half as decimal": (0.5, Decimal128("0.5")),
    "beyond 64 bits": (2.0**70, Decimal128(str(2**70))),
}


@pytest.mark.fault(
    9, "an `_id` becomes another type of number: `1` → `1.0`", "one row, by the key as MongoDB compares it"
)
def test_equal_numbers_are_one_key(stream: StreamRunner, collection: Documents) -> None:
    """A document replaced under an equal `_id` of another type keeps one row; deleted, it has none."""
    stream.take_position()
    for name, (old, new) in SAME_KEYS.items():
        collection.insert_one(line(old))
        collection.replace_one({"_id": old}, line(new, uuid=name))
    stream.catch_up()
    assert sorted(SAME_KEYS) == sorted(row["uuid"] for row in warehouse_rows(stream.warehouse).values())
    BackfillRunner(stream.mongo, stream.folder).run()
    assert {} == found(verifier_of(stream).run())

    for old, _ in SAME_KEYS.values():
        collection.delete_one({"_id": old})
    stream.catch_up()
    assert [] == keys_of(stream)
    assert {} == found(verifier_of(stream).run())


def test_numbers_that_differ_are_two_keys(stream: StreamRunner, collection: Documents) -> None:
    """Text is no number, and a double is not the decimal it is written as."""
    ids = [
        1,
        "1",
        0.1,
        Decimal128("0.1"),
        2**53 + 1,
        2.0**53,
        Int64(2**63 - 1),
        2.0**63,
        {"k": 1},
        {"k": "1"},
    ]
    stream.take_position()
    collection.insert_many([line(each) for each in ids])
    stream.catch_up()
    assert len(ids) == len(set(keys_of(stream)))
    assert {} == found(verifier_of(stream).run())


SCHEMAS: dict[str, Any] = {
    "id before ref": {"$id": "a", "$ref": "b"},
    "ref before id": {"$ref": "b", "$id": "a"},
    "ref among others": {"more": 1, "$ref": "b", "$id": "a"},
    "ref that is no text": {"$ref": {"to": "x"}, "$id": 7},
}


@pytest.mark.fault(
    12, "a sub-document with `$ref` and `$id` (JSON schemas)", "kept as it is, keys in their order, both ways"
)
def test_a_reference_is_an_object_like_others(stream: StreamRunner, collection: Documents) -> None:
    """Its keys stay in their order, in stream and backfill; `verify` finds nothing."""
    stream.take_position()
    for name, schema in SCHEMAS.items():
        message = {"content": [{"type": "tool_use", "input": schema}]}
        collection.insert_one(line(name, message=message, cwd=schema))
    collection.insert_one(line({"a": SCHEMAS["ref before id"]}))
    stream.catch_up()
    rows = warehouse_rows(stream.warehouse)
    for name, schema in SCHEMAS.items():
        positions = [rows[f"s:{name}"]["message_raw"].index(f'"{key}"') for key in schema]
        assert sorted(positions) == positions, name
    assert {} == found(verifier_of(stream).run())
    BackfillRunner(stream.mongo, stream.folder).run()
    assert {} == found(verifier_of(stream).run())


class Rewindable:
    """A mongod whose files can be put back to what they were."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mongo"
        self._saved = folder / "saved"
        self._options = MongodOptions(cache_size_gb=0.25, oplog_size_mb=64)

    @contextmanager
    def running(self) -> Iterator[tuple[Documents, StreamRunner]]:
        """Start it; give its collection and a stream beside it."""
        with (
            EmbeddedMongo(self.folder, options=self._options) as mongo,
            MongoClient[dict[str, Any]](mongo.uri) as client,
        ):
            collection = client["claude_logs"]["conversations"]
            yield collection, StreamRunner(mongo_settings(collection, mongo.uri), self.folder.parent / "data")

    @contextmanager
    def cloned(self) -> Iterator[tuple[Documents, StreamRunner]]:
        """Start what was kept as another server; give its collection and a stream on the same data folder."""
        folder = self._saved.with_name("clone")
        shutil.copytree(self._saved, folder)
        with (
            EmbeddedMongo(folder, options=self._options) as mongo,
            MongoClient[dict[str, Any]](mongo.uri) as client,
        ):
            collection = client["claude_logs"]["conversations"]
            yield collection, StreamRunner(mongo_settings(collection, mongo.uri), self.folder.parent / "data")

    def save(self) -> None:
        """Keep its files; it must not run."""
        shutil.copytree(self.folder, self._saved)

    def restore(self) -> None:
        """Put back what was kept; it must not run."""
        shutil.rmtree(self.folder)
        shutil.copytree(self._saved, self.folder)


def change_nothing(_collection: Documents) -> None:
    pass


def write_elsewhere(collection: Documents) -> None:
    collection.database["other"].insert_one({})


@pytest.mark.fault(
    4, "the source went back in time: snapshot restored, clone, rollback",
    "refused at start and while running, exit 2; the resnapshot makes it right",
)  # fmt: skip
@pytest.mark.parametrize(
    "last", [change_nothing, write_elsewhere], ids=["behind an event", "behind an idle position"]
)
def test_a_source_that_went_back_in_time_is_noticed(
    tmp_path: Path, last: Callable[[Documents], None]
) -> None:
    """Files of the same set from before the position: nothing is read, and the resnapshot makes it right."""
    rewindable = Rewindable(tmp_path)
    with rewindable.running() as (collection, stream):
        stream.take_position()
        collection.insert_many([line(number) for number in range(10)])
        stream.catch_up()
    rewindable.save()
    with rewindable.running() as (collection, stream):
        collection.insert_many([line(number) for number in range(10, 15)])
        collection.update_one({"_id": 0}, {"$set": {"uuid": "undone"}})
        collection.delete_one({"_id": 1})
        stream.catch_up()
        last(collection)
        stream.catch_up()
    rewindable.restore()
    with rewindable.running() as (collection, stream):
        collection.insert_one(line("after"))
        with pytest.raises(HistoryRewoundError, match="went back in time") as caught:
            stream.catch_up()
        assert 2 == caught.value.exit_code
        assert "--on-history-lost=resnapshot" in caught.value.hint
        with pytest.raises(HistoryRewoundError):
            verifier_of(stream).run()
        reading_anew(stream).run(until_idle_seconds=0.3)
        assert {} == found(verifier_of(stream).run())


@pytest.mark.fault(
    4, "the source went back in time behind a backfill, without a change since", "refused, exit 2, as above"
)
@pytest.mark.parametrize("has_position", [False, True], ids=["first position", "position from before"])
def test_a_source_that_went_back_behind_a_backfill_is_noticed(tmp_path: Path, *, has_position: bool) -> None:
    """What a backfill has landed rests on an operation that the restored source does not have."""
    rewindable = Rewindable(tmp_path)
    with rewindable.running() as (collection, stream):
        if has_position:
            stream.take_position()
        collection.insert_many([line(number) for number in range(10)])
    rewindable.save()
    with rewindable.running() as (collection, stream):
        collection.insert_many([line(number) for number in range(10, 15)])
        BackfillRunner(stream.mongo, stream.folder).run()
    rewindable.restore()
    with rewindable.running() as (collection, stream):
        collection.insert_one(line("after"))
        with pytest.raises(HistoryRewoundError, match="went back in time"):
            stream.catch_up()
        with pytest.raises(HistoryRewoundError):
            BackfillRunner(stream.mongo, stream.folder).run()
        reading_anew(stream).run(until_idle_seconds=0.3)
        assert {} == found(verifier_of(stream).run())


@pytest.mark.fault(
    4, "the source goes back in time while the worker runs: its files are restored", "it ends with exit 2"
)
def test_a_source_that_goes_back_in_time_is_noticed_while_running(tmp_path: Path) -> None:
    """The worker waits for the server to come back, and then does not go on with another history."""
    rewindable = Rewindable(tmp_path)
    with rewindable.running() as (collection, stream):
        stream.take_position()
        collection.insert_one(line(1))
    rewindable.save()
    server = EmbeddedMongo(rewindable.folder, options=MongodOptions(cache_size_gb=0.25))

    def restore() -> None:
        wait_until(lambda: len(stream.landed_rows()) == 2)
        server.stop()
        rewindable.restore()
        server.start()

    server.start()
    try:
        with MongoClient[dict[str, Any]](server.uri) as client:
            client["claude_logs"]["conversations"].insert_one(line(2))
            stream = StreamRunner(
                mongo_settings(client["claude_logs"]["conversations"], server.uri), stream.folder
            )
            with meanwhile(restore), pytest.raises(HistoryRewoundError, match="went back in time"):
                stream.worker().run()
            assert "source_unavailable" in stream.events_logged()
    finally:
        server.stop()


@pytest.mark.fault(4, "MONGO_URI names a clone of the set, with the same id", "refused, exit 2, as above")
def test_a_clone_that_went_its_own_way_is_noticed(tmp_path: Path) -> None:
    """Name and id of the set are those of the original; its history is not."""
    rewindable = Rewindable(tmp_path)
    with rewindable.running() as (collection, stream):
        stream.take_position()
        collection.insert_one(line(1))
        stream.catch_up()
    rewindable.save()
    with rewindable.running() as (collection, stream):
        collection.insert_one(line(2))
        stream.catch_up()
        with rewindable.cloned() as (clone, other):
            clone.insert_one(line(3))
            with pytest.raises(HistoryRewoundError, match="went back in time"):
                other.catch_up()
        collection.insert_one(line(4))
        stream.catch_up()
        assert {} == found(verifier_of(stream).run())


@pytest.mark.fault(
    4, "a rollback of what a majority had confirmed: a forced reconfiguration", "refused, exit 2, as above"
)
def test_a_rollback_beyond_the_majority_is_noticed(tmp_path: Path) -> None:
    """Two of three confirm, and are lost; the third, which was behind, is made the set by force."""
    options = MongodOptions(cache_size_gb=0.25, oplog_size_mb=64)
    with EmbeddedMongo(tmp_path / "mongo", size=3, options=options) as mongo:
        with MongoClient[dict[str, Any]](mongo.uri) as client:
            collection = client["claude_logs"]["conversations"]
            collection.insert_one(line(1))
            stream = StreamRunner(mongo_settings(collection, mongo.uri), tmp_path / "data")
            stream.take_position()
            primary = mongo.wait_for_primary()
            behind = next(index for index in range(3) if index != primary)
            collection.with_options(write_concern=WriteConcern(3)).insert_one(line(2))
            mongo.nodes[behind].stop()
            collection.insert_one(line(3))
            stream.catch_up()
        for index in set(range(3)) - {behind}:
            mongo.kill_node(index)
        mongo.restart_node(behind)
        address = mongo.nodes[behind].address
        with MongoClient[dict[str, Any]](f"mongodb://{address}/?directConnection=true") as client:
            config = client.admin.command("replSetGetConfig")["config"]
            alone = [each for each in config["members"] if each["host"] == address]
            client.admin.command(
                "replSetReconfig", config | {"members": alone, "version": config["version"] + 1}, force=True
            )
            wait_until(lambda: client.admin.command("hello")["isWritablePrimary"])
            collection = client["claude_logs"]["conversations"]
            collection.insert_one(line(4))
            uri = f"mongodb://{address}/?replicaSet={config['_id']}"
            stream = StreamRunner(mongo_settings(collection, uri), tmp_path / "data")
            with pytest.raises(HistoryRewoundError, match="went back in time"):
                stream.catch_up()


@pytest.mark.fault(
    7,
    "renamed away and back while the worker is down, then `verify`",
    "it names what blocks the stream, exit 2",
)
def test_verify_names_what_blocks_the_stream(stream: StreamRunner, collection: Documents) -> None:
    """What is under way will not arrive by itself: the outcome is no `same`."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(11)])
    stream.catch_up()
    database = collection.database
    collection.rename("away")
    database["away"].rename(collection.name)
    result = verifier_of(stream).run()
    assert (True, {}) == (result.is_same, found(result)), "nothing differs yet"

    with pytest.raises(CollectionInvalidatedError):
        stream.catch_up()
    result = verifier_of(stream).run()
    assert ("blocked", False, {"pending": 11}) == (result.verdict, result.is_same, found(result))
    assert result.blocked_by is not None
    assert "--on-history-lost=resnapshot" in result.blocked_by.hint

    reading_anew(stream).run(until_idle_seconds=0.3)
    assert {} == found(verifier_of(stream).run())


def spoil_text(collection: Documents, key: object) -> None:
    """Make a text of a document invalid, as `$merge` and old drivers can."""
    raw = poisoned(bson.encode(line(key, message="BAD")))
    collection.delete_one({"_id": key})
    collection.insert_one(RawBSONDocument(raw))  # type: ignore[arg-type]


def spoil_time(collection: Documents, key: object) -> None:
    """Return a document a time that is none."""
    collection.update_one({"_id": key}, {"$set": {"timestamp": "not a time"}})


@pytest.mark.fault(
    12,
    "a document that had a row becomes one that cannot have any",
    "`verify` and `status` name the stale row",
)
def test_a_good_document_that_becomes_bad_is_named(stream: StreamRunner, collection: Documents) -> None:
    """Its row stays as it was, and is named stale; once the document is good again, so is the row."""
    stream.take_position()
    collection.insert_many([line(1), line(2)])
    stream.catch_up()
    spoil_time(collection, 1)
    stream.catch_up()
    result = verifier_of(stream).run()
    assert (True, {"stale": 1}) == (result.is_same, found(result))
    assert ["i:1"] == result.first["stale"]

    letters = DeadLetterStore(stream.folder / "dead_letter", clock=utc_now)
    landing = LandingZone(stream.folder / "landing", clock=utc_now)
    letters.discard(letters.list(landing))
    assert 0 == letters.count(landing)
    assert {"stale": 1} == found(verifier_of(stream).run())

    collection.replace_one({"_id": 1}, line(1, uuid="good"))
    stream.catch_up()
    assert {} == found(verifier_of(stream).run())
    assert "good" == warehouse_rows(stream.warehouse)["i:1"]["uuid"]


@pytest.mark.parametrize("reader", ["stream", "backfill"])
def test_an_undecodable_document_is_known_by_its_key(
    stream: StreamRunner, collection: Documents, reader: str
) -> None:
    """Its `_id` is readable: it is a dead letter of that document, which can be taken as it is."""
    if reader == "stream":
        stream.take_position()
    collection.insert_one(line(1))
    spoil_text(collection, 2)
    if reader == "stream":
        stream.catch_up()
    else:
        BackfillRunner(stream.mongo, stream.folder).run()
    result = verifier_of(stream).run()
    assert ({"dead letter": 1}, ["i:2"]) == (found(result), result.first["dead letter"])

    letters = DeadLetterStore(stream.folder / "dead_letter", clock=utc_now)
    landing = LandingZone(stream.folder / "landing", clock=utc_now)
    done = replay(letters.list(landing), store=letters, landing=landing, clock=utc_now, as_is=True)
    assert ((), 1) == (done.rejected, len(done.replayed))
    stream.warehouse.load(timeout_seconds=10)
    assert ["i:1", "i:2"] == keys_of(stream)


DAMAGE = {
    "missing": "delete from raw.conversations where _id = 'i:1'",
    "extra": "insert into raw.conversations select * replace ('i:99' as _id) from raw.conversations "
    "where _id = 'i:1'",
    "different": "update raw.conversations set message_content = 'other' where _id = 'i:1'",
    "duplicate": "insert into raw.conversations select * from raw.conversations where _id = 'i:1'",
    "key of an older version": "update raw.conversations set _id = 'd:1.0' where _id = 'i:1'",
    "text that is no key": "insert into raw.conversations select * replace ('no key' as _id) "
    "from raw.conversations where _id = 'i:1'",
    "version of a clock ahead": "update raw.conversations set uuid = 'other', "
    "source_version = source_version + 3600 * 2147483648 where _id = 'i:1'",
    "everything": "delete from raw.conversations",
}


@pytest.mark.fault(
    13,
    "rows missing, extra, different or twice, by whatever cause",
    "`verify --repair` writes them, and proves it",
)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_repair_mends_what_differs(stream: StreamRunner, collection: Documents, damage: str) -> None:
    """Exactly the rows that differ are written; then both sides are the same, also rebuilt."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(20)])
    stream.catch_up()
    with stream.warehouse.opened(timeout_seconds=10) as connection:
        connection.execute(damage)
    verifier = verifier_of(stream)
    result = verifier.run()
    assert not result.is_same

    outcome = verifier.repair(result.mismatches)

    written = outcome.written.upserts + outcome.written.deletes
    assert (True, len(result.mismatches)) == (outcome.is_whole, written)
    assert {} == found(verifier_of(stream).run())
    stream.warehouse.rebuild(timeout_seconds=10)
    assert {} == found(verifier_of(stream).run())


def test_a_repair_beside_a_running_worker(stream: StreamRunner, collection: Documents) -> None:
    """What changes meanwhile wins, and what is repaired is no change of its own for the worker."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(50)])
    stream.catch_up()
    with stream.warehouse.opened(timeout_seconds=10) as connection:
        connection.execute("update raw.conversations set uuid = 'other'")
    verifier = verifier_of(stream)
    mismatches = verifier.run().mismatches
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            collection.update_one({"_id": number % 50}, {"$set": {"uuid": f"live {number}"}})
            number += 1

    with meanwhile(write):
        worker = stream.worker()

        def repair() -> None:
            try:
                wait_until(lambda: stream.lane.is_being_written)
                assert verifier.repair(mismatches).is_whole
            finally:
                stop.set()

        with meanwhile(repair):
            worker.run(until_idle_seconds=1)
    assert {} == found(verifier_of(stream).run())


@pytest.mark.fault(
    8,
    "an `_id` of megabytes: two events are more than the server can send",
    "they come one by one, within seconds",
)
def test_giant_keys_do_not_stop_the_stream(stream: StreamRunner, collection: Documents) -> None:
    """Where the server cuts off a reply, it is asked for less; in the end all rows are there."""
    stream.take_position()
    keys = [letter * 1_900_000 for letter in "ab"]
    for key in keys:
        collection.insert_one(line(key))
        collection.update_one({"_id": key}, {"$set": {"uuid": "changed"}})
    collection.insert_one(line(1))
    stream.catch_up()
    assert sorted(["i:1", *(f"s:{key}" for key in keys)]) == keys_of(stream)
    assert {} == found(verifier_of(stream).run())


@pytest.mark.fault(8, "an `_id` so large that no reply can have its event", "exit 2, naming the cause")
def test_a_key_that_no_reply_can_hold_is_said(stream: StreamRunner, collection: Documents) -> None:
    """The event has it twice, and the reply has it in two resume tokens as well."""
    stream.take_position()
    collection.insert_one(line("before"))
    collection.insert_one(line("x" * 3_000_000))
    with pytest.raises(EventTooLargeError) as caught:
        stream.catch_up(idle_seconds=60)
    assert (2, True) == (caught.value.exit_code, "BSONObjectTooLarge" in caught.value.hint)
    assert ["s:before"] == keys_of(stream)
