"""Threads that take ranges and land them, each range as one file, until none is left."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from pymongo.errors import PyMongoError

from batch.backfill.claims import SharedRanges
from batch.backfill.plan import Plan
from batch.backfill.progress import RangeTally
from batch.backfill.ranges import Range
from batch.backfill.scan import RangeScan, is_passing
from batch.backfill.survey import require_origin
from stream.clock import Clock
from stream.core.normalise import DeadLetter, microseconds
from stream.decode.columns import Tabulate
from stream.errors import (
    AlreadyRunningError,
    AnalyticsError,
    LandingFullError,
    StepFailedError,
    StorageUnavailableError,
)
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedLane
from stream.landing.footer import Footer, make_footer
from stream.landing.micro_batch import MicroBatch
from stream.landing.zone import Failpoint, Lane, no_failpoint
from stream.logs import Logger
from stream.settings import MongoSettings
from stream.source.client import Client, explained
from stream.stop import StopSignal
from stream.warehouse.loader import Loader

_FIRST_BACKOFF_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 30.0
_FINISH_SECONDS = 4.0
"""After a stop signal a range may be finished for so long; then it is left for the next run."""
_POLL_SECONDS = 0.1
_LOAD_ROWS = 40_000
_LOAD_SIZE_BYTES = 100_000_000
"""Rows, or their BSON, that make a load worth its while; more would leave more to load when all is read."""
_GROUP_ROWS = 20_000
_GROUP_SIZE_BYTES = 12_000_000
"""Of a row group before it is compressed: large enough for DuckDB to read it well, small in memory."""


class _LeftError(Exception):
    """A range was left half-read, as time ran out after a stop signal."""


@dataclass(frozen=True)
class Collaborators:
    """What a reader works with; shared by all threads.

    Attributes:
        lane: Where ranges land; the caller is its writer.
        tabulate: Makes rows of documents.
        batch_size: Documents per reply of the server, at most.
    """

    client: Client
    mongo: MongoSettings
    lane: Lane | FencedLane
    dead_letters: DeadLetterStore
    tally: RangeTally
    loader: Loader | None
    stop: StopSignal
    clock: Clock
    log: Logger
    tabulate: Tabulate
    batch_size: int
    at_failpoint: Failpoint = no_failpoint


class RangeReaders:
    """A pool of threads; parsing, compressing and waiting for the server happen outside of Python's lock.

    Args:
        plan: What to read.
        ranges: Those that have not landed yet, in order; or those that are shared with other processes.
        parts: What to work with.
        threads: How many.
    """

    def __init__(
        self, plan: Plan, ranges: "list[Range] | SharedRanges", parts: Collaborators, *, threads: int
    ) -> None:
        self._plan = plan
        self._shared = ranges if isinstance(ranges, SharedRanges) else None
        self._ranges = deque(() if isinstance(ranges, SharedRanges) else ranges)
        number_of_threads = threads if isinstance(ranges, SharedRanges) else min(threads, len(ranges))
        self._parts = parts
        self._threads = [
            threading.Thread(target=self._run, name=f"read-{number}", daemon=True)
            for number in range(number_of_threads)
        ]

    def run(self, on_tick: Callable[[], None]) -> None:
        """Read all ranges; returns once all have landed, or soon after the stop signal.

        Args:
            on_tick: Called several times a second.
        """
        for thread in self._threads:
            thread.start()
        give_up_at: float | None = None
        while running := [thread for thread in self._threads if thread.is_alive()]:
            running[0].join(_POLL_SECONDS)
            on_tick()
            if self._parts.stop.is_set:
                give_up_at = give_up_at or time.monotonic() + _FINISH_SECONDS + 1
                if time.monotonic() > give_up_at:
                    return  # the server holds a thread up; its half-written file is cleared away next time

    def _run(self) -> None:
        try:
            while not self._parts.stop.is_set and (piece := self._next()) is not None:
                self._land(piece)
                if self._shared:
                    self._shared.landed(piece.number)
        except _LeftError:
            return
        except AnalyticsError as error:
            self._parts.stop.fail(error)
        except Exception as error:  # noqa: BLE001 - a thread must not die in silence
            self._parts.stop.fail(
                StepFailedError(
                    f"cannot read a range: {type(error).__name__}: {error}",
                    hint="a defect of claude-analytics: please report it; starting again loses nothing",
                )
            )

    def _next(self) -> Range | None:
        if self._shared:
            return self._shared.take()
        try:
            return self._ranges.popleft()
        except IndexError:
            return None

    def _land(self, piece: Range) -> None:
        """Land a range, however often it must be read again: outages and full disks are waited out."""
        parts = self._parts
        backoff_seconds = _FIRST_BACKOFF_SECONDS
        while not parts.stop.is_set:
            try:
                _Attempt(self._plan, piece, parts).land()
            except PyMongoError as error:
                problem: AnalyticsError = explained(error, doing=f"read `{parts.mongo.namespace}`")
                if not is_passing(error):
                    raise problem from error
            except (LandingFullError, StorageUnavailableError) as error:
                problem = error
            except AlreadyRunningError:
                # Another process was taken for dead, or took this one for it: the range has landed.
                parts.tally.read(piece.number, 0, 0)
                parts.log.info("range_landed_by_another", number=piece.number)
                return
            else:
                return
            parts.tally.read(piece.number, 0, 0)
            parts.log.warning(
                "range_waits",
                number=piece.number,
                problem=problem.message,
                retry_in_seconds=round(backoff_seconds, 1),
            )
            parts.stop.wait(backoff_seconds)
            backoff_seconds = min(backoff_seconds * 2, _MAX_BACKOFF_SECONDS)


class _Attempt:
    """One reading of one range, from cluster time to landed file."""

    def __init__(self, plan: Plan, piece: Range, parts: Collaborators) -> None:
        self._plan = plan
        self._piece = piece
        self._parts = parts
        self._documents = self._compiled = self._size_bytes = self._rows = 0
        self._letters: list[DeadLetter] = []

    def land(self) -> None:
        parts = self._parts
        started = time.monotonic()
        scan = RangeScan(
            parts.client,
            parts.mongo,
            self._piece,
            self._plan.filters,
            batch_size=parts.batch_size,
            not_before=self._plan.not_before or 0,
        )
        micro_batch = parts.lane.new_name(self._piece.number)
        try:
            parts.lane.land_groups(
                micro_batch, self._groups(scan), lambda: self._close(micro_batch, scan.source_version)
            )
        except AlreadyRunningError:
            parts.dead_letters.forget(micro_batch)
            raise
        parts.tally.land(self._piece.number, dead_letters=len(self._letters), compiled=self._compiled)
        if parts.loader:
            share = max(self._rows / _LOAD_ROWS, self._size_bytes / _LOAD_SIZE_BYTES)
            parts.loader.notify(share=share)
        parts.log.info(
            "range_landed",
            number=self._piece.number,
            rows=self._rows,
            dead_letters=len(self._letters),
            seconds=round(time.monotonic() - started, 2),
        )

    def _groups(self, scan: RangeScan) -> Iterator[pa.Table]:
        """Return what is read in pieces that make good row groups."""
        pieces: list[pa.Table] = []
        rows = size_bytes = 0
        for piece in self._tables(scan):
            pieces.append(piece)
            rows += piece.num_rows
            size_bytes += piece.nbytes
            if rows >= _GROUP_ROWS or size_bytes >= _GROUP_SIZE_BYTES:
                yield pa.concat_tables(pieces)
                pieces.clear()
                rows = size_bytes = 0
        if pieces:
            yield pa.concat_tables(pieces)

    def _tables(self, scan: RangeScan) -> Iterator[pa.Table]:
        leave_at: float | None = None
        for reply in scan.replies():
            if self._parts.stop.is_set:
                leave_at = leave_at or time.monotonic() + _FINISH_SECONDS
                if time.monotonic() > leave_at:
                    raise _LeftError
            found = self._parts.tabulate(
                reply.batch,
                source_version=scan.source_version,
                extracted_at=microseconds(self._parts.clock()),
            )
            table = self._plan.filters.keep(found.table)
            self._letters += found.dead_letters
            self._rows += table.num_rows
            self._documents += found.documents
            self._compiled += found.compiled
            self._size_bytes += len(reply.batch)
            self._parts.tally.read(self._piece.number, self._documents, self._size_bytes)
            if table.num_rows:
                yield table

    def _close(self, micro_batch: MicroBatch, source_version: int) -> Footer:
        """Make durable what must be so before the file lands, and sum it up."""
        parts = self._parts
        require_origin(parts.client, parts.mongo, self._plan.origin)
        if self._letters:
            parts.dead_letters.store(micro_batch, self._letters)
            parts.at_failpoint("dead_letters_stored")
        return make_footer(
            micro_batch.id,
            Counter(upsert=self._rows),
            versions=[source_version] if self._rows else [],
            landed_at=parts.clock(),
            dead_letters=len(self._letters),
        )
