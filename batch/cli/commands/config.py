"""Show the settings in force, with origin and meaning; secrets are masked."""

from rich.table import Table

from batch.cli.context import Context


def command() -> None:
    context = Context.from_environment()
    table = Table(box=None)
    for heading in ("setting", "value", "from", "what it is"):
        table.add_column(heading, overflow="fold")
    for setting in context.settings.describe():
        table.add_row(setting.name, setting.value, setting.origin, setting.description)
    context.console.print(table)
