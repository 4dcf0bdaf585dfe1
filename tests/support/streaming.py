"""Makes stream workers for tests, quick ones; and waits for what they do."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import structlog
from prometheus_client import CollectorRegistry
from pymongo.collection import Collection
from structlog.testing import LogCapture

from stream.clock import utc_now
from stream.core.position import Position
from stream.landing.zone import STREAM_LANE, Failpoint, LandingZone, Lane, no_failpoint
from stream.settings import DataSettings, DuckDBSettings, MongoSettings, StreamSettings
from stream.warehouse.warehouse import Warehouse
from stream.worker import Worker, WorkerSummary
from tests.support.patience import patience

IDLE_SECONDS = 0.3


def line(document_id: object, **fields: Any) -> dict[str, Any]:
    """Return a document."""
    return {
        "_id": document_id,
        "type": "user",
        "sessionId": "session",
        "timestamp": "2026-01-03T10:00:00Z",
        "message": {"role": "user", "content": f"text {document_id}"},
        "uuid": f"uuid-{document_id}",
    } | fields


def make_worker(
    mongo: MongoSettings,
    folder: Path,
    *,
    at_failpoint: Failpoint = no_failpoint,
    log: Any = None,
    partition: int = 0,
    **settings: Any,
) -> Worker:
    """Return a worker with short times; each has a registry of its own, so it can run once."""
    data = DataSettings(DATA_DIR=folder)
    duckdb = DuckDBSettings(DUCKDB_THREADS=1, DUCKDB_LEASE_TIMEOUT_SECONDS=20)
    return Worker(
        mongo=mongo,
        data=data,
        settings=StreamSettings(
            **{"STREAM_MAX_AGE_SECONDS": 0.1, "STREAM_IDLE_POSITION_SECONDS": 0.2} | settings
        ),
        duckdb=duckdb,
        warehouse=make_warehouse(folder, at_failpoint=at_failpoint),
        registry=CollectorRegistry(),
        log=log or structlog.wrap_logger(None, processors=[LogCapture()]),
        at_failpoint=at_failpoint,
        partition=partition,
    )


class StreamRunner:
    """Runs workers on one collection and one data folder, in this process and to their end.

    Attributes:
        folder: The data folder.
        warehouse: To look into it.
        logged: Log lines of the last worker, as dicts.
    """

    def __init__(self, mongo: MongoSettings, folder: Path) -> None:
        self.mongo = mongo
        self.folder = folder
        self.warehouse = make_warehouse(folder)
        self.logged: list[Any] = []

    @property
    def lane(self) -> Lane:
        """The lane of the stream."""
        return stream_lane(self.folder)

    def worker(self, **options: Any) -> Worker:
        """Return a new worker."""
        capture = LogCapture()
        self.logged = capture.entries
        return make_worker(
            self.mongo, self.folder, log=structlog.wrap_logger(None, processors=[capture]), **options
        )

    def take_position(self) -> Position:
        """Let the stream begin here."""
        return self.worker().take_position()

    def catch_up(self, *, idle_seconds: float = IDLE_SECONDS, **options: Any) -> WorkerSummary:
        """Run a worker until nothing arrives any more."""
        return self.worker(**options).run(until_idle_seconds=idle_seconds)

    def events_logged(self) -> list[str]:
        """Return the names of the last worker's log lines."""
        return [entry["event"] for entry in self.logged]

    def landed_rows(self) -> list[dict[str, Any]]:
        """Read every row that has landed, in the order of the lane."""
        return self.landed_rows_of(self.lane)

    def landed_rows_of(self, lane: Lane) -> list[dict[str, Any]]:
        """Read every row that has landed in a lane, in its order."""
        return [
            row
            for micro_batch in lane.micro_batches()
            for row in pq.read_table(micro_batch.path, partitioning=None).to_pylist()
        ]


def make_warehouse(folder: Path, *, at_failpoint: Failpoint = no_failpoint) -> Warehouse:
    """Return the warehouse of a data folder."""
    data = DataSettings(DATA_DIR=folder)
    landing = LandingZone(data.landing_dir, clock=utc_now)
    return Warehouse(
        folder / "analytics.duckdb", landing=landing, clock=utc_now, threads=1, at_failpoint=at_failpoint
    )


def mongo_settings(collection: Collection[dict[str, Any]], uri: str) -> MongoSettings:
    """Return the settings that name a collection."""
    return MongoSettings(
        MONGO_URI=uri,
        MONGO_DB=collection.database.name,
        MONGO_COLLECTION=collection.name,
        MONGO_CONNECT_TIMEOUT_SECONDS=5,
    )


def stream_lane(folder: Path) -> Lane:
    """Return the lane of the stream in a data folder."""
    return LandingZone(DataSettings(DATA_DIR=folder).landing_dir, clock=utc_now).lane(STREAM_LANE)


def wait_until(is_so: Callable[[], bool], *, seconds: float = 120.0) -> None:
    """Wait for something that must become true; to ask takes a third of the time at most."""
    began_at, limit = time.monotonic(), seconds
    while True:
        asked_at = time.monotonic()
        if is_so():
            return
        now = time.monotonic()
        if now - began_at > limit:
            limit = patience(seconds)  # which costs something, so only now that it matters
            assert now - began_at < limit, "it did not happen in time"
        time.sleep(max(0.02, 2 * (now - asked_at)))


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Run an action in a thread beside the block; its failure fails the block."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if problems:
        raise problems[0]
