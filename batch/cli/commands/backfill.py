"""Load all existing documents of the collection; an interrupted run is resumed.

Safe at any time, repeatedly, and while the stream runs: newer versions always win.
"""

from datetime import datetime
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from batch.backfill.filters import Filters
from batch.cli.context import Context
from batch.cli.options import Since, Workers, instant
from batch.cli.printing.backfill import print_plan
from batch.cli.readers import make_backfill, run_backfill


def command(  # noqa: PLR0917 - options, all of them by name
    workers: Workers = None,
    since: Since = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="DATE",
            help="Only documents before this date or time (ISO 8601; UTC unless it has an offset).",
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="ID", help="Only documents with this `projectId`.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan; read and change nothing.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard an unfinished backfill and start a new one.")
    ] = False,
) -> None:
    context = Context.from_environment(quiet=True)
    filters = Filters(since=since, until=until, project=project)
    registry = CollectorRegistry()
    job = make_backfill(context, registry, threads=workers)
    if dry_run:
        print_plan(*job.survey(filters), context.mongo.namespace, context.console)
        return
    run_backfill(context, job, registry, filters, restart=restart)
