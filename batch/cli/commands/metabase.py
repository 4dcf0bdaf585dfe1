"""Dashboards in Metabase."""

from collections import Counter

import typer
from pydantic import SecretStr

from batch.cli.context import Context
from batch.cli.printing.tables import facts
from batch.dashboards.metabase.access import Account, enter, wait_until_started
from batch.dashboards.metabase.client import MetabaseClient
from batch.dashboards.metabase.sync import MartsSource, Sync, Synced
from batch.dashboards.questions import read_questions
from batch.shipped import questions

command = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")


@command.callback()
def _group() -> None:
    """Keep `sync` a sub-command although it is the only one."""


@command.command()
def sync() -> None:
    """Create or update the dashboards in Metabase; what others made there is left alone.

    A new Metabase gets its administrator (METABASE_USER, METABASE_PASSWORD), and its usage tracking is turned
    off. What you change by hand in a chart stays until its question changes here.
    """
    context = Context.from_environment()
    settings = context.settings.metabase
    source = MartsSource(context.serving.database, settings.memory_limit, settings.temp_directory)
    source.details()
    client = MetabaseClient(settings.url)
    try:
        wait_until_started(client, wait_seconds=settings.wait_seconds)
        if enter(client, Account(settings.user, _told(settings.password), _told(settings.api_key))):
            context.console.print(f"administrator {settings.user} created")
        _print(Sync(client).run(read_questions(questions()), source), context)
    finally:
        client.close()


def _told(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _print(synced: Synced, context: Context) -> None:
    for (kind, verb), number in Counter((change.kind, change.verb) for change in synced.changes).items():
        names = [change.name for change in synced.changes if (change.kind, change.verb) == (kind, verb)]
        told = ", ".join(names) if kind != "card" else f"{number:,}"
        context.console.print(f"{kind}s {verb}: {told}" if number > 1 else f"{kind} {verb}: {names[0]}")
    context.console.print(
        f"{synced.unchanged:,} cards and dashboards unchanged" if synced.changes else "unchanged"
    )
    table = facts("Dashboards")
    for name, address in synced.dashboards:
        table.add_row(name, address)
    context.console.print(table)
