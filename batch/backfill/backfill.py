"""The backfill as a whole: position first, then the plan, then range after range; resumable at any moment."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

from batch.backfill.claims import SharedRanges
from batch.backfill.filters import Filters
from batch.backfill.guards import anchor_position, ensure_position, only_one
from batch.backfill.plan import Plan, PlanStore
from batch.backfill.progress import BackfillMetrics, BackfillProgress, RangeTally
from batch.backfill.reading import Collaborators, RangeReaders
from batch.backfill.survey import make_plan, origin_of
from stream.clock import Clock, utc_now
from stream.core.redact import Redactor
from stream.decode import self_check
from stream.decode.columns import Tabulate
from stream.decode.memory import rare_garbage_collection
from stream.errors import BackfillMismatchError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedLane, FencedZone
from stream.landing.zone import Failpoint, LandingZone, Lane, no_failpoint
from stream.logs import Logger
from stream.settings import MongoSettings
from stream.source.client import Client, connect
from stream.source.majority import MajorityWatch, require_majority
from stream.stop import StopSignal, stopped_by_signals
from stream.warehouse.load import LoadResult
from stream.warehouse.loader import Loader
from stream.warehouse.warehouse import Warehouse

OnProgress = Callable[[BackfillProgress], None]


@dataclass(frozen=True)
class BackfillSummary:
    """What a backfill did in this run.

    Attributes:
        id: Of the plan.
        is_resumed: Whether an earlier run had begun it.
        is_finished: Whether all is done; if not, run it again.
        documents: Read and landed.
        compiled: Those of them whose rows compiled code made; the others are unusual, or there is none.
        dead_letters: Those of them that were rejected.
        size_bytes: BSON bytes of the documents.
        seconds: From start to end.
        ranges: In the plan.
        ranges_landed: Of these in the landing zone now.
        ranges_skipped: Of these landed by earlier runs.
        loaded: What went into the warehouse.
        signal_number: The signal that ended it early, if one did.
    """

    id: str
    is_resumed: bool
    is_finished: bool
    documents: int
    compiled: int
    dead_letters: int
    size_bytes: int
    seconds: float
    ranges: int
    ranges_landed: int
    ranges_skipped: int
    loaded: LoadResult
    signal_number: int | None


@dataclass(frozen=True)
class Backfill:
    """Everything a backfill needs, made by the command line.

    Attributes:
        warehouse: What has landed is loaded there; None only lands.
        threads: Ranges read at the same time.
        final_threads: Of DuckDB, for the load behind the last range; None for the warehouse's own.
        range_size_bytes: BSON in a range, about.
        batch_size: Documents per reply of the server, at most.
        lease_timeout_seconds: How long to wait, at the end, for others to release the warehouse.
        redactor: Takes secrets out of documents; None leaves them as they are.
        claim_seconds: How long others leave a range to a process that gives no sign of life; in a bucket.
        at_failpoint: Tests crash the process at its failpoints.
    """

    mongo: MongoSettings
    landing: LandingZone | FencedZone
    dead_letters: DeadLetterStore
    warehouse: Warehouse | None
    metrics: BackfillMetrics
    log: Logger
    threads: int
    range_size_bytes: int
    batch_size: int
    lease_timeout_seconds: float
    final_threads: int | None = None
    redactor: Redactor | None = None
    claim_seconds: float = 60
    clock: Clock = utc_now
    at_failpoint: Failpoint = no_failpoint

    def survey(self, filters: Filters) -> tuple[Plan, int]:
        """Return the plan that `run` would carry out, and how many of its ranges have landed; change nothing.

        Raises:
            BackfillMismatchError: An unfinished backfill is in the way.
            AnalyticsError: MongoDB cannot be used.
        """
        with connect(self.mongo) as client:
            plan = self._unfinished(client, filters) or self._new_plan(client, filters)
        return plan, len(self.landing.lane(plan.lane).numbers())

    def run(
        self,
        filters: Filters,
        *,
        restart: bool = False,
        not_before: int | None = None,
        stop: StopSignal | None = None,
        on_progress: OnProgress = lambda _progress: None,
    ) -> BackfillSummary:
        """Do it, or what an earlier run has left to do.

        A signal (SIGTERM, SIGINT) lets ranges under way end for some seconds; then it returns.

        Args:
            filters: What to take; with an unfinished backfill they must be the same.
            restart: Forget an unfinished backfill and begin again; what it has landed stays.
            not_before: Cluster time that nothing read may be older than. An unfinished backfill without it or
                of a collection dropped since is of no use then, and is forgotten.
            stop: Ends it early, like a signal.
            on_progress: Called several times a second.

        Raises:
            AlreadyRunningError: Another backfill uses the same landing zone.
            BackfillMismatchError: The unfinished one is of another collection or has other filters.
            PositionMismatchError: The stream's position is another source's.
            AnalyticsError: What ended it; what has landed is kept, and the next run goes on from there.
        """
        started = time.monotonic()
        stop = stop or StopSignal()
        with only_one(self.landing), connect(self.mongo) as client:
            plans = PlanStore(self.landing)
            if restart:
                plans.abandon(at=self.clock().isoformat())
            require_majority(client, self.mongo.namespace)
            # Before anything is read: what changes from here on is the stream's.
            ensure_position(client, self.mongo, self.landing)
            plan = (
                self._unfinished(client, filters)
                if not_before is None
                else self._same_marker(client, not_before)
            )
            is_resumed = plan is not None
            if plan is None:
                plan = self._new_plan(client, filters, not_before)
                plans.save(plan)
                self.at_failpoint("planned")
                if self.landing.is_shared:  # another process may have made one at the same moment
                    plan = self._unfinished(client, filters) or plan
            lane = self.landing.lane(plan.lane, at_failpoint=self.at_failpoint)
            with rare_garbage_collection(), lane.writing(), stopped_by_signals(stop):
                if not self.landing.is_shared:  # else they may be of a range that another process reads
                    self.dead_letters.remove_orphans(self.landing, plan.lane)
                landed = lane.numbers()
                tally = RangeTally(
                    self.metrics, ranges=len(plan.ranges), landed=len(landed), documents=plan.documents
                )
                self.log.info(
                    "backfill_started", id=plan.id, ranges=len(plan.ranges), landed=len(landed),
                    documents=plan.documents,
                )  # fmt: skip
                loaded = self._read_and_load(client, plan, lane, landed, tally, stop, on_progress)
                if stop.error:
                    raise stop.error
                anchor_position(client, self.mongo, self.landing)
                is_finished = not stop.is_set
                summary = BackfillSummary(
                    id=plan.id,
                    is_resumed=is_resumed,
                    is_finished=is_finished,
                    documents=tally.documents,
                    compiled=tally.compiled,
                    dead_letters=tally.dead_letters,
                    size_bytes=tally.size_bytes,
                    seconds=time.monotonic() - started,
                    ranges=len(plan.ranges),
                    ranges_landed=tally.landed,
                    ranges_skipped=len(landed),
                    loaded=loaded,
                    signal_number=stop.signal_number,
                )
                if is_finished:
                    self.at_failpoint("all_done")
                    plans.finish(plan, {"finished_at": self.clock().isoformat()} | asdict(summary))
        self.log.info("backfill_finished" if is_finished else "backfill_interrupted", id=plan.id)
        return summary

    def _unfinished(self, client: Client, filters: Filters) -> Plan | None:
        plan = PlanStore(self.landing).unfinished()
        if plan is not None:
            plan.require(origin_of(client, self.mongo), filters)
        return plan

    def _same_marker(self, client: Client, not_before: int) -> Plan | None:
        """Return the unfinished plan with this not_before; any other one is forgotten."""
        plans = PlanStore(self.landing)
        with suppress(BackfillMismatchError):  # it cannot be read
            plan = plans.unfinished()
            if plan is None:
                return None
            if plan.not_before == not_before and not plan.origin.differences(origin_of(client, self.mongo)):
                return plan
        self.log.warning("backfill_abandoned", hint="everything is read again, which does its work and more")
        plans.abandon(at=self.clock().isoformat())
        return None

    def _new_plan(self, client: Client, filters: Filters, not_before: int | None = None) -> Plan:
        now = self.clock()
        return make_plan(
            client,
            self.mongo,
            origin=origin_of(client, self.mongo),
            filters=filters,
            range_size_bytes=self.range_size_bytes,
            plan_id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
            created_at=now.isoformat(),
            not_before=not_before,
        )

    def _read_and_load(  # noqa: PLR0917
        self,
        client: Client,
        plan: Plan,
        lane: Lane | FencedLane,
        landed: set[int],
        tally: RangeTally,
        stop: StopSignal,
        on_progress: OnProgress,
    ) -> LoadResult:
        loader = None
        if self.warehouse:
            loader = Loader(
                self.warehouse,
                log=self.log,
                on_loaded=lambda _result, ranges: tally.load(len(landed) + ranges),
                is_given_up=lambda: stop.is_set,
                final_threads=self.final_threads,
                longest_pause_seconds=0,
            )
        parts = Collaborators(
            client=client,
            mongo=self.mongo,
            lane=lane,
            dead_letters=self.dead_letters,
            tally=tally,
            loader=loader,
            stop=stop,
            clock=self.clock,
            log=self.log,
            tabulate=self._tabulate(),
            batch_size=self.batch_size,
            at_failpoint=self.at_failpoint,
        )
        missing = [piece for piece in plan.ranges if piece.number not in landed]
        read = StopSignal()
        MajorityWatch(client, self.mongo.namespace, is_awaited=False, stop=read, log=self.log).start()
        if loader:
            loader.start()
        try:
            if isinstance(lane, FencedLane):
                shared = SharedRanges(
                    lane, plan.ranges, lease_seconds=self.claim_seconds, stop=stop, on_landed=tally.found
                )
                readers = RangeReaders(plan, shared, parts, threads=self.threads)
                with shared.renewed():
                    readers.run(lambda: on_progress(tally.look()))
            else:
                readers = RangeReaders(plan, missing, parts, threads=self.threads)
                readers.run(lambda: on_progress(tally.look()))
        finally:
            read.finish()
        self.at_failpoint("all_read")
        if loader:
            loader.finish(timeout_seconds=self.lease_timeout_seconds, is_hurried=lambda: stop.is_set)
            on_progress(tally.look())
        return loader.total if loader else LoadResult()

    def _tabulate(self) -> Tabulate:
        """Choose the way from documents to rows."""
        problem = self_check.problem()
        if problem:
            self.log.warning("reading_without_compiled_code", problem=problem, hint=self_check.HINT)
        return self_check.tabulate_way(self.redactor and self.redactor.telling(self.metrics.count_redaction))
