"""What reads MongoDB: stream worker and backfill, made from a context."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import typer
from prometheus_client import CollectorRegistry

from batch.backfill.backfill import Backfill
from batch.backfill.everything import CollectionReader
from batch.backfill.filters import Filters
from batch.backfill.progress import BackfillMetrics
from batch.cli.context import Context
from batch.cli.printing.backfill import print_backfill
from batch.cli.printing.progress import backfilling
from stream import logs, metrics
from stream.errors import SettingsError
from stream.settings import StreamSettings

if TYPE_CHECKING:
    from stream.worker import Worker, WorkerSummary

_IDLE_SECONDS = 0.0
"""The first empty reply from behind the point where the server was at the start shows that all is read."""


def make_worker(
    context: Context,
    registry: CollectorRegistry,
    settings: StreamSettings | None = None,
    *,
    partition: int = 0,
) -> "Worker":
    """Return a stream worker; `settings` take the place of those in force."""
    from stream.worker import Worker  # noqa: PLC0415 - brings Bytewax along, which a backfill has no use for

    data, chosen = context.settings.data, settings or context.settings.stream
    return Worker(
        mongo=context.mongo,
        data=data,
        settings=chosen.for_objects() if data.is_remote else chosen,
        duckdb=context.settings.duckdb,
        warehouse=None if data.is_remote else context.warehouse_beside_reading(chosen.memory_limit),
        registry=registry,
        log=logs.logger("stream"),
        read_collection=_collection_reader(context),
        redactor=context.redactor,
        partition=partition,
    )


def _collection_reader(context: Context) -> CollectionReader:
    return CollectionReader(
        lambda is_landing_only: make_backfill(context, CollectorRegistry(), is_landing_only=is_landing_only),
        landing=context.landed,
        log=logs.logger("backfill"),
    )


def catch_up(context: Context) -> "WorkerSummary":
    """Land what has changed since the last time, until nothing comes any more; load nothing.

    One partition after the other. The summary is of all, at the position of the last.

    Raises:
        AnalyticsError: Why it failed.
    """
    total = _catch_up(context, 0)
    for partition in range(1, context.settings.stream.partitions):
        if total.signal_number is not None:
            break
        summary = _catch_up(context, partition)
        total = replace(
            summary, events=total.events + summary.events, seconds=total.seconds + summary.seconds
        )
    return total


def _catch_up(context: Context, partition: int) -> "WorkerSummary":
    worker = make_worker(context, CollectorRegistry(), partition=partition)
    return worker.run(until_idle_seconds=_IDLE_SECONDS, is_landing_only=True)


def make_backfill(
    context: Context,
    registry: CollectorRegistry,
    *,
    threads: int | None = None,
    is_landing_only: bool = False,
) -> Backfill:
    """Return a backfill; `threads` takes the place of the setting. Into Iceberg tables only `load` loads."""
    settings, is_remote = context.settings.backfill, context.settings.data.is_remote
    is_landing_only = is_landing_only or context.settings.lake.is_iceberg
    return Backfill(
        mongo=context.mongo,
        landing=context.landed_objects if is_remote else context.landing,
        dead_letters=context.dead_letters,
        claim_seconds=settings.claim_seconds,
        warehouse=None
        if is_landing_only or is_remote
        else context.warehouse_beside_reading(settings.memory_limit),
        metrics=BackfillMetrics(registry),
        log=logs.logger("backfill"),
        threads=threads or settings.workers or os.cpu_count() or 1,
        range_size_bytes=settings.range_size_bytes,
        batch_size=context.settings.stream.batch_size,
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
        final_threads=context.settings.duckdb.threads or os.cpu_count(),
        redactor=context.redactor,
    )


def run_backfill(
    context: Context, job: Backfill, registry: CollectorRegistry, filters: Filters, *, restart: bool
) -> None:
    """Run a backfill with a progress bar and metrics, and print what it did.

    Raises:
        AnalyticsError: Why it failed.
        Exit: A signal ended it.
    """
    with _served(context, registry), backfilling("Backfill", context.console) as show:
        summary = job.run(filters, restart=restart, on_progress=show)
    print_backfill(summary, context.console)
    if summary.signal_number:
        raise typer.Exit(128 + summary.signal_number)


@contextmanager
def _served(context: Context, registry: CollectorRegistry) -> Iterator[None]:
    """Serve metrics; if the port is taken, a backfill goes without."""
    endpoint, port = context.settings.metrics, context.settings.backfill.metrics_port
    try:
        server = metrics.serve(registry, host=endpoint.host, port=port, token=endpoint.token)
    except SettingsError as error:
        logs.logger("backfill").warning("no_metrics", problem=error.message, hint="set BACKFILL_METRICS_PORT")
        server = None
    try:
        yield
    finally:
        if server:
            server.shutdown()
