"""What is wrong with a source is said in one sentence, with the way out, by every command that connects."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from batch.backfill.filters import Filters
from batch.doctor.check import Check
from batch.doctor.examine import Doctor
from batch.importer.importer import import_logs
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from batch.purge.source import delete_documents
from batch.purge.target import Target
from batch.settings import Settings
from batch.status.source import headroom_seconds
from batch.verify.report import Verification
from stream.clock import utc_now
from stream.errors import (
    AnalyticsError,
    MajorityLostError,
    SettingsError,
    SourceUnreachableError,
    SourceUnsuitableError,
)
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import LandingZone
from stream.settings import DataSettings, MongoSettings
from stream.source.client import connect
from stream.source.majority import majority_of, require_writable
from tests.support.backfilling import BackfillRunner
from tests.support.landing import position_at
from tests.support.paths import ROOT
from tests.support.patience import patience
from tests.support.streaming import StreamRunner, meanwhile, wait_until
from tests.support.verifying import verifier_of

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]
SECONDS = 15


def examine(mongo: MongoSettings, folder: Path) -> dict[str, Check]:
    stream = StreamRunner(mongo, folder)
    data = DataSettings(DATA_DIR=folder)
    doctor = Doctor(
        mongo=mongo,
        data_dir=folder,
        landing=LandingZone(data.landing_dir, clock=utc_now),
        dead_letters=DeadLetterStore(data.dead_letter_dir, clock=utc_now),
        warehouse=stream.warehouse,
        addresses=(),
    )
    return {check.name: check for check in doctor.examine()}


def verify(mongo: MongoSettings, folder: Path) -> Verification:
    return verifier_of(StreamRunner(mongo, folder)).run()


def bring(mongo: MongoSettings, folder: Path) -> None:
    log = folder.parent / "one" / "a.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text('{"type": "user", "uuid": "1", "timestamp": "2026-01-03T10:00:00Z"}\n')
    with connect(mongo) as client:
        require_writable(client, mongo)
        import_logs([log], client[mongo.database][mongo.collection], clock=utc_now)


COMMANDS: dict[str, Callable[[MongoSettings, Path], object]] = {
    "stream": lambda mongo, folder: StreamRunner(mongo, folder).catch_up(),
    "the first position": lambda mongo, folder: StreamRunner(mongo, folder).take_position(),
    "backfill": lambda mongo, folder: BackfillRunner(mongo, folder).run(),
    "verify": verify,
    "import": bring,
    "purge --source": lambda mongo, _folder: delete_documents(mongo, Target("session", "none")),
    "status": lambda mongo, _folder: headroom_seconds(mongo, position_at(1)),
}


@dataclass(frozen=True)
class Complaint:
    """What is wrong, and how it is said.

    Attributes:
        options: Added to the URI, or the whole of it.
        error: Its kind.
        words: In the message or the hint.
        line: Of `doctor`.
    """

    options: str
    error: type[AnalyticsError]
    words: str
    line: str = "source"


CONNECTIONS = {
    "name server away": Complaint("mongodb+srv://logs.invalid/", SourceUnreachableError, "DNS works"),
    "unknown host": Complaint(
        "mongodb://nowhere.invalid:27017/", SourceUnreachableError, "directConnection=true"
    ),
    "wrong name of the set": Complaint("replicaSet=other", SettingsError, "the set has another name"),
    "TLS to a server without": Complaint("tls=true", SourceUnreachableError, "leave `tls=true` out"),
}


def with_options(mongo: MongoSettings, options: str) -> MongoSettings:
    uri = options if "://" in options else f"{mongo.uri.get_secret_value().partition('?')[0]}?{options}"
    return MongoSettings(
        MONGO_URI=uri,
        MONGO_DB=mongo.database,
        MONGO_COLLECTION=mongo.collection,
        MONGO_CONNECT_TIMEOUT_SECONDS=2,
    )


@pytest.mark.fault(
    3, "DNS away, unknown member host, wrong `replicaSet`, TLS to a server without",
    "each command names cause and remedy within seconds; `doctor` has the line",
)  # fmt: skip
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("complaint", CONNECTIONS.values(), ids=CONNECTIONS)
def test_a_connection_that_fails_is_explained(
    mongo: MongoSettings,
    tmp_path: Path,
    complaint: Complaint,
    command: Callable[[MongoSettings, Path], object],
) -> None:
    """By kind, exit code and way out, and soon."""
    began = time.monotonic()
    with pytest.raises(complaint.error) as caught:
        command(with_options(mongo, complaint.options), tmp_path / "data")
    assert complaint.words in f"{caught.value.message}; {caught.value.hint}"
    assert time.monotonic() - began < patience(SECONDS)


@pytest.mark.parametrize("complaint", CONNECTIONS.values(), ids=CONNECTIONS)
def test_the_doctor_has_a_line_for_it(mongo: MongoSettings, tmp_path: Path, complaint: Complaint) -> None:
    """Where a beginner ends up."""
    check = examine(with_options(mongo, complaint.options), tmp_path)[complaint.line]
    assert "fail" == check.level
    assert complaint.words in f"{check.text}; {check.fix}"


UNSUITABLE: dict[str, dict[str, Any]] = {
    "view": {"viewOn": "others", "pipeline": []},
    "time series": {"timeseries": {"timeField": "at"}},
}


@pytest.mark.fault(3, "a view or a time series as the source", "exit 2 in each command, naming what it is")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("kind", UNSUITABLE)
def test_what_is_no_collection_is_refused(
    mongo: MongoSettings,
    collection: Documents,
    tmp_path: Path,
    kind: str,
    command: Callable[[MongoSettings, Path], object],
) -> None:
    """Trying again would not help, so the exit code is 2."""
    collection.database.create_collection(collection.name, **UNSUITABLE[kind])
    with pytest.raises(SourceUnsuitableError) as caught:
        command(mongo, tmp_path / "data")
    assert 2 == caught.value.exit_code
    check = examine(mongo, tmp_path / "data")["collection"]
    assert ("fail", True) == (check.level, kind in check.text)


@pytest.mark.parametrize(
    ("group", "value"),
    [
        ("MONGO_DB", ""), ("MONGO_DB", "a.b"), ("MONGO_DB", "$c"), ("MONGO_DB", "admin"),
        ("MONGO_DB", "x" * 64),
        ("MONGO_COLLECTION", ""), ("MONGO_COLLECTION", "$c"), ("MONGO_COLLECTION", "system.users"),
        ("MONGO_COLLECTION", ".a"), ("DATA_DIR", "/data[1]"), ("DATA_DIR", "/data?"),
        ("DUCKDB_PATH", "/a*.duckdb"),
    ],
)  # fmt: skip
def test_impossible_names_are_errors_of_settings(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch, group: str, value: str
) -> None:
    """Said before anything is connected to or written, with exit code 2."""
    monkeypatch.setenv(group, value)
    with pytest.raises(SettingsError, match=group) as caught:
        Settings.from_environment()
    assert 2 == caught.value.exit_code


def test_a_missing_collection_is_said_with_names_near(
    stream: StreamRunner, collection: Documents, tmp_path: Path
) -> None:
    """A slip of the pen looks like a collection without changes: once by the worker, always by the doctor."""
    collection.insert_one({"type": "user"})
    mongo = stream.mongo.model_copy(update={"collection": "Conversation"})
    runner = StreamRunner(mongo, tmp_path / "typo")
    runner.catch_up()
    warned = [each for each in runner.logged if each["event"] == "collection_missing"]
    assert [[stream.mongo.namespace]] == [each["names_near"] for each in warned]
    check = examine(mongo, tmp_path / "other")["collection"]
    assert ("warn", True) == (check.level, stream.mongo.namespace in check.text)


def test_options_without_effect_are_said(stream: StreamRunner, collection: Documents, tmp_path: Path) -> None:
    """Reading from secondaries, compressors that are not installed: it works, and says so."""
    collection.insert_one({"type": "user"})
    mongo = with_options(
        stream.mongo,
        "replicaSet=claude_analytics&readPreference=secondary&maxStalenessSeconds=120&compressors=snappy",
    )
    runner = StreamRunner(mongo, tmp_path / "data")
    runner.catch_up()
    said = "; ".join(each["problem"] for each in runner.logged if each["event"] == "mongo_option_ignored")
    assert all(word in said for word in ("readPreference", "maxStalenessSeconds", "snappy"))
    assert "warn" == examine(mongo, tmp_path / "data")["connection"].level
    assert 1 == verify(mongo, tmp_path / "data").counts["missing"]


def test_a_capped_collection_is_verified(stream: StreamRunner, collection: Documents) -> None:
    """It has no snapshots: its documents are read with majority."""
    collection.database.create_collection(collection.name, capped=True, size=1_000_000)
    stream.take_position()
    collection.insert_many([{"_id": number, "type": "user"} for number in range(10)])
    stream.catch_up()
    result = verifier_of(stream).run()
    assert (True, 10) == (result.is_same, result.documents)


def delay_secondary(client: MongoClient[dict[str, Any]], primary: int, seconds: int) -> None:
    """Let the other member lag behind by so long: then no majority confirms."""
    config = client.admin.command("replSetGetConfig")["config"]
    for member in config["members"]:
        if member["_id"] != primary:
            member |= {"priority": 0, "secondaryDelaySecs": seconds}
    client.admin.command("replSetReconfig", config | {"version": config["version"] + 1}, force=True)


@pytest.fixture(scope="module")
def two_members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    """Return a set of two, without an arbiter: one alone is no majority."""
    options = MongodOptions(cache_size_gb=0.25, oplog_size_mb=64)
    with (
        EmbeddedMongo(tmp_path_factory.mktemp("two"), size=2, options=options) as mongo,
        MongoClient[dict[str, Any]](mongo.uri) as client,
    ):
        client["claude_logs"]["conversations"].insert_one({"_id": 0, "type": "user"})
        yield mongo


def confirmed(client: MongoClient[dict[str, Any]]) -> int:
    majority = majority_of(client)
    assert majority is not None
    return majority.confirmed


@pytest.fixture
def without_majority(two_members: EmbeddedMongo) -> Iterator[MongoSettings]:
    """Return a set that is written to all the time, and whose second member is half a minute behind."""
    settings = MongoSettings(MONGO_URI=two_members.uri, MONGO_CONNECT_TIMEOUT_SECONDS=5)
    over = threading.Event()

    def keep_writing() -> None:
        while not over.wait(0.2):
            write_some(settings, time.monotonic_ns())

    with MongoClient[dict[str, Any]](two_members.uri) as client, meanwhile(keep_writing):
        try:
            delay_secondary(client, two_members.wait_for_primary(), 30)
            wait_until(lambda: 10 < lag_seconds(settings) < math.inf)
            yield settings
        finally:
            over.set()


@pytest.fixture
def without_known_majority(two_members: EmbeddedMongo) -> Iterator[MongoSettings]:
    """Return a set whose primary knows of no majority, as the change of members makes it forget."""
    settings = MongoSettings(MONGO_URI=two_members.uri, MONGO_CONNECT_TIMEOUT_SECONDS=5)
    with MongoClient[dict[str, Any]](two_members.uri) as client:

        def has_forgotten() -> bool:
            primary = two_members.wait_for_primary()
            delay_secondary(client, primary, 0)
            wait_until(lambda: confirmed(client) > 0)
            delay_secondary(client, primary, 3600)
            write_some(settings, time.monotonic_ns())
            return not confirmed(client)

        wait_until(has_forgotten)
        yield settings
        delay_secondary(client, two_members.wait_for_primary(), 0)


def write_some(mongo: MongoSettings, number: int) -> None:
    with MongoClient[dict[str, Any]](mongo.uri.get_secret_value(), w=1) as client:
        client[mongo.database][mongo.collection].insert_one({"_id": number, "type": "user"})


def lag_seconds(mongo: MongoSettings) -> float:
    with MongoClient[dict[str, Any]](mongo.uri.get_secret_value()) as client:
        majority = majority_of(client)
    assert majority is not None
    return majority.lag_seconds


@pytest.mark.fault(
    3, "no majority confirms anything since the members were changed",
    "each command says so within seconds, exit 1; nothing waits for its reads to time out",
)  # fmt: skip
def test_a_primary_that_knows_of_no_majority_is_said(
    without_known_majority: MongoSettings, tmp_path: Path
) -> None:
    """It answers no read of what is confirmed at all, the first position's neither."""
    for name, command in COMMANDS.items():
        began = time.monotonic()
        with pytest.raises(MajorityLostError, match=r"no majority .* all of them wait"):
            command(without_known_majority, tmp_path / name)
        assert time.monotonic() - began < patience(SECONDS)


@pytest.mark.fault(
    3, "no majority confirms writes (an arbiter and one data member down)",
    "each command says so within seconds, exit 1; the worker waits, and its metric grows",
)  # fmt: skip
def test_a_lost_majority_is_said(without_majority: MongoSettings, tmp_path: Path) -> None:
    """What waits is not read, so nothing may look done: no run until idle, no proof, no backfill."""
    for name in COMMANDS.keys() - {"the first position"}:
        began = time.monotonic()
        with pytest.raises(MajorityLostError, match="no majority"):
            COMMANDS[name](without_majority, tmp_path / name)
        assert time.monotonic() - began < patience(SECONDS)
    began = time.monotonic()
    assert "fail" == examine(without_majority, tmp_path / "data")["majority"].level
    assert time.monotonic() - began < patience(2 * SECONDS)


def test_a_worker_waits_for_a_majority_and_says_so(without_majority: MongoSettings, tmp_path: Path) -> None:
    """For ever it follows: so it waits, with one warning and a metric."""
    runner = StreamRunner(without_majority, tmp_path)
    worker = runner.worker()

    def stop_once_said() -> None:
        wait_until(lambda: "majority_lost" in runner.events_logged())
        signal.raise_signal(signal.SIGTERM)

    with meanwhile(stop_once_said):
        summary = worker.run()
    assert (0, signal.SIGTERM) == (summary.events, summary.signal_number)
    lag = worker.registry.get_sample_value("claude_analytics_stream_majority_lag_seconds")
    assert lag is not None
    assert lag >= 0


@pytest.mark.fault(3, "the majority is lost in the midst of a backfill", "a warning within seconds; it waits")
def test_a_majority_lost_amid_a_backfill_is_said(tmp_path: Path) -> None:
    """It goes on by itself once the majority is back, and has everything."""
    options = MongodOptions(cache_size_gb=0.25, oplog_size_mb=64)
    with EmbeddedMongo(tmp_path / "two", size=2, options=options) as server:
        mongo = MongoSettings(MONGO_URI=server.uri, MONGO_CONNECT_TIMEOUT_SECONDS=5)
        with MongoClient[dict[str, Any]](server.uri) as client:
            documents = client["claude_logs"]["conversations"]
            documents.insert_many([{"_id": n, "type": "user", "message": "x" * 500} for n in range(200)])
            stay_primary(client)
        (other,) = (node for node in server.nodes if node is not server.nodes[server.wait_for_primary()])
        assert other.pid is not None
        secondary = psutil.Process(other.pid)
        backfill = BackfillRunner(mongo, tmp_path / "data")

        is_frozen = threading.Event()

        def freeze(failpoint: str) -> None:
            if failpoint == "file_renamed" and not is_frozen.is_set():
                is_frozen.set()
                secondary.suspend()
                write_some(mongo, 1000)

        def go_on_once_said() -> None:
            try:
                wait_until(lambda: "majority_lost" in {each["event"] for each in backfill.logged})
            finally:
                secondary.resume()

        job = backfill.job(at_failpoint=freeze, threads=1)
        with meanwhile(go_on_once_said):
            assert job.run(Filters()).is_finished
        assert 1 == sum(each["event"] == "majority_lost" for each in backfill.logged)
        assert 201 == verify(mongo, tmp_path / "data").documents
        assert verify(mongo, tmp_path / "data").is_same


def stay_primary(client: MongoClient[dict[str, Any]]) -> None:
    """Let a primary that hears of no other member be primary for an hour, as with an arbiter."""
    config = client.admin.command("replSetGetConfig")["config"]
    config["settings"]["electionTimeoutMillis"] = 3_600_000
    client.admin.command("replSetReconfig", config | {"version": config["version"] + 1})


def test_a_terminal_of_ascii_is_no_reason_to_fail(clean_environment: Path) -> None:
    """An arrow becomes a question mark, and the exit code is that of what was found."""
    program = "from batch.cli.app import main; main(['doctor'])"
    settings = {
        "PYTHONIOENCODING": "ascii",
        "PYTHONPATH": str(ROOT),
        "MONGO_URI": "mongodb://127.0.0.1:1/",
        "MONGO_CONNECT_TIMEOUT_SECONDS": "0.2",
        "METRICS_PORT": "0",
        "BACKFILL_METRICS_PORT": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | settings, capture_output=True, check=False
    )
    assert (2, b"") == (done.returncode, done.stderr)
    assert b"? check that MongoDB runs" in done.stdout
