"""Run the pipeline every hour (or SCHEDULE_EVERY), and every night with a full refresh, until stopped."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from batch.cli.alerts import send_alerts
from batch.cli.context import Context
from batch.pipeline.metrics import BatchMetrics
from batch.pipeline.news import current_at
from batch.pipeline.resident import Resident
from batch.pipeline.scheduler import Scheduler, last_look, start_pipeline
from batch.pipeline.timetable import HOURLY
from batch.runs.journal import StepRun
from stream import logs, metrics
from stream.clock import utc_now
from stream.errors import AlreadyRunningError, AnalyticsError, WarehouseBusyError
from stream.stop import StopSignal, stopped_by_signals

_PROGRAM = (sys.executable, "-c", "from batch.cli import main; main()")
_REFRESH_SECONDS = 30.0


def command(
    run_now: Annotated[
        bool, typer.Option("--run-now", help="Run once immediately, then on schedule.")
    ] = False,
) -> None:
    signal_number = _run(Context.from_environment(), run_now=run_now)
    if signal_number is not None:
        raise typer.Exit(128 + signal_number)


def _run(context: Context, *, run_now: bool) -> int | None:
    """Run until a signal says stop; give its number.

    Raises:
        AlreadyRunningError: Another scheduler uses the same folder.
        SettingsError: A cron expression cannot be understood, or the metrics' port is taken.
    """
    settings = context.settings.pipeline
    timetable = context.timetable
    log = logs.logger("schedule")
    stop = StopSignal()
    registry = CollectorRegistry()
    batch_metrics = BatchMetrics(
        registry,
        build_age_seconds=lambda: _build_age_seconds(context),
        marts_age_seconds=lambda: _marts_age_seconds(context, refresh.steps),
    )
    metrics.DiskMetrics(registry, context.settings.data.data_dir)
    refresh = _Refresh(context, batch_metrics)
    resident = Resident(_PROGRAM)
    with _only_one(context), stopped_by_signals(stop):
        endpoint = context.settings.metrics
        server = metrics.serve(registry, host=endpoint.host, port=settings.metrics_port, token=endpoint.token)
        try:
            refresh.now()
            Scheduler(
                timetable=timetable,
                start=resident.start if settings.is_frequent else lambda name: start_pipeline(_PROGRAM, name),
                after_run=lambda _name, exit_code: _after_run(context, exit_code, refresh.now),
                each_look=refresh.sometimes,
                stop=stop,
                clock=utc_now,
                log=log,
            ).run(last_look(context.journal.steps(), utc_now()), at_once=HOURLY if run_now else None)
        finally:
            resident.close()
            if server:
                server.shutdown()
    log.info("schedule_stopped")
    return stop.signal_number


class _Refresh:
    """Brings the metrics up to date: after each run, and now and then for what others do."""

    def __init__(self, context: Context, batch_metrics: BatchMetrics) -> None:
        self._context = context
        self._metrics = batch_metrics
        self._done_at = 0.0
        self.steps: Sequence[StepRun] = ()

    def now(self) -> None:
        self._done_at = time.monotonic()
        self.steps = self._context.journal.steps()
        self._metrics.observe(self.steps)
        try:
            self._metrics.dead_letters.set(self._context.dead_letters.count(self._context.landed))
        except (OSError, ValueError, AnalyticsError) as error:
            logs.logger("schedule").warning("dead_letters_not_counted", problem=str(error))

    def sometimes(self) -> None:
        if time.monotonic() - self._done_at > _REFRESH_SECONDS:
            self.now()


def _after_run(context: Context, exit_code: int | None, refresh: Callable[[], None]) -> None:
    """Write down and tell what a run that was killed could not."""
    if exit_code is not None and exit_code < 0:
        try:
            with context.pipeline_lock.taken(timeout_seconds=1):
                if context.journal.close_abandoned():
                    send_alerts(context)
        except AnalyticsError as error:
            logs.logger("schedule").warning("run_not_closed", problem=error.message)
    refresh()


def _build_age_seconds(context: Context) -> float | None:
    build_id = context.serving.current_build()
    if build_id is None:
        return None
    return (utc_now() - context.serving.manifest(build_id).created_at).total_seconds()


def _marts_age_seconds(context: Context, steps: Sequence[StepRun]) -> float | None:
    build_id = context.serving.current_build()
    if build_id is None:
        return None
    proven_at = current_at(steps, build_id)
    return (utc_now() - (proven_at or context.serving.manifest(build_id).created_at)).total_seconds()


@contextmanager
def _only_one(context: Context) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(context.scheduling.taken(timeout_seconds=0.2))
        except WarehouseBusyError as error:
            raise AlreadyRunningError(
                f"a scheduler already runs in `{context.settings.data.data_dir}`",
                hint="one is enough: it runs every pipeline; stop it first, or use another DATA_DIR",
            ) from error
        yield
