"""Show stream, warehouse, last runs and published build; exit code 1 if something is stale or failed."""

import json
from functools import partial

import typer

from batch.cli.context import Context
from batch.cli.lake import make_loader
from batch.cli.options import AsJson
from batch.cli.printing.status import print_status
from batch.status.cycle import look_at_cycle
from batch.status.lake import LakeGlance
from batch.status.source import headroom_seconds
from batch.status.status import look as look_at
from batch.status.warehouse import DuckDBGlance, Glance
from stream.clock import utc_now


def command(
    as_json: AsJson = False,
) -> None:
    context = Context.from_environment()
    cycle = look_at_cycle(
        context.journal,
        pipeline_lock=context.pipeline_lock,
        scheduling=context.scheduling,
        serving=context.serving,
        timetable=context.timetable,
        now=utc_now(),
    )
    found = look_at(
        context.landed,
        context.dead_letters,
        _glance(context),
        cycle=cycle,
        headroom_seconds=partial(headroom_seconds, context.mongo),
        clock=utc_now,
    )
    if as_json:
        context.console.print_json(json.dumps(found.to_json(), default=str))
    else:
        print_status(found, context.console)
    if found.problems:
        raise typer.Exit(1)


def _glance(context: Context) -> Glance:
    if context.settings.lake.is_iceberg:
        return LakeGlance(make_loader(context))
    return DuckDBGlance(context.warehouse)
