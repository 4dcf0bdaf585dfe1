"""Fixtures of the chaos tests: a live writer, workers that can be killed, servers that can be."""

import json
import os
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from stream.clock import utc_now
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import STREAM_LANE, LandingZone
from stream.settings import MongoSettings
from tests.support.backfilling import reading_anew
from tests.support.equality import assert_manifest_is_sound, assert_same
from tests.support.forking import Forked, ForkServer
from tests.support.patience import patience
from tests.support.streaming import StreamRunner, mongo_settings

WORKER = Path(__file__).with_name("crashing_worker.py")
BACKFILL = Path(__file__).with_name("crashing_backfill.py")

Documents = Collection[dict[str, Any]]


class LiveWriter:
    """Changes a collection without pause: inserts, updates, replaces, deletes, re-inserts, bad documents.

    Args:
        collection: What it changes.
        seed: Makes the same changes again (their moments differ).

    Attributes:
        changes: Changes tried.
        refused: Those of them that no server took, or whose answer got lost; only of a server that is made
            to fail, anywhere else they end the writing.
        is_patient: Whether they are expected.
        pause_seconds: How long only other collections change, between two bursts.
    """

    def __init__(self, collection: Documents, seed: int) -> None:
        self.changes = 0
        self.refused = 0
        self.is_patient = False
        self.pause_seconds = 0.2
        self._collection = collection
        self._chance = random.Random(seed)
        self._is_over = threading.Event()
        self._number = 0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write beside the block."""
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _write(self) -> None:
        other = self._collection.database["other"]
        while not self._is_over.is_set():
            for _ in range(self._chance.randrange(1, 12)):
                self._try(self._change)
            # Between two bursts only other collections change, so that the idle position moves on.
            time.sleep(self.pause_seconds / 2)
            self._try(lambda: other.insert_one({}))
            time.sleep(self.pause_seconds / 2)

    def _try(self, change: Callable[[], object]) -> None:
        self.changes += 1
        try:
            change()
        except PyMongoError:
            self.refused += 1
            if not self.is_patient:
                raise

    def _change(self) -> None:
        chance = self._chance
        known = chance.randrange(max(1, self._number))
        choice = chance.randrange(10)
        if choice < 4:
            self._collection.insert_many([self._document() for _ in range(chance.randrange(1, 8))])
        elif choice < 6:
            self._collection.update_one(
                {"_id": known}, {"$set": {"message": {"content": f"{chance.random()}"}}}
            )
        elif choice == 6:
            # The same key to MongoDB, of another type.
            key = chance.choice([known, float(known), Decimal128(f"{known}.0")])
            self._collection.replace_one({"_id": key}, {"_id": key} | self._body(type="replaced"))
        elif choice == 7:
            self._collection.delete_one({"_id": known})
        elif choice == 8:
            self._collection.delete_one({"_id": known})
            self._collection.insert_one({"_id": known} | self._body(type="reborn"))
        else:
            self._collection.insert_one(
                {"_id": f"bad-{self._number}-{chance.random()}", "message": "no type"}
            )

    def _document(self) -> dict[str, Any]:
        self._number += 1
        return {"_id": self._number} | self._body(type="user")

    def _body(self, **fields: Any) -> dict[str, Any]:
        return {
            "sessionId": f"session-{self._chance.randrange(5)}",
            "timestamp": "2026-01-03T10:00:00.000Z",
            "message": {"role": "user", "content": "x" * self._chance.randrange(200)},
            "uuid": f"{self._chance.random()}",
        } | fields


class Arena:
    """One collection, one data folder, and worker processes to be killed."""

    def __init__(
        self, mongo: MongoSettings, collection: Documents, folder: Path, seed: int, scripts: ForkServer
    ) -> None:
        self.collection = collection
        self.stream = StreamRunner(mongo, folder)
        self.writer = LiveWriter(collection, seed)
        self.mongo = mongo
        self._scripts = scripts

    def start(self, script: Path, *, output: Path | None = None, **options: Any) -> Forked:
        """Start a script on this collection and folder; whoever calls ends it."""
        return self._scripts.start(script, json.dumps(self.options(options)), output=output)

    def options(self, more: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a script on this collection and folder."""
        return {
            "uri": self.mongo.uri.get_secret_value(),
            "database": self.mongo.database,
            "collection": self.mongo.collection,
            "folder": str(self.stream.folder),
        } | more

    @contextmanager
    def running(self, script: Path, **options: Any) -> Iterator[Forked]:
        """Run a script beside the block; whatever happens, it is gone afterwards."""
        with self.start(script, **options) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def worker(self, **options: Any) -> Iterator[Forked]:
        """Run a worker process beside the block; whatever happens, it is gone afterwards."""
        with self.running(WORKER, **options) as process:
            yield process

    def catch_up(self) -> None:
        """Run a last worker until nothing arrives any more; it reads the collection again where it must."""
        reading_anew(self.stream).run(until_idle_seconds=0.5)

    def crash_at(self, failpoint: str, nth: int, **options: Any) -> None:
        """Run a worker until it kills itself at a failpoint."""
        with self.worker(failpoint=failpoint, nth=nth, **options) as process:
            _, said = process.communicate(timeout=patience())
        assert -9 == process.returncode, f"ended with {process.returncode}, not at `{failpoint}`:\n{said}"

    def assert_nothing_lost_nothing_twice(self, *, has_dropped: bool = False) -> int:
        """Let a last worker catch up, then prove raw = collection; give the number of documents.

        Landing is exactly once too: no event is in two files, and each bad document is one dead letter, of
        the stream, or of the reading that followed a rename.

        Args:
            has_dropped: Whether the collection was dropped or renamed meanwhile.
        """
        self.catch_up()
        documents = assert_same(self.collection, self.stream.warehouse)
        assert_manifest_is_sound(self.stream.warehouse)
        landed = Counter((row["_id"], row["source_version"], row["op"]) for row in self.stream.landed_rows())
        assert [] == [event for event, times in landed.items() if times > 1]
        landing = LandingZone(self.stream.folder / "landing", clock=utc_now)
        rejected = DeadLetterStore(self.stream.folder / "dead_letter", clock=utc_now).list(landing)
        by_stream = Counter(
            one.letter.document_id for one in rejected if one.id.startswith(f"{STREAM_LANE}/")
        )
        bad = [f"s:{one['_id']}" for one in self.collection.find({"_id": {"$regex": "^bad-"}})]
        if has_dropped:
            assert {one.letter.document_id for one in rejected}.issuperset(bad)
            assert {1}.issuperset(by_stream.values())
        else:
            assert Counter(bad) == by_stream
        left_over = list(self.stream.folder.rglob("*.inflight"))
        assert [] == left_over
        return documents


@pytest.fixture
def seed() -> int:
    """Return a seed of this run's own; printed with a failure."""
    chosen = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
    print(f"to repeat: CHAOS_SEED={chosen}")  # noqa: T201 - pytest shows it when the test fails
    return chosen


@pytest.fixture(scope="session")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    """Return a set of three that tests may kill; whoever ends a node starts it again."""
    options = MongodOptions(cache_size_gb=0.25, oplog_size_mb=256)
    with EmbeddedMongo(tmp_path_factory.mktemp("three"), size=3, options=options) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Return what starts the scripts beside this file."""
    modules = ("worker", "backfill", "compaction", "publisher")
    server = ForkServer(
        tmp_path_factory.mktemp("scripts"), *(f"tests.chaos.crashing_{each}" for each in modules)
    )
    yield server
    server.close()


@pytest.fixture
def hardy_arena(
    three_nodes: EmbeddedMongo, tmp_path: Path, seed: int, scripts: ForkServer
) -> Iterator[Arena]:
    """Return an arena on the set of three, whose writer does not mind if the servers fail."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with MongoClient[dict[str, Any]](three_nodes.uri, tz_aware=True) as client:
        collection = client[name]["conversations"]
        mongo = mongo_settings(collection, three_nodes.uri)
        arena = Arena(mongo, collection, tmp_path / "data", seed, scripts)
        arena.writer.is_patient = True
        yield arena
        client.drop_database(name)


@pytest.fixture
def arena(
    mongo: MongoSettings, collection: Documents, tmp_path: Path, seed: int, scripts: ForkServer
) -> Arena:
    """Return a collection, a data folder, a live writer, and workers to be killed."""
    return Arena(mongo, collection, tmp_path / "data", seed, scripts)
