"""The always-on worker: puts the parts together, minds signals, and says how it ended."""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bytewax.dataflow import Dataflow
from bytewax.run import cli_main
from prometheus_client import CollectorRegistry

from stream.clock import Clock, utc_now
from stream.core.changes import Transcribe
from stream.core.collection_event import InvalidationPolicy
from stream.core.dead_letter_limit import DeadLetterLimit
from stream.core.partition import WHOLE, Partition
from stream.core.position import Position
from stream.core.redact import Redactor
from stream.core.window import FlushPolicy, Window
from stream.decode import self_check
from stream.decode.memory import rare_garbage_collection
from stream.errors import AnalyticsError, HistoryLostError, HistoryRewoundError, WarehouseBusyError
from stream.flow import Guard, build_flow
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.flush import Flusher
from stream.landing.landed_file import Failpoint, no_failpoint
from stream.landing.lane_writer import LaneWriter
from stream.landing.partitions import Generation, Zone, begin_generation, choose_partition, repartition
from stream.landing.places import places
from stream.logs import Logger
from stream.metrics import StreamMetrics
from stream.settings import DataSettings, DuckDBSettings, MongoSettings, StreamSettings
from stream.source.change_stream import (
    PIPELINE_VERSION,
    ChangeStream,
    present_position,
    start_position,
    warn_of_missing,
)
from stream.source.client import Client, connect, fingerprint, ignored_options
from stream.source.history import begin_resnapshot
from stream.source.majority import MajorityWatch, require_majority
from stream.source.oplog import OplogWatch
from stream.source.prefetch import ChangeStreamSource, Prefetch
from stream.source.reader import ChangeReader
from stream.source.resnapshot import ReadCollection, Resnapshot, ResnapshotStore, cannot_resnapshot
from stream.source.timeline import require_timeline
from stream.stop import StopSignal, stopped_by_signals
from stream.warehouse.load import LoadResult
from stream.warehouse.loader import Loader, NoLoader
from stream.warehouse.warehouse import Warehouse

_EPOCH_INTERVAL = timedelta(seconds=30)
_FINAL_LOAD_SECONDS = 5.0
_JOIN_SECONDS = 3.0
"""Shared by all threads that end with the worker; a server that does not answer may hold one up."""


@dataclass(frozen=True)
class WorkerSummary:
    """What a worker did from start to end.

    Attributes:
        events: Change events read.
        seconds: From start to end.
        loaded: What went into the warehouse.
        position: Where it stands now.
        signal_number: The signal that ended it, if one did.
    """

    events: int
    seconds: float
    loaded: LoadResult
    position: Position
    signal_number: int | None


@dataclass(frozen=True)
class _Attempt:
    """How following from one position ended."""

    reader: ChangeReader
    loader: Loader | NoLoader
    stop: StopSignal
    failure: Exception | None


@dataclass(frozen=True)
class Worker:
    """Everything the stream worker needs, made by the command line.

    Attributes:
        warehouse: What has landed is loaded there; None leaves it to others.
        registry: Metrics are registered here.
        redactor: Takes secrets out of documents; None leaves them as they are.
        read_collection: Reads the whole collection, should that become necessary.
        partition: Number of the share of the changes that it takes; 0 is the first of STREAM_PARTITIONS.
        at_failpoint: Tests crash the process at its failpoints.
    """

    mongo: MongoSettings
    data: DataSettings
    settings: StreamSettings
    duckdb: DuckDBSettings
    warehouse: Warehouse | None
    registry: CollectorRegistry
    log: Logger
    read_collection: ReadCollection = cannot_resnapshot
    redactor: Redactor | None = None
    partition: int = 0
    clock: Clock = utc_now
    at_failpoint: Failpoint = no_failpoint

    def take_position(self) -> Position:
        """Make sure there is a position, without reading anything: the present, if there is none yet.

        Raises:
            AlreadyRunningError: A worker runs (which has taken one).
            AnalyticsError: MongoDB cannot be used, or the saved position is another source's.
        """
        landing = places(self.data, clock=self.clock).landing
        with connect(self.mongo) as client:
            partition, begin = self._partition(client, landing)
            lane = landing.lane(partition.lane)
            with lane.writing():
                return start_position(client, self.mongo, lane, from_now=False, log=self.log, begin=begin)

    def repartition(self) -> Generation:
        """Divide the stream into STREAM_PARTITIONS lanes, behind what its workers have landed.

        They must have ended.

        Raises:
            AlreadyRunningError: One of them does.
            SettingsError: The stream has not begun, or reads the collection again just now.
        """
        return repartition(places(self.data, clock=self.clock).landing, self.settings.partitions)

    def _partition(self, client: Client, landing: Zone) -> tuple[Partition, Position | None]:
        """Return what to read, and where to begin; several partitions begin at the same point."""
        chosen = choose_partition(landing, self.partition, self.settings.partitions)
        if chosen is None:
            source = fingerprint(client, self.mongo, pipeline=PIPELINE_VERSION)
            # A backfill may have taken one before any worker ran.
            start = landing.lane(WHOLE.lane).position() or present_position(client, self.mongo, source)
            begin_generation(landing, self.settings.partitions, start)
            chosen = choose_partition(landing, self.partition, self.settings.partitions)
        return chosen or (WHOLE, None)

    def run(
        self,
        *,
        until_idle_seconds: float | None = None,
        from_now: bool = False,
        is_landing_only: bool = False,
    ) -> WorkerSummary:
        """Follow the collection: for ever, or until nothing has arrived for a while.

        Args:
            until_idle_seconds: End after so long without a change, and after everything is loaded.
            from_now: Leave the saved position, and begin at the present.
            is_landing_only: Leave the loading to others.

        Raises:
            AlreadyRunningError: Another worker writes the same lane.
            PositionMismatchError: The saved position is another source's.
            AnalyticsError: What ended the worker; all that was read before has landed.
        """
        started = time.monotonic()
        where = places(self.data, clock=self.clock)
        dead_letters = where.dead_letters
        metrics = StreamMetrics(self.registry)
        events, loaded = 0, LoadResult()
        begun_at: Position | None = None
        with ExitStack() as stack:
            stack.enter_context(rare_garbage_collection())
            client = stack.enter_context(connect(self.mongo))
            partition, begin = self._partition(client, where.landing)
            lane = where.landing.lane(partition.lane, at_failpoint=self.at_failpoint)
            stack.enter_context(lane.writing())
            for ignored in ignored_options(self.mongo):
                self.log.warning("mongo_option_ignored", problem=ignored)
            warn_of_missing(client, self.mongo, self.log)
            dead_letters.remove_orphans(where.landing, partition.lane)
            if until_idle_seconds is not None:
                require_majority(client, self.mongo.namespace)
            while True:
                under_way = ResnapshotStore(lane).load()
                position = start_position(
                    client,
                    self.mongo,
                    lane,
                    from_now=from_now and not begun_at,
                    log=self.log,
                    begin=begin,
                )
                attempt = self._follow(
                    client, lane, partition, position, under_way.truncate_marker if under_way else None,
                    dead_letters, metrics,
                    until_idle_seconds=until_idle_seconds, is_landing_only=is_landing_only,
                )  # fmt: skip
                events, loaded = events + attempt.reader.events, loaded + attempt.loader.total
                if (
                    not isinstance(attempt.failure, HistoryLostError | HistoryRewoundError)
                    or attempt.stop.signal_number is not None
                ):
                    break
                # A position that is lost at once is of no use: another would fare no better.
                begun_at = begin_resnapshot(
                    client, self.mongo, lane, attempt.failure,
                    is_wanted=self.settings.on_history_lost != "stop" and position != begun_at,
                    log=self.log, at_failpoint=self.at_failpoint,
                )  # fmt: skip
        if attempt.failure:
            raise attempt.failure
        summary = WorkerSummary(
            events, time.monotonic() - started, loaded, attempt.reader.position, attempt.stop.signal_number
        )
        self.log.info("stream_stopped", events=summary.events, seconds=round(summary.seconds, 1))
        return summary

    def _follow(  # noqa: PLR0917 - the parts that outlive one position
        self,
        client: Client,
        lane: LaneWriter,
        partition: Partition,
        position: Position,
        resnapshot_marker: int | None,
        dead_letters: DeadLetterStore,
        metrics: StreamMetrics,
        *,
        until_idle_seconds: float | None,
        is_landing_only: bool,
    ) -> _Attempt:
        """Follow the collection from a position to the end, whatever that is."""
        stop = StopSignal()
        resnapshot = Resnapshot(
            ResnapshotStore(lane),
            self.read_collection,
            stop=stop,
            log=self.log,
            is_landing_only=is_landing_only,
        )
        flusher = Flusher(
            lane,
            dead_letters,
            position,
            clock=self.clock,
            stop=stop,
            metrics=metrics,
            log=self.log,
            at_failpoint=self.at_failpoint,
            on_truncate=resnapshot.land,
        )
        reader = ChangeReader(
            position,
            clock=self.clock,
            stop=stop,
            metrics=metrics,
            flusher=flusher,
            limit=DeadLetterLimit(self.settings.max_dead_letters_per_minute),
            policy=InvalidationPolicy(
                self.settings.on_drop, self.settings.on_history_lost, is_first=partition.number == 0
            ),
            resnapshot=resnapshot,
            log=self.log,
            redactor=self.redactor and self.redactor.telling(metrics.count_redaction),
            transcribe=self._transcribe(metrics),
        )
        loader: Loader | NoLoader = NoLoader()
        if self.warehouse is not None and not is_landing_only:
            loader = Loader(
                self.warehouse,
                log=self.log,
                on_loaded=lambda result, _: metrics.rows_loaded.inc(result.rows),
            )
            metrics.pending_micro_batches.set_function(lambda: loader.pending)
            metrics.load_lag_seconds.set_function(lambda: loader.lag_seconds)
        oplog = OplogWatch(client, flusher, stop=stop, metrics=metrics, log=self.log)
        majority = MajorityWatch(
            client,
            self.mongo.namespace,
            is_awaited=until_idle_seconds is not None,
            stop=stop,
            log=self.log,
            on_look=lambda majority: metrics.majority_lag_seconds.set(majority.lag_seconds),
        )
        changes = ChangeStream(
            client,
            self.mongo,
            batch_size=min(self.settings.batch_size, self.settings.max_rows),
            position=position,
            partition=partition,
            require=partial(require_timeline, client, self.mongo.namespace),
            idle_seconds=until_idle_seconds,
            stop=stop,
            metrics=metrics,
            log=self.log,
        )
        self.log.info(
            "stream_started",
            namespace=self.mongo.namespace,
            lane=lane.name,
            position=position.instant.isoformat(),
        )
        guard = Guard(stop)
        flow = build_flow(
            source=ChangeStreamSource(
                Prefetch(changes, stop),
                stop,
                until_idle_seconds=until_idle_seconds,
                is_held=lambda: resnapshot.is_under_way,
            ),
            guard=guard,
            normalise=reader.read,
            window=Window(self._policy(), idle_since=time.monotonic()),
            flusher=flusher,
            loader=loader,
        )
        # Not before: until here there is nothing to flush, and a signal may end the process at once.
        with stopped_by_signals(stop):
            loader.start()
            oplog.start()
            majority.start()
            if resnapshot_marker is not None:
                resnapshot.resume(resnapshot_marker)
            try:
                _run_dataflow(flow)
            except BaseException:
                self._load_the_rest(loader, stop, has_time=False)
                raise
            failure = guard.error or stop.error
            ended_at = time.monotonic()
            self._load_the_rest(loader, stop, has_time=until_idle_seconds is not None and not failure)
            # They were stopped before the last load: what that took is not waited for again.
            for thread in (oplog, majority, resnapshot):
                thread.join(max(0.1, ended_at + _JOIN_SECONDS - time.monotonic()))
        return _Attempt(reader, loader, stop, failure)

    def _transcribe(self, metrics: StreamMetrics) -> Transcribe | None:
        """Choose the way from change events to rows."""
        problem = self_check.problem()
        metrics.compiled_way.set(problem is None)
        if problem:
            self.log.warning("reading_without_compiled_code", problem=problem, hint=self_check.HINT)
        return self_check.transcribe_way()

    def _policy(self) -> FlushPolicy:
        return FlushPolicy(
            max_rows=self.settings.max_rows,
            max_size_bytes=self.settings.max_size_bytes,
            max_age=self.settings.max_age,
            idle_position=timedelta(seconds=self.settings.idle_position_seconds),
        )

    def _load_the_rest(self, loader: Loader | NoLoader, stop: StopSignal, *, has_time: bool) -> None:
        """Load what has landed last. Unless the work is done, others are not waited for.

        An error here must not hide the one that ended the stream: what has landed waits for the next load.
        """
        stop.finish()
        try:
            loader.finish(
                timeout_seconds=self.duckdb.lease_timeout_seconds if has_time else _FINAL_LOAD_SECONDS,
                is_hurried=lambda: stop.signal_number is not None,
            )
        except AnalyticsError as error:
            is_busy = isinstance(error, WarehouseBusyError)
            if has_time and not (is_busy and stop.signal_number is not None):
                raise
            self.log.warning("load_left_for_later", problem=error.message, hint=error.hint)


def _run_dataflow(flow: Dataflow) -> None:
    """Run a dataflow in this process until its source ends."""
    # Bytewax would serve the dataflow on every interface if this were so much as set.
    os.environ.pop("BYTEWAX_DATAFLOW_API_ENABLED", None)
    cli_main(flow, epoch_interval=_EPOCH_INTERVAL)  # type: ignore[no-untyped-call]
