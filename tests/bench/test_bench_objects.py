"""The stream into a bucket against the stream into a folder, in one run. `make bench` prints the table."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console
from rich.table import Table

from batch.lake.s3_server import S3Server
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from stream import logs
from stream.core.partition import WHOLE, Partition
from stream.settings import DataSettings, LoggingSettings
from tests.bench.machine import processor
from tests.bench.test_bench_stream import ROUNDS, fill, seed_position, worker_of
from tests.support.memory import peak_bytes

pytestmark = pytest.mark.bench
DOCUMENTS = int(os.environ.get("BENCH_DOCUMENTS", "80000"))
SIZE_BYTES = 2_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    options = MongodOptions(cache_size_gb=1, oplog_size_mb=1024)
    with EmbeddedMongo(tmp_path_factory.mktemp("bench-mongo"), options=options) as embedded:
        yield embedded


def _land_all(  # noqa: PLR0917 - as a process is started
    uri: str,
    database: str,
    token: dict[str, object],
    folder: Path,
    url: str | None,
    partition: Partition,
    answer: Connection,
) -> None:
    logs.configure(LoggingSettings(LOG_LEVEL="error"))
    worker = replace(
        worker_of(uri, database, folder), warehouse=None, data=DataSettings(DATA_DIR=folder, DATA_URL=url)
    )
    if url:
        worker = replace(worker, settings=worker.settings.for_objects())
    seed_position(worker, token)
    if partition.count > 1:
        chosen = worker.settings.model_copy(update={"partitions": partition.count})
        worker = replace(worker, settings=chosen, partition=partition.number)
    cpu, started = time.process_time(), time.perf_counter()
    summary = worker.run(until_idle_seconds=0)
    seconds = time.perf_counter() - started
    answer.send((summary.events, summary.events / seconds, time.process_time() - cpu, peak_bytes() / 2**20))


def land_all(*arguments: Any) -> tuple[int, float, float, float]:
    """Run a worker in a process of its own: events, events a second, CPU seconds, peak MiB."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_land_all, args=(*arguments, sender))
    process.start()
    found: tuple[int, float, float, float] = receiver.recv()
    process.join()
    return found


def test_partitions(server: EmbeddedMongo, tmp_path: Path) -> None:
    """What it costs workers and source that several share a stream: each reads all of it at the server."""
    token = fill(server.uri, "bench_partitions", DOCUMENTS, SIZE_BYTES)
    mongod = psutil.Process(server.nodes[0].pid)
    table = Table(title=f"{DOCUMENTS:,} documents of 2 kB, medians of {ROUNDS}, by {processor()}")
    for heading in ("partitions", "workers' CPU s", "by event, to one", "the server's CPU s", "to one"):
        table.add_column(heading, justify="right")
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: [], 4: []}
    for number in range(ROUNDS):
        for count, costs in found.items():
            before, ours, events = sum(mongod.cpu_times()[:2]), 0.0, 0
            for each in range(count):
                folder = tmp_path / f"{count}-{number}-{each}"
                one = Partition(each, count, 1) if count > 1 else WHOLE
                read, _, cpu, _ = land_all(server.uri, "bench_partitions", token, folder, None, one)
                ours, events = ours + cpu, events + read
            assert DOCUMENTS == events
            costs.append((ours, sum(mongod.cpu_times()[:2]) - before))
    for count, costs in found.items():
        workers, source = [
            statistics.median(mine[at] / one[at] for mine, one in zip(costs, found[1], strict=True))
            for at in (0, 1)
        ]
        table.add_row(
            str(count),
            f"{statistics.median(cost[0] for cost in costs):.2f}",
            f"{workers:.2f}",
            f"{statistics.median(cost[1] for cost in costs):.2f}",
            f"{source:.2f}",
        )
    Console(width=110).print(table)


def test_objects_against_a_folder(server: EmbeddedMongo, s3_server: S3Server, tmp_path: Path) -> None:
    """Events a second until durable, the loading left to others; the S3 server is on the same machine."""
    token = fill(server.uri, "bench_objects", DOCUMENTS, SIZE_BYTES)
    found: dict[str, list[tuple[float, float, float]]] = {"folder": [], "bucket": []}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3_server.environment().items():
            environment.setenv(name, value)
        for number in range(ROUNDS):
            for kind, rates in found.items():
                url = f"s3://tests/bench-{number}" if kind == "bucket" else None
                folder = tmp_path / f"{kind}-{number}"
                events, *measured = land_all(server.uri, "bench_objects", token, folder, url, WHOLE)
                assert DOCUMENTS == events
                rates.append((measured[0], measured[1], measured[2]))
    table = Table(title=f"{DOCUMENTS:,} documents of 2 kB, medians of {ROUNDS}, by {processor()}")
    for heading in ("landing in", "events/s", "CPU s", "RSS MiB", "of the folder's events/s"):
        table.add_column(heading, justify="right")
    ratio = statistics.median(
        bucket[0] / folder[0] for bucket, folder in zip(found["bucket"], found["folder"], strict=True)
    )
    for kind, rates in found.items():
        table.add_row(
            kind,
            f"{statistics.median(rate for rate, _, _ in rates):,.0f}",
            f"{statistics.median(cpu for _, cpu, _ in rates):.2f}",
            f"{max(peak for _, _, peak in rates):.0f}",
            "1" if kind == "folder" else f"{ratio:.2f}",
        )
    Console(width=110).print(table)
