"""Publish the marts to `serving/`; readers are never blocked, and never see half a build."""

from typing import Annotated

import typer

from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_pipeline, make_publisher
from batch.cli.printing.runs import print_published
from batch.pipeline.steps import may_publish
from batch.runs.journal import PUBLISH, new_run_id
from stream.clock import utc_now
from stream.errors import ChecksFailedError


def command(
    build: Annotated[
        str | None, typer.Option(metavar="ID", help="Publish this earlier build again instead of a new one.")
    ] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Publish although the last build has not passed validation.")
    ] = False,
) -> None:
    context = Context.from_environment(quiet=True)
    with context.pipeline_locked():
        if build is not None:
            print_published(
                make_publisher(context).roll_back(build), str(context.serving.database), context.console
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
