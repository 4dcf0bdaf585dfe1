"""Follow the collection's change stream into the landing zone and DuckDB, exactly once.

Runs until stopped. SIGTERM or Ctrl-C flush what has been read, and exit within ten seconds.
"""

from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from batch.cli.context import Context
from batch.cli.readers import make_worker
from stream import metrics
from stream.core.collection_event import OnDrop, OnHistoryLost


def command(
    until_idle: Annotated[
        float | None,
        typer.Option(
            min=0.1, metavar="SECONDS", help="Catch up, then exit once no change has arrived for this long."
        ),
    ] = None,
    from_now: Annotated[
        bool,
        typer.Option(
            "--from-now",
            help="Discard the saved position and start from now; changes in between are skipped.",
        ),
    ] = False,
    on_drop: Annotated[
        OnDrop | None,
        typer.Option(
            help="On drop or rename of the collection: delete its rows, keep them, or stop [STREAM_ON_DROP]."
        ),
    ] = None,
    on_history_lost: Annotated[
        OnHistoryLost | None,
        typer.Option(
            help="When changes have left the oplog unread: stop, or resnapshot [STREAM_ON_HISTORY_LOST]."
        ),
    ] = None,
) -> None:
    context = Context.from_environment()
    registry = CollectorRegistry()
    settings = context.settings.metrics
    chosen = {"on_drop": on_drop, "on_history_lost": on_history_lost}
    worker = make_worker(
        context,
        registry,
        context.settings.stream.model_copy(
            update={name: choice for name, choice in chosen.items() if choice is not None}
        ),
    )
    metrics.DiskMetrics(registry, context.settings.data.data_dir)
    port = settings.port if until_idle is None else 0
    server = metrics.serve(registry, host=settings.host, port=port, token=settings.token)
    try:
        summary = worker.run(
            until_idle_seconds=until_idle,
            from_now=from_now,
            is_landing_only=context.settings.lake.is_iceberg,
        )
    finally:
        if server:
            server.shutdown()
    if summary.signal_number:
        raise typer.Exit(128 + summary.signal_number)
    context.console.print(
        f"{summary.events:,} change events read, {summary.loaded.rows:,} rows loaded "
        f"in {summary.seconds:.1f} s; position {summary.position.instant:%Y-%m-%d %H:%M:%S} UTC"
    )
