"""Commands that read the collection into the landing zone: `backfill` and `extract`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from batch.backfill.backfill import Backfill, BackfillSummary
from batch.backfill.filters import Filters
from batch.backfill.plan import Plan
from batch.cli.context import Context
from batch.cli.printing.progress import backfilling
from batch.cli.printing.tables import duration_text, facts, size_text
from stream import logs, metrics
from stream.errors import AlreadyRunningError, SettingsError
from stream.landing.zone import STREAM_LANE

_IDLE_SECONDS = 2.0


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(backfill)
    app.command()(extract)


def _instant(text: str) -> datetime:
    """Read a date or time; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write a date or time as in ISO 8601, e.g. 2026-01-31") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="Ranges read at the same time; default: cores."),
]


def backfill(  # noqa: PLR0917 - options, all of them by name
    workers: Workers = None,
    since: Annotated[
        datetime | None,
        typer.Option(parser=_instant, metavar="DATE", help="Only documents of this day or time (UTC) on."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(parser=_instant, metavar="DATE", help="Only documents before this day or time (UTC)."),
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="ID", help="Only documents with this `projectId`.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be read, and change nothing.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget an unfinished backfill, and begin anew.")
    ] = False,
) -> None:
    """Load every document that is in the collection, fast; killed or stopped, the next run resumes it.

    Safe at any time, any number of times, also while the stream runs: newer versions always win.
    """
    context = Context.from_environment(quiet=True)
    filters = Filters(since=since, until=until, project=project)
    registry = CollectorRegistry()
    job = context.backfill(registry, threads=workers)
    if dry_run:
        _print_plan(*job.survey(filters), context)
        return
    _run(context, job, registry, filters, restart=restart)


def extract(
    full_backfill: Annotated[
        bool,
        typer.Option("--full-backfill", help="Read all documents that are there, as `backfill`; no loading."),
    ] = False,
    workers: Workers = None,
) -> None:
    """Land what has changed since the last time, without loading it: the first half of a pipeline run.

    A stream worker that runs does this all the time; then there is nothing left to do.
    """
    context = Context.from_environment(quiet=full_backfill)
    if full_backfill:
        registry = CollectorRegistry()
        job = context.backfill(registry, threads=workers, is_landing_only=True)
        _run(context, job, registry, Filters(), restart=False)
        return
    try:
        if context.landing.lane(STREAM_LANE).is_being_written:
            _say_that_a_worker_runs(context)
            return
        summary = context.worker(CollectorRegistry()).run(
            until_idle_seconds=_IDLE_SECONDS, is_landing_only=True
        )
    except AlreadyRunningError:
        _say_that_a_worker_runs(context)
        return
    context.console.print(
        f"{summary.events:,} change events landed in {summary.seconds:.1f} s; "
        f"position {summary.position.instant:%Y-%m-%d %H:%M:%S} UTC"
    )
    if summary.signal_number:
        raise typer.Exit(128 + summary.signal_number)


def _say_that_a_worker_runs(context: Context) -> None:
    context.console.print("a stream worker is running and lands every change by itself: nothing to do")


def _run(
    context: Context, job: Backfill, registry: CollectorRegistry, filters: Filters, *, restart: bool
) -> None:
    with _served(context, registry), backfilling("Backfill", context.console) as show:
        summary = job.run(filters, restart=restart, on_progress=show)
    _print_summary(summary, context)
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


def _print_plan(plan: Plan, landed: int, context: Context) -> None:
    table = facts(f"Backfill of {context.mongo.namespace}")
    table.add_row("documents", f"about {plan.documents:,}")
    table.add_row("size", f"about {size_text(plan.size_bytes)} of BSON")
    table.add_row("ranges", f"{len(plan.ranges):,} of `_id`")
    if landed:
        table.add_row("landed already", f"{landed:,} ranges: an earlier run would be resumed")
    context.console.print(table)


def _print_summary(summary: BackfillSummary, context: Context) -> None:
    seconds = max(summary.seconds, 0.001)
    title = "Backfill finished" if summary.is_finished else "Backfill interrupted"
    table = facts(title)
    table.add_row("documents", f"{summary.documents:,} ({size_text(summary.size_bytes)} of BSON)")
    rate = size_text(summary.size_bytes / seconds)
    table.add_row("speed", f"{summary.documents / seconds:,.0f} documents/s, {rate}/s")
    table.add_row("time", duration_text(summary.seconds))
    skipped = f", {summary.ranges_skipped:,} of them before" if summary.ranges_skipped else ""
    table.add_row("ranges", f"{summary.ranges_landed:,} of {summary.ranges:,} landed{skipped}")
    table.add_row("loaded", f"{summary.loaded.rows_upserted:,} rows inserted or replaced")
    table.add_row("dead letters", f"{summary.dead_letters:,}")
    context.console.print(table)
    if not summary.is_finished:
        context.console.print("Nothing is lost: run the same command again to go on from here.")
