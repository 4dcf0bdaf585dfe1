"""Show stream, warehouse, last runs and published build; exit code 1 if something is stale or failed."""

import json

import typer
from pymongo.errors import PyMongoError

from batch.cli.context import Context
from batch.cli.options import AsJson
from batch.cli.printing.status import print_status
from batch.status.cycle import look_at_cycle
from batch.status.status import look as look_at
from stream.clock import utc_now
from stream.core.position import Position
from stream.errors import AnalyticsError
from stream.source.client import connect, read_oplog

_PATIENCE_SECONDS = 1.0


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
        context.landing,
        context.dead_letters,
        context.warehouse,
        cycle=cycle,
        headroom_seconds=lambda position: _headroom_seconds(context, position),
        clock=utc_now,
    )
    if as_json:
        context.console.print_json(json.dumps(found.to_json(), default=str))
    else:
        print_status(found, context.console)
    if found.problems:
        raise typer.Exit(1)


def _headroom_seconds(context: Context, position: Position) -> float | None:
    """Ask MongoDB how long the position stays readable; None if it does not answer at once, or may not."""
    hurried = context.mongo.model_copy(update={"connect_timeout_seconds": _PATIENCE_SECONDS})
    try:
        with connect(hurried) as client:
            oplog = read_oplog(client)
    except (PyMongoError, AnalyticsError):
        return None
    return oplog.headroom_seconds(position.cluster_time >> 32) if oplog else None
