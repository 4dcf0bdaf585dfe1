"""Build the star schema with dbt: only conversations that changed since the last build."""

from typing import Annotated

import typer

from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_pipeline
from batch.cli.options import FullRefresh
from batch.cli.printing.progress import counting
from batch.runs.journal import TRANSFORM, new_run_id
from stream.clock import utc_now


def command(
    models: Annotated[
        list[str] | None,
        typer.Option("--models", metavar="SELECTOR", help="Build only these models (dbt selection syntax)."),
    ] = None,
    full_refresh: FullRefresh = False,
) -> None:
    context = Context.from_environment(quiet=True)
    with (
        context.pipeline_locked(),
        counting("Building", context.console) as show,
    ):
        run_id = new_run_id(utc_now())
        cycle = make_cycle(context, run_id, on_progress=show)
        result = make_pipeline(context, run_id, cycle).run_alone(
            TRANSFORM, lambda: cycle.transform(models or (), full_refresh=full_refresh)
        )
    context.console.print(result.summary)
    for warning in result.details["warnings"]:
        context.console.print(f"[yellow]warning:[/] {warning}")
