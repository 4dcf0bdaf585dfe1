"""The steps of the pipeline, and what runs them, made from a context."""

import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from hashlib import sha256
from importlib.metadata import version

from prometheus_client import CollectorRegistry

from batch.backfill.filters import Filters
from batch.cli.context import Context
from batch.cli.lake import make_lake_publisher, make_lake_side, make_loader
from batch.cli.readers import catch_up, make_backfill
from batch.cli.signals import exit_if_signalled
from batch.lake.build import build
from batch.maintenance.compaction import Compaction
from batch.maintenance.maintain import Maintenance
from batch.maintenance.retention import Retention
from batch.pipeline.runner import Pipeline, RetryPolicy
from batch.pipeline.side import CycleSide, DuckDBCycleSide, OnProgress, no_progress
from batch.pipeline.steps import Cycle
from batch.publish.publish import Publisher
from batch.runs.journal import EXTRACT, LOAD, TRANSFORM
from batch.shipped import price_list
from batch.transform.dbt_project import DbtProject
from batch.transform.prices import Terms, read_terms
from batch.transform.transform import BuildResult, transform
from batch.validate.checkpoint import Gate
from batch.validate.suites import SUITES
from stream import logs
from stream.clock import utc_now
from stream.landing.partitions import StreamLanes


def make_dbt_project(context: Context) -> DbtProject:
    """Return the dbt project on this warehouse."""
    prices_file = context.settings.dbt.model_prices_file
    return DbtProject(
        warehouse=context.settings.warehouse_path,
        data_dir=context.settings.data.data_dir,
        target=context.settings.dbt.target,
        threads=context.settings.duckdb.threads,
        memory_limit=context.settings.duckdb.memory_limit,
        reporting_timezone=context.settings.pipeline.reporting_timezone,
        project_aliases=context.settings.pipeline.project_aliases,
        usage_week_start_hour=context.settings.pipeline.usage_week_start_hour,
        terms=read_terms(prices_file, price_list()) if prices_file else Terms(),
    )


def make_publisher(context: Context) -> Publisher:
    """Return what publishes the marts."""
    if context.settings.lake.is_iceberg:
        return make_lake_publisher(context, dbt_target_dir=make_dbt_project(context).target_dir)
    return Publisher(
        warehouse=context.warehouse,
        serving=context.serving,
        landing=context.landing,
        dbt_target_dir=make_dbt_project(context).target_dir,
        timezone=context.settings.pipeline.reporting_timezone,
        keep=context.settings.pipeline.keep_builds,
        clock=utc_now,
    )


def make_maintenance(context: Context) -> Maintenance:
    """Return what merges and removes files."""
    settings = context.settings.maintenance
    compaction = Compaction(
        landing=context.landing,
        dead_letters=context.dead_letters,
        clock=utc_now,
        memory_limit=context.settings.duckdb.memory_limit,
        grace=timedelta(seconds=settings.grace_seconds),
    )
    days = settings.retention_days
    return Maintenance(
        compaction=compaction,
        retention=Retention(context.landing, context.dead_letters, utc_now, days) if days else None,
        warehouse=context.warehouse,
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
    )


def make_gate(context: Context) -> Gate:
    """Return Great Expectations on the warehouse."""
    settings = context.settings
    return Gate(
        folder=settings.data.data_dir / "gx",
        warehouse=settings.warehouse_path,
        threads=settings.duckdb.threads,
        memory_limit=settings.duckdb.memory_limit,
    )


def make_side(context: Context) -> CycleSide:
    """Return the warehouse that is set, as the steps see it."""
    if context.settings.lake.is_iceberg:
        return make_lake_side(context)
    return DuckDBCycleSide(
        warehouse=context.warehouse,
        gate=make_gate(context),
        maintenance=make_maintenance(context),
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
    )


def make_cycle(context: Context, run_id: str, *, on_progress: OnProgress = no_progress) -> Cycle:
    """Return the steps of one run."""
    return Cycle(
        run_id=run_id,
        # In a bucket nobody sees who writes, and of two writers one would end.
        lands_by_itself=lambda: (
            context.settings.data.is_remote or StreamLanes(context.landing).is_being_written
        ),
        side=make_side(context),
        journal=context.journal,
        publisher=make_publisher(context),
        read_changes=lambda: _read_changes(context),
        read_collection=lambda: _read_collection(context),
        build=lambda select, full_refresh, checks_views: build_marts(
            context,
            select,
            full_refresh=full_refresh,
            checks_views=checks_views,
            on_progress=on_progress,
        ),
        inputs=lambda: _inputs(context),
        clock=utc_now,
        volume_ratio=context.settings.great_expectations.volume_ratio,
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
        on_progress=on_progress,
    )


def make_pipeline(
    context: Context, run_id: str, cycle: Cycle, *, on_note: Callable[[str], None] = lambda _step: None
) -> Pipeline:
    """Return the pipeline around the steps of one run.

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


def build_marts(
    context: Context,
    select: Sequence[str] = (),
    *,
    full_refresh: bool = False,
    checks_views: bool = True,
    on_progress: OnProgress = no_progress,
) -> BuildResult:
    """Build the marts with dbt, holding the warehouse meanwhile; in Spark every check is asked each time.

    Raises:
        AnalyticsError: Why it failed.
    """
    if context.settings.lake.is_iceberg:
        spark = make_loader(context).spark
        with spark.ended_by_signals():
            return build(
                spark,
                make_dbt_project(context),
                models=select,
                full_refresh=full_refresh,
                on_progress=lambda progress: on_progress(progress.done, progress.total),
            )
    return transform(
        make_dbt_project(context),
        lease=context.warehouse.lock.held(timeout_seconds=context.settings.duckdb.lease_timeout_seconds),
        models=select,
        full_refresh=full_refresh,
        checks_views=checks_views,
        on_progress=lambda progress: on_progress(progress.done, progress.total),
    )


def _inputs(context: Context) -> str:
    """Return a checksum of what marts and checks depend on beside `raw`."""
    checksum = sha256(make_dbt_project(context).checksum().encode())
    checksum.update(f"{version('claude-analytics')} {context.settings.great_expectations!r}".encode())
    checksum.update(repr(SUITES).encode())
    return checksum.hexdigest()


def _read_changes(context: Context) -> int:
    summary = catch_up(context)
    _leave_after(summary.signal_number)
    return summary.events


def _read_collection(context: Context) -> int:
    summary = make_backfill(context, CollectorRegistry(), is_landing_only=True).run(Filters())
    _leave_after(summary.signal_number)
    return summary.documents


def _leave_after(signal_number: int | None) -> None:
    """Go on leaving, if a signal was what ended a step that minds signals itself."""
    if signal_number is not None:
        sys.exit(128 + signal_number)
