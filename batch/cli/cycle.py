"""Commands of the cycle: `validate`, `publish`, `pipeline`, `schedule` and `deploy`."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from batch.cli.context import Context
from batch.runs.journal import new_run_id
from stream.clock import utc_now
from stream.errors import ChecksFailedError

_TRIGGERS = ("manual", "schedule", "daily")


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(validate)
    app.command()(publish)
    app.command()(pipeline)
    app.command()(schedule)
    app.command()(deploy)


def validate(
    bronze: Annotated[bool, typer.Option("--bronze", help="Check `raw` only.")] = False,
    silver: Annotated[bool, typer.Option("--silver", help="Check `staging` only.")] = False,
    gold: Annotated[bool, typer.Option("--gold", help="Check the marts only.")] = False,
    build_docs: Annotated[bool, typer.Option("--build-docs", help="Write the Data Docs, too.")] = False,
) -> None:
    """Check raw, staging and marts with Great Expectations; all of them unless some are named."""
    from batch.cli.printing.runs import print_validation  # noqa: PLC0415 - quick help
    from batch.cli.work import make_cycle, make_pipeline  # noqa: PLC0415
    from batch.pipeline.runner import VALIDATE, StepResult  # noqa: PLC0415
    from batch.pipeline.steps import judged  # noqa: PLC0415
    from batch.validate.validate import LAYERS  # noqa: PLC0415

    context = Context.from_environment(quiet=True)
    chosen = [layer for layer, is_wanted in zip(LAYERS, (bronze, silver, gold), strict=True) if is_wanted]
    with _locked(context):
        run_id = new_run_id(utc_now())
        cycle = make_cycle(context, run_id)

        def check() -> StepResult:
            with context.console.status("checking …"):
                found = cycle.look(chosen or LAYERS, build_docs=build_docs)
            print_validation(found, context.console)
            return judged(found)

        make_pipeline(context, run_id, cycle).run_alone(VALIDATE, check)


def publish(
    build: Annotated[
        str | None, typer.Option(metavar="ID", help="Go back to this earlier build instead.")
    ] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Publish what has not been validated.")
    ] = False,
) -> None:
    """Let dashboards see the marts as they are now; readers are never blocked, and never see half a build."""
    from batch.cli.printing.runs import print_published  # noqa: PLC0415 - quick help
    from batch.cli.work import make_cycle, make_pipeline  # noqa: PLC0415
    from batch.pipeline.runner import PUBLISH  # noqa: PLC0415
    from batch.pipeline.steps import may_publish  # noqa: PLC0415

    context = Context.from_environment(quiet=True)
    with _locked(context):
        if build is not None:
            print_published(
                context.publisher.roll_back(build), str(context.serving.database), context.console
            )
            return
        problem = None if unchecked else may_publish(context.journal.steps())
        if problem is not None:
            raise ChecksFailedError(
                f"the marts are not published: {problem}",
                hint="run `claude-analytics validate` first; `--unchecked` publishes all the same",
            )
        run_id = new_run_id(utc_now())
        cycle = make_cycle(context, run_id)
        make_pipeline(context, run_id, cycle).run_alone(PUBLISH, cycle.publish)
        console = context.console
        manifest = context.serving.manifest(run_id)
    console.print(f"build {run_id} is published: {manifest.rows:,} rows in {len(manifest.tables):,} tables")
    console.print(f"open {context.serving.database}", soft_wrap=True)


def pipeline(  # noqa: PLR0917 - options, all of them by name
    skip_extract: Annotated[bool, typer.Option("--skip-extract", help="Land nothing.")] = False,
    skip_load: Annotated[bool, typer.Option("--skip-load", help="Load nothing.")] = False,
    skip_transform: Annotated[bool, typer.Option("--skip-transform", help="Build nothing.")] = False,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Build every row anew.")] = False,
    full_backfill: Annotated[
        bool, typer.Option("--full-backfill", help="Read the whole collection, not only what changed.")
    ] = False,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="SELECTOR", help="Build only these models, as dbt selects them."),
    ] = None,
    prefect: Annotated[bool, typer.Option("--prefect", help="Run it as a flow of Prefect.")] = False,
    trigger: Annotated[str, typer.Option(hidden=True)] = "manual",
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
    resident: Annotated[int | None, typer.Option("--resident", hidden=True)] = None,
) -> None:
    """Run the whole cycle once: extract, load, transform, validate, publish, maintain."""
    from batch.cli.printing.runs import print_run  # noqa: PLC0415 - quick help
    from batch.cli.work import make_cycle, make_pipeline, send_alerts  # noqa: PLC0415
    from batch.pipeline.runner import EXTRACT, LOAD, TRANSFORM, Options  # noqa: PLC0415

    if resident is not None:
        from batch.cli.resident import serve_runs  # noqa: PLC0415

        serve_runs(resident)
        return
    if prefect:
        from batch.cli.prefect import run_flow  # noqa: PLC0415

        run_flow(
            skip_extract=skip_extract,
            skip_load=skip_load,
            skip_transform=skip_transform,
            full_refresh=full_refresh,
            full_backfill=full_backfill,
            select=select or [],
        )
        return
    if supervised:
        _end_with_parent()
    context = Context.from_environment()
    skipped = {EXTRACT: skip_extract, LOAD: skip_load, TRANSFORM: skip_transform}
    options = Options(
        skipped=frozenset(step for step, is_skipped in skipped.items() if is_skipped),
        full_refresh=full_refresh,
        full_backfill=full_backfill,
        select=tuple(select or ()),
        trigger=trigger if trigger in _TRIGGERS else "manual",
    )
    with _locked(context):
        run_id = new_run_id(utc_now())
        cycle = make_cycle(context, run_id)
        with context.console.status("beginning …") as status:
            whole = make_pipeline(context, run_id, cycle, on_note=lambda step: status.update(f"{step} …"))
            summary = whole.run(options, cycle.works(options))
        send_alerts(context)
    if not supervised:
        print_run(summary, context.console)
        if summary.error is None:
            context.console.print(summary.line, soft_wrap=True, markup=False)
    if summary.error is not None:
        raise summary.error


def schedule(
    run_now: Annotated[bool, typer.Option("--run-now", help="Begin with a run, whatever the time.")] = False,
) -> None:
    """Run the pipeline every hour (or SCHEDULE_EVERY), and every night with a full refresh, for ever."""
    from batch.cli.scheduling import run_schedule  # noqa: PLC0415 - quick help

    context = Context.from_environment()
    signal_number = run_schedule(context, run_now=run_now)
    if signal_number is not None:
        raise typer.Exit(128 + signal_number)


def deploy() -> None:
    """Make the deployments of `prefect.yaml`, and the work pool that runs them, on a Prefect server."""
    from batch.cli.prefect import deploy_all  # noqa: PLC0415 - quick help

    deploy_all()


@contextmanager
def _locked(context: Context) -> Iterator[None]:
    with context.pipeline_lock.taken(timeout_seconds=context.settings.duckdb.lease_timeout_seconds):
        yield


def _end_with_parent() -> None:
    """Leave as after SIGTERM when standard input closes: the scheduler that held its other end is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="watch-parent", daemon=True).start()
