"""Makes the cycle's steps and the pipeline around them, from what a context has."""

import os
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import version

from prometheus_client import CollectorRegistry

from batch.backfill.backfill import Backfill
from batch.backfill.filters import Filters
from batch.backfill.plan import LANE_PREFIX, has_ended
from batch.backfill.progress import BackfillMetrics
from batch.cli.context import Context
from batch.cli.signals import exit_if_signalled
from batch.dashboards.report.write import REPORT_NAME
from batch.pipeline.alerts import Notifier, alert_for
from batch.pipeline.runner import EXTRACT, LOAD, TRANSFORM, Pipeline, RetryPolicy
from batch.pipeline.steps import Cycle, OnProgress, no_progress
from batch.purge.landed import LandedPurge
from batch.purge.purge import Purge
from batch.purge.traces import Traces
from batch.shipped import gx_project
from batch.transform.transform import BuildResult, transform
from batch.validate.checkpoint import Gate
from batch.validate.project import DATA_DOCS_FOLDER, RESULTS_FOLDER
from stream import logs
from stream.clock import utc_now

_IDLE_SECONDS = 0.0
"""The first empty reply from behind the point where the server was at the start shows that all is read."""


def make_gate(context: Context) -> Gate:
    """Give Great Expectations on the warehouse."""
    settings = context.settings
    return Gate(
        project=gx_project(),
        folder=settings.data.data_dir / "gx",
        warehouse=settings.warehouse_path,
        threads=settings.duckdb.threads,
        memory_limit=settings.duckdb.memory_limit,
    )


def make_cycle(context: Context, run_id: str, *, on_progress: OnProgress = no_progress) -> Cycle:
    """Give the steps of one run."""
    return Cycle(
        run_id=run_id,
        landing=context.landing,
        warehouse=context.warehouse,
        journal=context.journal,
        publisher=context.publisher,
        gate=make_gate(context),
        maintenance=context.maintenance,
        read_changes=lambda: _read_changes(context),
        read_collection=lambda: _read_collection(context),
        build=lambda select, full_refresh: _build(context, select, full_refresh, on_progress),
        inputs=lambda: _inputs(context),
        clock=utc_now,
        volume_ratio=context.settings.great_expectations.volume_ratio,
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
        on_progress=on_progress,
    )


def make_pipeline(
    context: Context, run_id: str, cycle: Cycle, *, on_note: Callable[[str], None] = lambda _step: None
) -> Pipeline:
    """Give the pipeline around the steps of one run.

    Args:
        context: Gives settings and journal.
        run_id: Of the run.
        cycle: Its steps.
        on_note: Called with a step's name when it begins, and with `pipeline` when the run has ended.
    """
    settings = context.settings.pipeline
    load = RetryPolicy(settings.load_retries, settings.load_retry_seconds)

    return Pipeline(
        run_id=run_id,
        journal=context.journal,
        retries={
            EXTRACT: load,
            LOAD: load,
            TRANSFORM: RetryPolicy(settings.transform_retries, settings.transform_retry_seconds),
        },
        log=logs.logger("pipeline"),
        on_note=on_note,
        copy_journal=cycle.copy_journal,
        exit_if_signalled=exit_if_signalled,
        up_to_date_build=cycle.up_to_date_build,
    )


def make_purge(context: Context, run_id: str, *, on_step: Callable[[str], None]) -> Purge:
    """Give what purges.

    Args:
        context: Gives settings and stores.
        run_id: Names the build that is published afterwards.
        on_step: Told what is being done.
    """
    gate = make_gate(context)
    dbt = context.dbt_project
    data_dir = context.settings.data.data_dir
    backfills = context.landing.root.glob(f"{LANE_PREFIX}*/*.json")
    return Purge(
        landed=LandedPurge(context.landing, context.dead_letters, context.settings.duckdb.memory_limit),
        warehouse=context.warehouse,
        publisher=context.publisher,
        traces=Traces(
            data_dir,
            made_anew=(
                gate.folder / RESULTS_FOLDER,
                gate.folder / DATA_DOCS_FOLDER,
                dbt.target_dir,
                dbt.log_dir,
                data_dir / REPORT_NAME,
            ),
            rewritten=(
                context.journal.path,
                *(path for path in backfills if has_ended(path.parent)),
            ),
        ),
        build_marts=lambda: _build(context, (), full_refresh=False, on_progress=no_progress),
        run_id=run_id,
        clock=utc_now,
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
        on_step=on_step,
    )


def send_alerts(context: Context) -> None:
    """Tell people if there is something to tell after the newest run."""
    settings = context.settings.pipeline
    if settings.alert_webhook is None and settings.alert_command is None:
        return
    alert = alert_for(context.journal.steps())
    if alert is not None:
        webhook = settings.alert_webhook.get_secret_value() if settings.alert_webhook else None
        Notifier(webhook, settings.alert_command, logs.logger("alerts")).send(alert)


def _read_changes(context: Context) -> int:
    summary = context.worker(CollectorRegistry()).run(until_idle_seconds=_IDLE_SECONDS, is_landing_only=True)
    _leave_after(summary.signal_number)
    return summary.events


def _read_collection(context: Context) -> int:
    settings = context.settings
    job = Backfill(
        mongo=context.mongo,
        landing=context.landing,
        dead_letters=context.dead_letters,
        warehouse=None,
        metrics=BackfillMetrics(CollectorRegistry()),
        log=logs.logger("backfill"),
        threads=settings.backfill.workers or os.cpu_count() or 1,
        range_size_bytes=settings.backfill.range_size_bytes,
        batch_size=settings.stream.batch_size,
        lease_timeout_seconds=settings.duckdb.lease_timeout_seconds,
        redactor=context.redactor,
    )
    summary = job.run(Filters())
    _leave_after(summary.signal_number)
    return summary.documents


def _leave_after(signal_number: int | None) -> None:
    """Go on leaving, if a signal was what ended a step that minds signals itself."""
    if signal_number is not None:
        sys.exit(128 + signal_number)


def _inputs(context: Context) -> str:
    checksum = sha256(context.dbt_project.checksum().encode())
    checksum.update(f"{version('claude-analytics')} {context.settings.great_expectations!r}".encode())
    for path in sorted(gx_project().rglob("*.json")):
        checksum.update(path.read_bytes())
    return checksum.hexdigest()


def _build(
    context: Context,
    select: Sequence[str],
    full_refresh: bool,  # noqa: FBT001 - as `Cycle` calls it
    on_progress: OnProgress,
) -> BuildResult:
    return transform(
        context.dbt_project,
        lease=context.warehouse.lock.held(timeout_seconds=context.settings.duckdb.lease_timeout_seconds),
        models=select,
        full_refresh=full_refresh,
        on_progress=lambda progress: on_progress(progress.done, progress.total),
    )
