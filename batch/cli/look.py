"""Commands that only look: `status` and `config`."""

import json
from typing import Annotated

import typer
from rich.table import Table

from batch.cli.context import Context
from batch.cli.tables import print_status
from batch.status import look as look_at
from stream.clock import utc_now


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(status)
    app.command()(config)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show lag, pending files, dead letters and what the warehouse holds."""
    context = Context.from_environment()
    found = look_at(context.landing, context.dead_letters, context.warehouse, clock=utc_now)
    if as_json:
        context.console.print_json(json.dumps(found.to_json(), default=str))
    else:
        print_status(found, context.console)
    if found.problems:
        raise typer.Exit(1)


def config() -> None:
    """Show the settings in force, where each comes from, and what it is for; secrets are masked."""
    context = Context.from_environment()
    table = Table(box=None)
    for heading in ("setting", "value", "from", "what it is"):
        table.add_column(heading, overflow="fold")
    for setting in context.settings.describe():
        table.add_row(setting.name, setting.value, setting.origin, setting.description)
    context.console.print(table)
