"""Makes backfills for tests: small ranges, two threads, everything logged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import LogCapture

from batch.backfill.backfill import Backfill, BackfillSummary
from batch.backfill.everything import CollectionReader
from batch.backfill.filters import Filters
from batch.backfill.progress import BackfillMetrics
from stream.clock import utc_now
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.places import places
from stream.landing.zone import Failpoint, LandingZone, no_failpoint
from stream.settings import DataSettings, MongoSettings
from stream.worker import Worker
from tests.support.streaming import StreamRunner, make_warehouse


class BackfillRunner:
    """Runs backfills on one collection and one data folder, in this process.

    Attributes:
        registry: Metrics of the last one.
        logged: Its log lines, as dicts.
    """

    def __init__(self, mongo: MongoSettings, folder: Path) -> None:
        self.mongo = mongo
        self.folder = folder
        self.landing = LandingZone(DataSettings(DATA_DIR=folder).landing_dir, clock=utc_now)
        self.dead_letters = DeadLetterStore(DataSettings(DATA_DIR=folder).dead_letter_dir, clock=utc_now)
        self.warehouse = make_warehouse(folder)
        self.registry = CollectorRegistry()
        self.logged: list[Any] = []

    def job(
        self,
        *,
        loads: bool = True,
        at_failpoint: Failpoint = no_failpoint,
        range_size_bytes: int = 10_000,
        **options: Any,
    ) -> Backfill:
        """Return a new backfill."""
        capture = LogCapture()
        self.logged = capture.entries
        self.registry = CollectorRegistry()
        settings: dict[str, Any] = {
            "mongo": self.mongo,
            "landing": self.landing,
            "dead_letters": self.dead_letters,
            "warehouse": make_warehouse(self.folder, at_failpoint=at_failpoint) if loads else None,
            "metrics": BackfillMetrics(self.registry),
            "log": structlog.wrap_logger(None, processors=[capture]),
            "threads": 2,
            "range_size_bytes": range_size_bytes,
            "batch_size": 40,
            "lease_timeout_seconds": 10,
            "at_failpoint": at_failpoint,
        }
        return Backfill(**(settings | options))

    def run(
        self, filters: Filters | None = None, *, restart: bool = False, **options: Any
    ) -> BackfillSummary:
        """Run one to its end."""
        return self.job(**options).run(filters or Filters(), restart=restart)

    def landed(self) -> dict[str, list[int]]:
        """Return the numbers of the ranges that have landed, by lane."""
        return {
            lane.name: [micro_batch.sequence for micro_batch in lane.micro_batches()]
            for lane in self.landing.lanes()
            if lane.name.startswith("backfill-")
        }

    def logged_numbers(self, event: str) -> list[int]:
        """Return the numbers of the ranges that a kind of log line was about."""
        return sorted(entry["number"] for entry in self.logged if entry["event"] == event)


def collection_reader(
    mongo: MongoSettings,
    folder: Path,
    log: Any,
    *,
    data_url: str | None = None,
    at_failpoint: Failpoint = no_failpoint,
) -> CollectionReader:
    """Return what reads a collection anew for a stream worker: in small ranges, with short claims."""
    runner = BackfillRunner(mongo, folder)
    where = places(DataSettings(DATA_DIR=folder, DATA_URL=data_url), clock=utc_now)
    return CollectionReader(
        lambda is_landing_only: runner.job(
            loads=not is_landing_only and data_url is None,
            at_failpoint=at_failpoint,
            log=log,
            landing=where.landing,
            dead_letters=where.dead_letters,
            claim_seconds=2,
        ),
        landing=where.landing,
        log=log,
    )


def reading_anew(stream: StreamRunner, *, at_failpoint: Failpoint = no_failpoint, **settings: Any) -> Worker:
    """Return a worker that reads the collection anew where it must."""
    worker = stream.worker(**({"STREAM_ON_HISTORY_LOST": "resnapshot"} | settings), at_failpoint=at_failpoint)
    reader = collection_reader(stream.mongo, stream.folder, worker.log, at_failpoint=at_failpoint)
    return replace(worker, read_collection=reader)
