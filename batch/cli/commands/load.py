"""Load landed micro-batches into the warehouse, each exactly once."""

from typing import Annotated

import typer

from batch.cli.context import Context
from batch.cli.lake import make_loader
from batch.cli.printing.progress import counting
from batch.cli.printing.tables import print_summary
from batch.status.lake import summarise_lake
from batch.status.warehouse import summarise
from stream.warehouse.load import LoadResult


def command(
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild the warehouse from the landing zone.")
    ] = False,
    incomplete: Annotated[
        bool,
        typer.Option(
            "--incomplete",
            help="With --full-refresh: rebuild although old landed files were removed; their rows are lost.",
        ),
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Print row counts of the warehouse afterwards.")
    ] = False,
) -> None:
    context = Context.from_environment()
    timeout_seconds = context.settings.duckdb.lease_timeout_seconds
    if context.settings.lake.is_iceberg:
        loader = make_loader(context)
        with context.console.status("loading …"):
            result = (
                loader.rebuild(timeout_seconds=timeout_seconds, is_incomplete=incomplete)
                if full_refresh
                else loader.load(timeout_seconds=timeout_seconds)
            )
        _print_loaded(result, context)
        if stats:
            with context.console.status("counting …"):
                found = summarise_lake(loader)
            print_summary(found, context.console)
        return
    with counting("Loading micro-batches", context.console) as show:
        if full_refresh:
            result = context.warehouse.rebuild(
                timeout_seconds=timeout_seconds, on_progress=show, is_incomplete=incomplete
            )
        else:
            result = context.warehouse.load(timeout_seconds=timeout_seconds, on_progress=show)
    _print_loaded(result, context)
    if stats:
        with context.warehouse.opened(timeout_seconds=timeout_seconds) as connection:
            print_summary(summarise(connection), context.console)


def _print_loaded(result: LoadResult, context: Context) -> None:
    context.console.print(
        f"{result.micro_batches:,} micro-batches with {result.rows:,} rows loaded: "
        f"{result.rows_upserted:,} documents inserted or replaced, {result.rows_deleted:,} deleted"
    )
