"""Remove a conversation or a project from every file and table, and verify that nothing is left."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from batch.backfill.plan import LANE_PREFIX, has_ended
from batch.cli.context import Context
from batch.cli.cycle import build_marts, make_dbt_project, make_gate, make_publisher
from batch.cli.lake import make_purged_side
from batch.cli.readers import catch_up
from batch.dashboards.report.write import REPORT_NAME
from batch.purge.landed import LandedPurge
from batch.purge.letters import LetterPurge
from batch.purge.objects import ObjectsPurge
from batch.purge.purge import Purge
from batch.purge.side import DuckDBPurgeSide, LandedSide, PurgeSide
from batch.purge.source import count_documents, delete_documents
from batch.purge.target import Target
from batch.purge.traces import StoredTraces, Traces, TraceSide
from batch.runs.journal import new_run_id
from batch.validate.project import DATA_DOCS_FOLDER, RESULTS_FOLDER
from stream.clock import utc_now
from stream.errors import AnalyticsError, SettingsError


def command(
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="`sessionId` of the conversation to purge.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="ID", help="`projectId` of the project to purge.")
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Also delete the documents in MongoDB, first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    target = _target(session, project)
    context = Context.from_environment(quiet=True)
    console = context.console
    with context.pipeline_locked():
        with console.status("beginning …") as status:
            job = make_purge(context, new_run_id(utc_now()), on_step=lambda step: status.update(f"{step} …"))
            with job.landed.alone():
                found = job.count(target)
        in_source, problem = _in_source(context, target)
        told = ", ".join(f"{number:,} in {place}" for place, number in found.items() if number)
        console.print(f"{target.kind} `{target.id}`: {told or 'nothing of it is here'}", markup=False)
        seen = f"unknown: {problem}" if problem else f"{in_source:,} documents"
        console.print(f"in MongoDB: {seen}", markup=False)
        if not yes:
            where = "everywhere, in MongoDB too" if source else "everywhere but in MongoDB"
            typer.confirm(f"Remove it {where}, for ever?", abort=True)
        with console.status("beginning …") as status:
            job = make_purge(context, job.run_id, on_step=lambda step: status.update(f"{step} …"))
            deleted = _delete_in_source(context, target) if source else 0
            done = job.run(target)
        _print(done.removed | ({"MongoDB": deleted} if source else {}), done.left, context)
        console.print(f"in {done.seconds:,.1f} seconds")
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


def make_purge(context: Context, run_id: str, *, on_step: Callable[[str], None]) -> Purge:
    """Return what purges.

    Args:
        context: Gives settings and stores.
        run_id: Names the build that is published afterwards.
        on_step: Told what is being done.
    """
    gate = make_gate(context)
    dbt = make_dbt_project(context)
    data_dir = context.settings.data.data_dir
    landed, plans, stored = _landed(context)
    return Purge(
        landed=landed,
        letters=LetterPurge(context.dead_letters),
        side=_side(context),
        publisher=make_publisher(context),
        traces=[
            Traces(
                data_dir,
                made_anew=(
                    gate.folder / RESULTS_FOLDER,
                    gate.folder / DATA_DOCS_FOLDER,
                    dbt.target_dir,
                    dbt.log_dir,
                    data_dir / REPORT_NAME,
                ),
                rewritten=(context.journal.path, *plans),
            ),
            *stored,
        ],
        build_marts=lambda: build_marts(context),
        run_id=run_id,
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
        on_step=on_step,
    )


def _landed(context: Context) -> tuple[LandedSide, Sequence[Path], Sequence[TraceSide]]:
    """Return the landing zone, and where plans of backfills are: files that may be changed, or a bucket."""
    if context.settings.data.is_remote and context.settings.lake.is_iceberg:
        zone = context.landed_objects
        return ObjectsPurge(zone), (), [StoredTraces(zone.state)]
    ended = [path for path in context.landing.root.glob(f"{LANE_PREFIX}*/*.json") if has_ended(path.parent)]
    return LandedPurge(context.landing, context.settings.duckdb.memory_limit), ended, ()


def _side(context: Context) -> PurgeSide:
    if context.settings.lake.is_iceberg:
        return make_purged_side(context)
    return DuckDBPurgeSide(context.warehouse, utc_now, context.settings.duckdb.lease_timeout_seconds)


def _target(session: str | None, project: str | None) -> Target:
    if session and not project:
        return Target("session", session)
    if project and not session:
        return Target("project", project)
    raise SettingsError(
        "cannot purge: exactly one conversation or one project is to be named",
        hint="use `--session ID` or `--project ID`",
    )


def _in_source(context: Context, target: Target) -> tuple[int | None, str]:
    """Count what MongoDB has, or say why that is unknown, as it may be for a purge of what is here."""
    try:
        return count_documents(context.mongo, target), ""
    except AnalyticsError as error:
        return None, f"{error.message}; {error.hint}"


def _delete_in_source(context: Context, target: Target) -> int:
    """Delete there, and land what the change stream still has of it: that is purged with the rest."""
    deleted = delete_documents(context.mongo, target)
    catch_up(context)
    return deleted


def _print(removed: dict[str, int], left: dict[str, int], context: Context) -> None:
    table = Table("where", "removed", "left", box=None, pad_edge=False)
    for place in dict.fromkeys([*removed, *left]):
        table.add_row(place, f"{removed.get(place, 0):,}", f"{left[place]:,}" if place in left else "")
    context.console.print(table)
