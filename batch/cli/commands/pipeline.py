"""Run the whole cycle once: extract, load, transform, validate, publish, maintain."""

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from batch.cli.alerts import send_alerts
from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_pipeline
from batch.cli.options import FullRefresh
from batch.cli.prefect import run_flow
from batch.cli.printing.runs import print_run
from batch.cli.resident import serve_runs
from batch.pipeline.runner import Options
from batch.pipeline.timetable import DAILY, HOURLY
from batch.runs.journal import new_run_id
from stream.clock import utc_now

_TRIGGERS = ("manual", HOURLY, DAILY)


def command(  # noqa: PLR0917 - options, all of them by name
    skip_extract: Annotated[
        bool, typer.Option("--skip-extract", help="Skip extract: do not read MongoDB.")
    ] = False,
    skip_load: Annotated[
        bool, typer.Option("--skip-load", help="Skip load: leave landed files unloaded.")
    ] = False,
    skip_transform: Annotated[
        bool, typer.Option("--skip-transform", help="Skip transform: keep the marts as they are.")
    ] = False,
    full_refresh: FullRefresh = False,
    full_backfill: Annotated[
        bool,
        typer.Option(
            "--full-backfill", help="Read the whole collection, not only changes since the last run."
        ),
    ] = False,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="SELECTOR", help="Build only these models (dbt selection syntax)."),
    ] = None,
    prefect: Annotated[
        bool, typer.Option("--prefect", help="Run as a Prefect flow; needs `claude-analytics[prefect]`.")
    ] = False,
    trigger: Annotated[str, typer.Option(hidden=True)] = "manual",
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
    resident: Annotated[int | None, typer.Option("--resident", hidden=True)] = None,
) -> None:
    if resident is not None:
        serve_runs(resident)
        return
    if prefect:
        run_flow(
            skip_extract=skip_extract,
            skip_load=skip_load,
            skip_transform=skip_transform,
            full_refresh=full_refresh,
            full_backfill=full_backfill,
            select=select or [],
        )
        return
    if supervised:
        _end_with_parent()
    context = Context.from_environment()
    options = Options.skipping(
        extract=skip_extract,
        load=skip_load,
        transform=skip_transform,
        select=select,
        full_refresh=full_refresh,
        full_backfill=full_backfill,
        trigger=trigger if trigger in _TRIGGERS else "manual",
    )
    with context.pipeline_locked():
        run_id = new_run_id(utc_now())
        cycle = make_cycle(context, run_id)
        with context.console.status("beginning …") as status:
            whole = make_pipeline(context, run_id, cycle, on_note=lambda step: status.update(f"{step} …"))
            summary = whole.run(options, cycle.works(options))
        send_alerts(context)
    if not supervised:
        print_run(summary, context.console)
        if summary.error is None:
            context.console.print(summary.line, soft_wrap=True, markup=False)
    if summary.error is not None:
        raise summary.error


def _end_with_parent() -> None:
    """Leave as after SIGTERM when standard input closes: the scheduler that held its other end is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="watch-parent", daemon=True).start()
