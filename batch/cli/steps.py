"""Commands that move data: `stream` and `load`."""

from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from batch.cli.context import Context
from batch.cli.printing.progress import counting
from batch.runs.journal import new_run_id
from stream import metrics
from stream.clock import utc_now
from stream.core.collection_event import OnDrop, OnHistoryLost


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(stream)
    app.command()(load)
    app.command()(transform)
    app.command()(docs)


def stream(
    until_idle: Annotated[
        float | None,
        typer.Option(
            min=0.1, metavar="SECONDS", help="Catch up, and exit once nothing has arrived for this long."
        ),
    ] = None,
    from_now: Annotated[
        bool, typer.Option("--from-now", help="Leave the saved position and begin at the present.")
    ] = False,
    on_drop: Annotated[
        OnDrop | None,
        typer.Option(help="What a drop or rename of the collection does to its rows [STREAM_ON_DROP]."),
    ] = None,
    on_history_lost: Annotated[
        OnHistoryLost | None,
        typer.Option(help="What to do once changes have left the oplog unread [STREAM_ON_HISTORY_LOST]."),
    ] = None,
) -> None:
    """Follow the collection's change stream into the landing zone and DuckDB, exactly once.

    Runs for ever. SIGTERM or Ctrl-C flush what has been read, and exit within ten seconds.
    """
    context = Context.from_environment()
    registry = CollectorRegistry()
    settings = context.settings.metrics
    chosen = {"on_drop": on_drop, "on_history_lost": on_history_lost}
    worker = context.worker(
        registry,
        context.settings.stream.model_copy(
            update={name: choice for name, choice in chosen.items() if choice is not None}
        ),
    )
    metrics.DiskMetrics(registry, context.settings.data.data_dir)
    port = settings.port if until_idle is None else 0
    server = metrics.serve(registry, host=settings.host, port=port, token=settings.token)
    try:
        summary = worker.run(until_idle_seconds=until_idle, from_now=from_now)
    finally:
        if server:
            server.shutdown()
    if summary.signal_number:
        raise typer.Exit(128 + summary.signal_number)
    context.console.print(
        f"{summary.events:,} change events read, {summary.loaded.rows:,} rows loaded "
        f"in {summary.seconds:.1f} s; position {summary.position.instant:%Y-%m-%d %H:%M:%S} UTC"
    )


def load(
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Forget all rows and rebuild them from the landing zone.")
    ] = False,
    incomplete: Annotated[
        bool,
        typer.Option(
            "--incomplete", help="With --full-refresh: although old landed files were removed, so rows go."
        ),
    ] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Show what the warehouse holds afterwards.")] = False,
) -> None:
    """Load landed micro-batches into DuckDB; what is loaded already is left alone."""
    context = Context.from_environment()
    timeout_seconds = context.settings.duckdb.lease_timeout_seconds
    with counting("Loading micro-batches", context.console) as show:
        if full_refresh:
            result = context.warehouse.rebuild(
                timeout_seconds=timeout_seconds, on_progress=show, is_incomplete=incomplete
            )
        else:
            result = context.warehouse.load(timeout_seconds=timeout_seconds, on_progress=show)
    context.console.print(
        f"{result.micro_batches:,} micro-batches with {result.rows:,} rows loaded: "
        f"{result.rows_upserted:,} documents inserted or replaced, {result.rows_deleted:,} deleted"
    )
    if stats:
        from batch.cli.printing.tables import print_summary  # noqa: PLC0415 - only when asked for
        from batch.status.warehouse import summarise  # noqa: PLC0415

        with context.warehouse.opened(timeout_seconds=timeout_seconds) as connection:
            print_summary(summarise(connection), context.console)


def transform(
    models: Annotated[
        list[str] | None,
        typer.Option("--models", metavar="SELECTOR", help="Only these models, as dbt selects them."),
    ] = None,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Build every row anew.")] = False,
) -> None:
    """Build the star schema with dbt: only conversations that changed since the last build."""
    from batch.cli.work import make_cycle, make_pipeline  # noqa: PLC0415 - brings dbt along
    from batch.pipeline.runner import TRANSFORM  # noqa: PLC0415

    context = Context.from_environment(quiet=True)
    with (
        context.pipeline_lock.taken(timeout_seconds=context.settings.duckdb.lease_timeout_seconds),
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


def docs(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to serve; 0 takes any free port.")
    ] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen at; the site asks for no password.")
    ] = "127.0.0.1",
    only_write: Annotated[
        bool, typer.Option("--only-write", help="Write the site and say where; serve nothing.")
    ] = False,
) -> None:
    """Describe all models and columns as a site, and serve it on this machine until Ctrl-C."""
    from batch.transform.docs import generate_docs, serving_docs  # noqa: PLC0415 - brings dbt along

    context = Context.from_environment(quiet=True)
    timeout_seconds = context.settings.duckdb.lease_timeout_seconds
    with context.console.status("describing the models …"):
        index = generate_docs(
            context.dbt_project, lease=context.warehouse.lock.held(timeout_seconds=timeout_seconds)
        )
    context.console.print(f"the site is {index}", soft_wrap=True)
    if only_write:
        return
    with serving_docs(index, host=host, port=port) as server:
        context.console.print(f"served on http://{host}:{server.server_port}; Ctrl-C ends it")
        server.serve_forever()
