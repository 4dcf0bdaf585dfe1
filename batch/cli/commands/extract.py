"""Land the changes since the last run, without loading them.

A running stream worker does this continuously; then there is nothing left to do.
"""

from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from batch.backfill.filters import Filters
from batch.cli.context import Context
from batch.cli.options import Workers
from batch.cli.readers import catch_up, make_backfill, run_backfill
from stream.errors import AlreadyRunningError
from stream.landing.partitions import StreamLanes


def command(
    full_backfill: Annotated[
        bool,
        typer.Option(
            "--full-backfill", help="Land the whole collection, as `backfill` does, without loading it."
        ),
    ] = False,
    workers: Workers = None,
) -> None:
    context = Context.from_environment(quiet=full_backfill)
    if full_backfill:
        registry = CollectorRegistry()
        job = make_backfill(context, registry, threads=workers, is_landing_only=True)
        run_backfill(context, job, registry, Filters(), restart=False)
        return
    try:
        if StreamLanes(context.landing).is_being_written:
            _say_that_a_worker_runs(context)
            return
        summary = catch_up(context)
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
