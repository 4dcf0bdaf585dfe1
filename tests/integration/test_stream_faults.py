"""What goes wrong around a stream worker: servers, privileges, disks, leases, documents; and what it says."""

import errno
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient
from pymongo.collection import Collection

from batch.dead_letters import replay
from batch.mongod.program import find_mongod
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions, free_port
from stream.clock import utc_now
from stream.errors import (
    AccessDeniedError,
    CollectionInvalidatedError,
    EventTooLargeError,
    LandingFullError,
    LandingNotWritableError,
    MicroBatchCorruptError,
    SourceUnreachableError,
    SourceUnsuitableError,
    TooManyDeadLettersError,
    WarehouseBusyError,
    WarehouseCorruptError,
)
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import LandingZone
from stream.metrics import serve
from stream.settings import MongoSettings
from tests.support.equality import assert_manifest_is_sound, assert_same, warehouse_rows
from tests.support.guarding import guarded_mongo
from tests.support.patience import patience
from tests.support.streaming import (
    StreamRunner,
    line,
    make_warehouse,
    make_worker,
    meanwhile,
    mongo_settings,
    wait_until,
)

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]
SMALL = MongodOptions(cache_size_gb=0.25, oplog_size_mb=64)


@pytest.fixture(scope="module")
def own_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    """Return a replica set that these tests may kill."""
    with EmbeddedMongo(tmp_path_factory.mktemp("mongo"), options=SMALL) as mongo:
        yield mongo


def test_an_unreachable_server_is_said(tmp_path: Path) -> None:
    """Exit code 1 and two ways out; the password is not in the message."""
    mongo = MongoSettings(
        MONGO_URI="mongodb://app:geheim@127.0.0.1:1/?replicaSet=x", MONGO_CONNECT_TIMEOUT_SECONDS=0.3
    )

    for start in (make_worker(mongo, tmp_path).run, make_worker(mongo, tmp_path).take_position):
        with pytest.raises(SourceUnreachableError, match="cannot connect to MongoDB for") as caught:
            start()
        assert 1 == caught.value.exit_code
        assert "claude-analytics mongo" in caught.value.hint
        assert "geheim" not in caught.value.message


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[str]:
    """Return the address of a mongod that is no replica set."""
    port = free_port()
    (tmp_path / "standalone").mkdir()
    command = [
        find_mongod(),
        "--dbpath",
        tmp_path / "standalone",
        "--port",
        str(port),
        "--bind_ip",
        "127.0.0.1",
    ]
    with subprocess.Popen(
        [*command, "--wiredTigerCacheSizeGB", "0.25"], stdout=subprocess.DEVNULL
    ) as process:
        yield f"mongodb://127.0.0.1:{port}/"
        process.kill()


def test_a_server_without_replica_set_is_said(standalone: str, tmp_path: Path) -> None:
    """Exit code 2, and how to make it one."""
    mongo = MongoSettings(MONGO_URI=standalone)

    with pytest.raises(SourceUnsuitableError, match="not part of a replica set") as caught:
        make_worker(mongo, tmp_path / "data").run()
    assert 2 == caught.value.exit_code
    assert "rs.initiate()" in caught.value.hint


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Return address and password of a server with access control.

    Users: `admin` (root), `reader` (may read the logs, nothing else), `stranger` (may read something else).
    """
    folder = tmp_path_factory.mktemp("guarded")
    password = f"p@ss/{uuid.uuid4().hex}"
    with guarded_mongo(folder, user="admin", password=password) as mongo:
        with MongoClient[dict[str, Any]](mongo.uri, username="admin", password=password) as client:
            for user, database in (("reader", "claude_logs"), ("stranger", "other")):
                roles = [{"role": "read", "db": database}]
                client.admin.command("createUser", user, pwd=password, roles=roles)
        yield mongo.uri, password


def as_user(guarded: tuple[str, str], user: str, *, password: str | None = None) -> MongoSettings:
    uri, right_password = guarded
    quoted = (password or right_password).replace("@", "%40").replace("/", "%2F")
    return MongoSettings(MONGO_URI=uri.replace("mongodb://", f"mongodb://{user}:{quoted}@"))


@pytest.mark.fault(
    3, "wrong password, unknown user, missing privilege", "exit 2 within seconds, naming the privileges"
)
@pytest.mark.parametrize(
    ("user", "password"), [("reader", "wrong"), ("stranger", None), ("nobody", None)],
    ids=["wrong password", "missing privilege", "unknown user"],
)  # fmt: skip
def test_a_refused_account_is_said_at_once(
    guarded: tuple[str, str], tmp_path: Path, user: str, password: str | None
) -> None:
    """Exit code 2, no endless retry, and which privileges are needed."""
    mongo = as_user(guarded, user, password=password)

    begun = time.monotonic()
    with pytest.raises(AccessDeniedError) as caught:
        make_worker(mongo, tmp_path).run()
    assert time.monotonic() - begun < patience(5)
    assert 2 == caught.value.exit_code
    assert "`find` and `changeStream`" in caught.value.hint
    assert guarded[1] not in str(caught.value)


def test_a_privilege_taken_away_is_said(guarded: tuple[str, str], tmp_path: Path) -> None:
    """Also amid reading: exit code 2, no endless retry; what was read has landed."""
    uri, password = guarded
    runner = StreamRunner(as_user(guarded, "leaver"), tmp_path)
    with MongoClient[dict[str, Any]](uri, username="admin", password=password) as client:
        roles = [{"role": "read", "db": "claude_logs"}]
        client.admin.command("createUser", "leaver", pwd=password, roles=roles)
        runner.take_position()
        client.claude_logs.conversations.insert_one(line(2))

        def leave() -> None:
            wait_until(lambda: "micro_batch_landed" in runner.events_logged())
            client.admin.command("dropUser", "leaver")

        with pytest.raises(AccessDeniedError) as caught, meanwhile(leave):
            runner.worker().run()
    assert 2 == caught.value.exit_code
    assert ["i:2"] == [row["_id"] for row in runner.landed_rows()]


def test_no_credentials_are_said(guarded: tuple[str, str], tmp_path: Path) -> None:
    """A server with access control refuses whoever gives no name."""
    with pytest.raises(AccessDeniedError, match="requires authentication"):
        make_worker(MongoSettings(MONGO_URI=guarded[0]), tmp_path).run()


def test_a_reader_of_the_logs_is_enough(guarded: tuple[str, str], tmp_path: Path) -> None:
    """The role `read` on the database streams; what it may not see (the oplog) is only left out."""
    uri, password = guarded
    runner = StreamRunner(as_user(guarded, "reader"), tmp_path)
    runner.take_position()
    with MongoClient[dict[str, Any]](uri, username="admin", password=password) as client:
        client.claude_logs.conversations.insert_one(line(1))

    assert 1 == runner.catch_up(idle_seconds=1).events
    assert "oplog_not_readable" in runner.events_logged()
    position = runner.lane.position()
    assert position is not None
    assert position.fingerprint.cluster_id is None


@pytest.mark.fault(
    3, "the server is killed and comes back", "the worker stays and retries; nothing lost, nothing twice"
)
def test_an_outage_is_waited_out(own_set: EmbeddedMongo, tmp_path: Path) -> None:
    """The server dies and comes back: the worker stays, takes silence for no end, and loses nothing."""
    with MongoClient[dict[str, Any]](own_set.uri) as client:
        collection = client["outage"]["conversations"]
        runner = StreamRunner(mongo_settings(collection, own_set.uri), tmp_path)
        runner.take_position()
        collection.insert_many([line(number) for number in range(5)])
        back_at: list[float] = []

        def fail() -> None:
            wait_until(lambda: "micro_batch_landed" in runner.events_logged())
            own_set.kill_node(0)
            wait_until(lambda: "source_unavailable" in runner.events_logged())
            own_set.restart_node(0)
            own_set.wait_for_primary()
            back_at.append(time.monotonic())
            collection.insert_many([line(number) for number in range(5, 9)])

        worker = runner.worker()
        with meanwhile(fail):
            summary = worker.run(until_idle_seconds=1.5)

        assert time.monotonic() > back_at[0]
        assert 9 == summary.events
        assert "source_unavailable" in runner.events_logged()
        assert worker.registry.get_sample_value("claude_analytics_stream_reconnects_total") >= 1
        assert 9 == assert_same(collection, runner.warehouse)
        assert [row["_id"] for row in runner.landed_rows()] == [f"i:{number}" for number in range(9)]


def test_a_lost_cursor_is_opened_again(stream: StreamRunner, collection: Documents) -> None:
    """The server drops cursors that nobody asks for a while: the stream goes on where it was."""
    stream.take_position()
    client = collection.database.client

    def lose_cursors() -> None:
        for number in range(6):
            collection.insert_one(line(number))
            found = client.admin.aggregate(
                [{"$currentOp": {"idleCursors": True}}, {"$match": {"ns": collection.full_name}}]
            )
            cursors = [one["cursor"]["cursorId"] for one in found if "cursor" in one]
            if cursors:
                collection.database.command("killCursors", collection.name, cursors=cursors)
            time.sleep(0.3)

    with meanwhile(lose_cursors):
        stream.catch_up(idle_seconds=2)

    assert "source_unavailable" in stream.events_logged()
    assert 6 == assert_same(collection, stream.warehouse)
    assert 6 == len(stream.landed_rows())


@pytest.mark.fault(8, "documents of nearly 16 MB are inserted, updated and replaced", "each version arrives")
def test_documents_of_nearly_16_mb_pass(stream: StreamRunner, collection: Documents) -> None:
    """Insert, update and replace of documents just below the server's limit."""
    largest = 16 * 1024 * 1024 - 200
    stream.take_position()
    collection.insert_one(line(1, message="x" * (largest - 100)))
    collection.insert_one(line(2, message="small"))
    collection.update_one({"_id": 1}, {"$set": {"type": "grown"}})
    collection.update_one({"_id": 2}, {"$set": {"message": "y" * (largest - 100)}})
    collection.replace_one({"_id": 1}, line(1, message="z" * (largest - 100)))

    summary = stream.catch_up(idle_seconds=1)

    assert 5 == summary.events
    assert 2 == assert_same(collection, stream.warehouse)


@pytest.mark.fault(8, "an event over 16 MB that the server cannot split", "all before it lands; exit 2")
def test_an_event_that_the_server_cannot_send_is_said(stream: StreamRunner, collection: Documents) -> None:
    """An `_id` of 5 MB stands four times in its event. What is before it lands at once, and stays landed."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(3)])
    collection.insert_one(line(3) | {"_id": b"x" * 5_000_000})
    collection.insert_one(line(4))

    for _ in range(2):
        with pytest.raises(EventTooLargeError, match="a change event is over 16 MB") as caught:
            stream.catch_up()
        assert 2 == caught.value.exit_code
        assert "x" * 100 not in caught.value.message
        assert ["i:0", "i:1", "i:2"] == [row["_id"] for row in stream.landed_rows()]


@pytest.mark.fault(
    12,
    "text that is not UTF-8, no type, wrong types",
    "dead letters with the whole document; their neighbours pass",
)
def test_poisonous_documents_are_kept_as_dead_letters(stream: StreamRunner, collection: Documents) -> None:
    """Text that is not UTF-8, no type, wrong types: whole, with reason; their neighbours pass."""
    stream.take_position()
    raw = bson.encode(line(2, message="BAD")).replace(b"BAD", b"\xff\xfe\xff")
    collection.insert_one(line(1))
    collection.database.get_collection(collection.name).insert_one(RawBSONDocument(raw))  # type: ignore[arg-type]
    collection.insert_many([{"_id": 3}, line(4, timestamp="yesterday"), line(5, sessionId=5), line(6)])

    stream.catch_up()

    assert ["i:1", "i:6"] == list(warehouse_rows(stream.warehouse))
    landing = LandingZone(stream.folder / "landing", clock=utc_now)
    stored = DeadLetterStore(stream.folder / "dead_letter", clock=utc_now).list(landing)
    assert [
        ("undecodable", "i:2"),
        ("missing_type", "i:3"),
        ("bad_timestamp", "i:4"),
        ("bad_envelope", "i:5"),
    ] == [(one.letter.reason, one.letter.document_id) for one in stored]


@pytest.mark.fault(12, "every document is rejected", "exit 2; all are kept, and replayed after a fix")
def test_a_worker_that_only_rejects_stops(stream: StreamRunner, collection: Documents) -> None:
    """Exit code 2, no letter lost; replayed as they are, all have rows and the queue is empty."""
    stream.take_position()
    collection.insert_many([{"_id": number, "note": "no type"} for number in range(50)])

    with pytest.raises(TooManyDeadLettersError, match="more than 20 documents a minute") as caught:
        stream.catch_up(STREAM_MAX_DEAD_LETTERS_PER_MINUTE=20, BATCH_SIZE=10)
    assert 2 == caught.value.exit_code
    stream.catch_up()

    landing = LandingZone(stream.folder / "landing", clock=utc_now)
    store = DeadLetterStore(stream.folder / "dead_letter", clock=utc_now)
    assert [f"i:{number}" for number in range(50)] == [one.letter.document_id for one in store.list(landing)]
    for left in (50, 0):
        found = replay(store.list(landing), store=store, landing=landing, clock=utc_now, as_is=True)
        assert left == len(found.replayed)
    stream.warehouse.load(timeout_seconds=5)
    assert 50 == len(warehouse_rows(stream.warehouse))
    assert 0 == store.count(landing)


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sample.labels.items()): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_tell_what_happened(stream: StreamRunner, collection: Documents) -> None:
    """Scraped over HTTP, after a run with every kind of change."""
    stream.take_position()
    collection.insert_many([line(number) for number in range(5)] + [{"_id": "bad"}])
    collection.update_one({"_id": 1}, {"$set": {"type": "x"}})
    collection.replace_one({"_id": 2}, line(2, type="y"))
    collection.delete_one({"_id": 3})
    worker = stream.worker(STREAM_MAX_AGE_SECONDS=0.05)
    port = free_port()
    server = serve(worker.registry, host="127.0.0.1", port=port)
    assert server is not None
    begun = time.time()

    worker.run(until_idle_seconds=1)

    found = {name.removeprefix("claude_analytics_stream_"): value for name, value in scraped(port).items()}
    server.shutdown()
    server.server_close()
    assert {
        "events_total{op=insert}": 6,
        "events_total{op=update}": 1,
        "events_total{op=replace}": 1,
        "events_total{op=delete}": 1,
    } == {name: value for name, value in found.items() if name.startswith("events_total")}
    assert found["rows_landed_total"] == found["rows_loaded_total"] == 8
    assert 1 == found["dead_letters_total{reason=missing_type}"]
    assert 0 == found["dead_letters_total{reason=too_deep}"]
    assert found["flush_seconds_count"] == len(stream.lane.micro_batches())
    assert 0 == found["pending_micro_batches"]
    assert 0 == found["reconnects_total"]
    assert 0 <= found["source_lag_seconds"] <= 2
    assert 0 <= found["durable_lag_seconds"] <= 2
    assert found["oplog_window_seconds"] > 0
    assert found["oplog_headroom_seconds"] > 0
    assert begun - 60 < found["last_event_timestamp_seconds"] <= time.time() + 1


@pytest.mark.fault(13, "a build holds the warehouse", "landing goes on; all is loaded afterwards")
def test_landing_goes_on_while_the_warehouse_is_held(stream: StreamRunner, collection: Documents) -> None:
    """A dbt build holds it for a while: files land, the gauge shows them, afterwards all is loaded."""
    stream.take_position()
    other = make_warehouse(stream.folder)
    worker = stream.worker()
    pending: list[float | None] = []

    def hold() -> None:
        with other.lock.held(timeout_seconds=5):
            for number in range(3):
                collection.insert_one(line(number))
                wait_until(lambda number=number: len(stream.lane.micro_batches()) == number + 1)
            name = "claude_analytics_stream_pending_micro_batches"
            wait_until(lambda: worker.registry.get_sample_value(name) == 3)
            pending.append(worker.registry.get_sample_value(name))

    with meanwhile(hold):
        worker.run(until_idle_seconds=2)

    assert [3] == pending
    assert "load_waits" in stream.events_logged()
    assert 3 == assert_same(collection, stream.warehouse)
    assert 0 == worker.registry.get_sample_value("claude_analytics_stream_pending_micro_batches")


def test_a_run_that_cannot_load_says_so(stream: StreamRunner, collection: Documents) -> None:
    """Everything has landed; the error is the warehouse's, and the next run loads."""
    stream.take_position()
    collection.insert_one(line(1))
    worker = stream.worker()
    object.__setattr__(worker, "duckdb", worker.duckdb.model_copy(update={"lease_timeout_seconds": 0.2}))
    with make_warehouse(stream.folder).lock.held(timeout_seconds=5), pytest.raises(WarehouseBusyError):
        worker.run(until_idle_seconds=0.3)
    assert 1 == len(stream.landed_rows())

    stream.warehouse.path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(WarehouseCorruptError):
        stream.catch_up()
    stream.warehouse.rebuild(timeout_seconds=5)
    assert 1 == assert_same(collection, stream.warehouse)


def test_the_reason_to_stop_comes_before_a_trouble_with_the_warehouse(
    stream: StreamRunner, collection: Documents
) -> None:
    """A drop and a damaged DuckDB file at once: the drop is told, the other is logged."""
    stream.take_position()
    collection.insert_one(line(1))
    collection.drop()
    stream.warehouse.path.write_bytes(b"this is no database" * 1000)

    with pytest.raises(CollectionInvalidatedError):
        stream.catch_up(STREAM_ON_DROP="stop")
    assert "load_left_for_later" in stream.events_logged()
    assert 1 == len(stream.landed_rows())


class Failing:
    """Raises at a failpoint, some times."""

    def __init__(self, failpoint: str, error: Exception, *, times: int) -> None:
        self.left = times
        self._failpoint = failpoint
        self._error = error

    def __call__(self, failpoint: str) -> None:
        """Fail, if it is time to."""
        if failpoint == self._failpoint and self.left:
            self.left -= 1
            raise self._error


@pytest.mark.parametrize("failpoint", ["file_written", "dead_letters_stored"])
def test_a_full_disk_is_waited_out(
    stream: StreamRunner, collection: Documents, monkeypatch: pytest.MonkeyPatch, failpoint: str
) -> None:
    """The window is tried again until there is room; nothing is lost, doubled or left behind."""
    monkeypatch.setattr("stream.landing.flush._RETRY_SECONDS", 0.05)
    stream.take_position()
    collection.insert_many([line(1), {"_id": "bad"}, line(2)])
    error: Exception = OSError(errno.ENOSPC, "No space left on device")
    if failpoint == "dead_letters_stored":
        error = LandingFullError("full", hint="")
    failing = Failing(failpoint, error, times=3)

    stream.catch_up(at_failpoint=failing, idle_seconds=1)

    assert 0 == failing.left
    assert 3 == stream.events_logged().count("disk_full")
    assert ["i:1", "i:2"] == list(warehouse_rows(stream.warehouse))
    landing = LandingZone(stream.folder / "landing", clock=utc_now)
    assert 1 == DeadLetterStore(stream.folder / "dead_letter", clock=utc_now).count(landing)
    assert 2 == len(list((stream.folder / "dead_letter").rglob("*")))
    assert [] == list(stream.folder.rglob("*.inflight"))
    assert_manifest_is_sound(stream.warehouse)


@pytest.mark.fault(2, "the disk is full", "reading stops, no half file; with space it goes on")
def test_a_disk_that_stays_full_stops_the_worker_when_told(
    stream: StreamRunner, collection: Documents, small_disk: Path
) -> None:
    """Told to stop, it ends with exit code 1; what it could not land is read again by the next run."""
    runner = StreamRunner(stream.mongo, small_disk)
    runner.take_position()
    # Not one of them finds room, however few a window on a busy machine holds.
    collection.insert_many([line(number, message=secrets.token_hex(150_000)) for number in range(10)])
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 100_000))
    worker = runner.worker()

    def stop() -> None:
        wait_until(lambda: "disk_full" in runner.events_logged())
        os.kill(os.getpid(), signal.SIGTERM)

    begun = time.monotonic()
    with meanwhile(stop), pytest.raises(LandingFullError, match="No space left") as caught:
        worker.run()
    assert time.monotonic() - begun < patience(10)
    assert 1 == caught.value.exit_code
    assert [] == runner.lane.micro_batches()
    assert [] == list(runner.lane.folder.rglob("*.inflight"))

    ballast.unlink()
    assert 10 == runner.catch_up().events
    assert 10 == assert_same(collection, runner.warehouse)


def test_a_folder_that_cannot_be_written_is_said(
    stream: StreamRunner, mongo: MongoSettings, tmp_path: Path, read_only_disk: Path
) -> None:
    """Exit code 2 and what to do, for a read-only disk as well as for a file in the way."""
    (tmp_path / "file").touch()
    for folder in (read_only_disk / "data", tmp_path / "file"):
        for start in (make_worker(mongo, folder).run, make_worker(mongo, folder).take_position):
            with pytest.raises(LandingNotWritableError, match="cannot write") as caught:
                start()
            assert 2 == caught.value.exit_code
            assert "DATA_DIR" in caught.value.hint


@pytest.mark.fault(2, "the disk turns read-only", "exit 2, no half file; writable again, it goes on")
def test_a_disk_that_turns_read_only_stops_the_worker(stream: StreamRunner, collection: Documents) -> None:
    """Nothing half-written is visible; once it can be written again the next run reads the same again."""
    stream.take_position()
    collection.insert_one(line(1))
    failing = Failing("file_written", OSError(errno.EROFS, "Read-only file system"), times=1)

    with pytest.raises(LandingNotWritableError, match="Read-only file system"):
        stream.catch_up(at_failpoint=failing)
    assert [] == stream.lane.micro_batches()
    stream.catch_up()
    assert 1 == assert_same(collection, stream.warehouse)


@pytest.mark.parametrize(
    "error", [ValueError("unforeseen"), MemoryError()], ids=["ValueError", "MemoryError"]
)
def test_the_loader_survives_what_nobody_foresaw(
    stream: StreamRunner, collection: Documents, error: Exception
) -> None:
    """It says so and tries again with the next micro-batch, instead of dying in silence."""
    stream.take_position()
    collection.insert_one(line(1))
    failing = Failing("load_before_commit", error, times=1)

    def write_later() -> None:
        wait_until(lambda: "load_waits" in stream.events_logged())
        collection.insert_one(line(2))

    worker = stream.worker(at_failpoint=failing)
    with meanwhile(write_later):
        worker.run(until_idle_seconds=2)

    [told] = [entry for entry in stream.logged if entry["event"] == "load_waits"]
    assert type(error).__name__ in told["problem"]
    assert "load_recovered" in stream.events_logged()
    assert 2 == assert_same(collection, stream.warehouse)


def test_an_unforeseen_error_in_a_step_is_not_swallowed(
    stream: StreamRunner, collection: Documents, capfd: pytest.CaptureFixture[str]
) -> None:
    """The worker ends with it, lands nothing behind it, and the next run reads again what had not landed."""
    stream.take_position()
    collection.insert_one(line(1))

    with (
        pytest.raises(ValueError, match="unforeseen"),
        meanwhile(lambda: collection.insert_many([line(number) for number in range(2, 9)])),
    ):
        stream.catch_up(at_failpoint=Failing("window_closed", ValueError("unforeseen"), times=1))
    assert not stream.lane.is_being_written
    assert [] == stream.landed_rows()
    assert 8 == stream.catch_up().events
    assert 8 == assert_same(collection, stream.warehouse)
    assert "" == capfd.readouterr().err


def test_a_damaged_newest_file_stops_the_start(stream: StreamRunner, collection: Documents) -> None:
    """The position is in it: nothing is guessed, and moved away it is read again from MongoDB."""
    stream.take_position()
    for number in range(2):
        collection.insert_one(line(number))
        stream.catch_up()
    newest = stream.lane.newest()
    assert newest is not None
    newest.path.write_bytes(newest.path.read_bytes()[:-9])
    (stream.lane.folder / "position.json").unlink()

    with pytest.raises(MicroBatchCorruptError, match=f"`{newest.path}` is corrupt"):
        stream.catch_up()
    newest.path.unlink()
    assert 1 == stream.catch_up().events
    assert 2 == assert_same(collection, stream.warehouse)
