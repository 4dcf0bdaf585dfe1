"""Follow the collection's change stream into the landing zone and DuckDB, exactly once.

Runs until stopped. SIGTERM or Ctrl-C flush what has been read, and exit within ten seconds. With
STREAM_PARTITIONS above 1 each partition is a process of its own, here or on other machines.
"""

import sys
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from batch.cli.context import Context
from batch.cli.partitions import partitions_in, run_partitions
from batch.cli.readers import make_worker
from stream import logs, metrics
from stream.core.collection_event import OnDrop, OnHistoryLost


def command(  # noqa: PLR0917 - options
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
    partition: Annotated[
        str | None,
        typer.Option(
            metavar="K", help="Only this partition of STREAM_PARTITIONS, from 0; or some of them: K-M."
        ),
    ] = None,
    repartition: Annotated[
        bool,
        typer.Option(
            "--repartition",
            help="Divide the stream into STREAM_PARTITIONS lanes, behind what has landed, and exit; its "
            "workers must have ended.",
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
    settings = context.settings.metrics
    chosen = {"on_drop": on_drop, "on_history_lost": on_history_lost}
    stream = context.settings.stream.model_copy(
        update={name: choice for name, choice in chosen.items() if choice is not None}
    )
    numbers = partitions_in(partition, count=stream.partitions)
    if len(numbers) > 1 and not repartition:
        raise typer.Exit(
            run_partitions(numbers, sys.argv[1:], metrics_port=settings.port, log=logs.logger("stream"))
        )
    number = numbers[0]
    registry = CollectorRegistry() if stream.partitions == 1 else metrics.PartitionRegistry(number)
    worker = make_worker(context, registry, stream, partition=number)
    if repartition:
        generation = worker.repartition()
        context.console.print(
            f"the stream has {generation.count} partitions now; they go on at "
            f"{generation.start.instant:%Y-%m-%d %H:%M:%S} UTC"
        )
        return
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
