"""Fixtures of the chaos tests: a live writer, and workers that can be killed."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from stream.clock import utc_now
from stream.dead_letters import DeadLetterStore
from stream.landing import LandingZone
from stream.settings import MongoSettings
from tests.equality import assert_manifest_is_sound, assert_same
from tests.streaming import StreamRunner

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("crashing_worker.py")

Documents = Collection[dict[str, Any]]


class LiveWriter:
    """Changes a collection without pause: inserts, updates, replaces, deletes, re-inserts, bad documents.

    Args:
        collection: What it changes.
        seed: Makes the same changes again (their moments differ).

    Attributes:
        bad: Documents written that cannot become rows.
        pause_seconds: How long only other collections change, between two bursts.
    """

    def __init__(self, collection: Documents, seed: int) -> None:
        self.bad = 0
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
                self._change()
            # Between two bursts only other collections change, so that the idle position moves on.
            time.sleep(self.pause_seconds / 2)
            other.insert_one({})
            time.sleep(self.pause_seconds / 2)

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
            self._collection.replace_one({"_id": known}, self._body(type="replaced"))
        elif choice == 7:
            self._collection.delete_one({"_id": known})
        elif choice == 8:
            self._collection.delete_one({"_id": known})
            self._collection.insert_one({"_id": known} | self._body(type="reborn"))
        else:
            self._collection.insert_one(
                {"_id": f"bad-{self._number}-{chance.random()}", "message": "no type"}
            )
            self.bad += 1

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

    def __init__(self, mongo: MongoSettings, collection: Documents, folder: Path, seed: int) -> None:
        self.collection = collection
        self.stream = StreamRunner(mongo, folder)
        self.writer = LiveWriter(collection, seed)
        self._mongo = mongo

    @contextmanager
    def worker(self, **options: Any) -> "Iterator[subprocess.Popen[str]]":
        """Run a worker process beside the block; whatever happens, it is gone afterwards."""
        process = subprocess.Popen(
            [
                sys.executable,
                SCRIPT,
                json.dumps(
                    {
                        "uri": self._mongo.uri.get_secret_value(),
                        "database": self._mongo.database,
                        "collection": self._mongo.collection,
                        "folder": str(self.stream.folder),
                    }
                    | options
                ),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def crash_at(self, boundary: str, nth: int, **options: Any) -> None:
        """Run a worker until it kills itself at a boundary."""
        with self.worker(boundary=boundary, nth=nth, **options) as process:
            _, said = process.communicate(timeout=60)
        assert process.returncode == -9, f"ended with {process.returncode}, not at `{boundary}`:\n{said}"

    def assert_nothing_lost_nothing_twice(self) -> int:
        """Let a last worker catch up, then prove raw = collection; give the number of documents.

        Landing is exactly once too: no event is in two files, and each bad document is one dead letter.
        """
        self.stream.catch_up(idle_seconds=0.5)
        documents = assert_same(self.collection, self.stream.warehouse)
        assert_manifest_is_sound(self.stream.warehouse)
        landed = Counter((row["_id"], row["source_version"]) for row in self.stream.landed_rows())
        assert [event for event, times in landed.items() if times > 1] == []
        landing = LandingZone(self.stream.folder / "landing", clock=utc_now)
        dead_letters = DeadLetterStore(self.stream.folder / "dead_letter", clock=utc_now)
        assert dead_letters.count(landing) == self.writer.bad
        left_over = list(self.stream.folder.rglob("*.inflight"))
        assert left_over == []
        return documents


@pytest.fixture
def seed() -> int:
    """Give a seed of this run's own; printed with a failure."""
    chosen = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
    print(f"to repeat: CHAOS_SEED={chosen}")  # noqa: T201 - pytest shows it when the test fails
    return chosen


@pytest.fixture
def arena(mongo: MongoSettings, collection: Documents, tmp_path: Path, seed: int) -> Arena:
    """Give a collection, a data folder, a live writer, and workers to be killed."""
    return Arena(mongo, collection, tmp_path / "data", seed)
