"""The command `purge`."""

from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from rich.table import Table

from batch.cli.context import Context
from batch.purge.target import Target
from batch.runs.journal import new_run_id
from stream.clock import utc_now
from stream.errors import AnalyticsError, SettingsError

_IDLE_SECONDS = 2.0


def add_to(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(purge)


def purge(
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="The conversation with this `sessionId`.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="ID", help="All lines with this `projectId`.")
    ] = None,
    source: Annotated[bool, typer.Option("--source", help="Delete it in MongoDB first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a conversation or a project from all that was made of it, and prove that it is gone."""
    from batch.cli.work import make_purge  # noqa: PLC0415 - brings dbt along

    target = _target(session, project)
    context = Context.from_environment(quiet=True)
    console = context.console
    with context.pipeline_lock.taken(timeout_seconds=context.settings.duckdb.lease_timeout_seconds):
        with console.status("beginning …") as status:
            job = make_purge(context, new_run_id(utc_now()), on_step=lambda step: status.update(f"{step} …"))
            with job.alone():
                found = job.count(target)
        in_source = _in_source(context, target)
        told = ", ".join(f"{number:,} in {place}" for place, number in found.items() if number)
        console.print(f"{target.kind} `{target.id}`: {told or 'nothing of it is here'}", markup=False)
        console.print(f"in MongoDB: {'unknown' if in_source is None else f'{in_source:,} documents'}")
        if not yes:
            where = "everywhere, in MongoDB too" if source else "everywhere but in MongoDB"
            typer.confirm(f"Remove it {where}, for ever?", abort=True)
        with console.status("beginning …") as status:
            job = make_purge(context, job.run_id, on_step=lambda step: status.update(f"{step} …"))
            deleted = _delete_in_source(context, target) if source else 0
            done = job.run(target)
        _print(done.removed | ({"MongoDB": deleted} if source else {}), done.left, context)
    if done.mentions:
        console.print(
            f"{done.mentions:,} lines of other conversations hold the id, forks among them: they stay"
        )
    if not source and in_source != 0:
        console.print(
            "[yellow]MongoDB still has it[/]: it comes back when it changes there, or with a backfill; "
            "`--source` deletes it there as well"
        )
    console.print(
        "not touched: the logs of Claude Code (`import` would bring them back), backups, copies elsewhere"
    )
    done.require_complete(target)


def _target(session: str | None, project: str | None) -> Target:
    if session and not project:
        return Target("session", session)
    if project and not session:
        return Target("project", project)
    raise SettingsError(
        "cannot purge: exactly one conversation or one project is to be named",
        hint="use `--session ID` or `--project ID`",
    )


def _in_source(context: Context, target: Target) -> int | None:
    """Count what MongoDB has; None if it does not answer, as it need not for a purge of what is here."""
    from batch.purge.source import count_documents  # noqa: PLC0415 - quick help

    try:
        return count_documents(context.mongo, target)
    except AnalyticsError:
        return None


def _delete_in_source(context: Context, target: Target) -> int:
    """Delete there, and land what the change stream still has of it: that is purged with the rest."""
    from batch.purge.source import delete_documents  # noqa: PLC0415 - quick help

    deleted = delete_documents(context.mongo, target)
    context.worker(CollectorRegistry()).run(until_idle_seconds=_IDLE_SECONDS, is_landing_only=True)
    return deleted


def _print(removed: dict[str, int], left: dict[str, int], context: Context) -> None:
    table = Table("where", "removed", "left", box=None, pad_edge=False)
    for place in dict.fromkeys([*removed, *left]):
        table.add_row(place, f"{removed.get(place, 0):,}", f"{left[place]:,}" if place in left else "")
    context.console.print(table)
