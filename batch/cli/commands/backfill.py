"""Load every document that is in the collection, fast; killed or stopped, the next run resumes it.

Safe at any time, any number of times, also while the stream runs: newer versions always win.
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
        typer.Option(parser=instant, metavar="DATE", help="Only documents before this day or time (UTC)."),
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
    context = Context.from_environment(quiet=True)
    filters = Filters(since=since, until=until, project=project)
    registry = CollectorRegistry()
    job = make_backfill(context, registry, threads=workers)
    if dry_run:
        print_plan(*job.survey(filters), context.mongo.namespace, context.console)
        return
    run_backfill(context, job, registry, filters, restart=restart)
