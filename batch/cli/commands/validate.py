"""Check raw, staging and marts with Great Expectations; all layers unless some are named."""

from typing import Annotated

import typer

from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_pipeline
from batch.cli.printing.runs import print_validation
from batch.pipeline.runner import StepResult
from batch.pipeline.steps import judged
from batch.runs.journal import VALIDATE, new_run_id
from batch.validate.validate import LAYERS
from stream.clock import utc_now


def command(
    bronze: Annotated[bool, typer.Option("--bronze", help="Check `raw`.")] = False,
    silver: Annotated[bool, typer.Option("--silver", help="Check `staging`.")] = False,
    gold: Annotated[bool, typer.Option("--gold", help="Check the marts.")] = False,
    build_docs: Annotated[
        bool,
        typer.Option(
            "--build-docs", help="Also write the Data Docs of Great Expectations, a site of all results."
        ),
    ] = False,
) -> None:
    context = Context.from_environment(quiet=True)
    chosen = [layer for layer, is_wanted in zip(LAYERS, (bronze, silver, gold), strict=True) if is_wanted]
    with context.pipeline_locked():
        run_id = new_run_id(utc_now())
        cycle = make_cycle(context, run_id)

        def check() -> StepResult:
            with context.console.status("checking …"):
                found = cycle.look(chosen or LAYERS, build_docs=build_docs)
            print_validation(found, context.console)
            return judged(found)

        make_pipeline(context, run_id, cycle).run_alone(VALIDATE, check)
