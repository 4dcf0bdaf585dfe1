"""The `claude-analytics` program: all commands, and how each ends."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer
from rich.console import Console

from batch.cli.ending import ending_beside_threads
from batch.cli.lazy import group_of
from batch.cli.signals import exit_if_signalled, exiting_at_signals
from stream.disk import keep_to_owner
from stream.errors import AnalyticsError

app = typer.Typer(
    name="claude-analytics",
    help="Conversation logs of Claude Code, from MongoDB to a tested star schema in DuckDB, exactly once.",
    epilog="Settings come from the environment or `.env`; `claude-analytics config` shows them.",
    cls=group_of(
        "demo",
        "mongo",
        "import_",
        "stream",
        "load",
        "transform",
        "docs",
        "backfill",
        "extract",
        "validate",
        "publish",
        "pipeline",
        "schedule",
        "deploy",
        "verify",
        "doctor",
        "dead_letters",
        "purge",
        "report",
        "metabase",
        "status",
        "config",
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _print_version(value: bool) -> None:  # noqa: FBT001 - the shape Typer asks for
    if value:
        typer.echo(f"claude-analytics {version('claude-analytics')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 may help to try again, 2 a person must act, 130/143 stopped."""
    keep_to_owner()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # where only ASCII is wanted, an arrow is no reason to fail
    # Whoever calls it with arguments has a process of their own to end.
    with ending_beside_threads() if arguments is None else nullcontext(), exiting_at_signals():
        try:
            app(args=None if arguments is None else list(arguments))
        except SystemExit:
            exit_if_signalled()  # it may have come behind the last query
            raise
        except Exception as error:
            exit_if_signalled()
            if not isinstance(error, AnalyticsError):
                raise
            explain(error, Console(stderr=True, highlight=False))
            sys.exit(error.exit_code)


def explain(error: AnalyticsError, console: Console) -> None:
    """Print what failed and what to do, on one screen."""
    console.print(f"[bold red]error:[/] {_plain(error.message)}", soft_wrap=True)
    console.print(f"[bold]  what to do:[/] {_plain(error.hint)}", soft_wrap=True)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
