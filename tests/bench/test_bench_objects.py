"""The stream into a bucket against the stream into a folder, in one run. `make bench` prints the table."""

import multiprocessing
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from batch.lake.s3_server import S3Server
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from stream import logs
from stream.settings import DataSettings, LoggingSettings
from tests.bench.machine import processor
from tests.bench.test_bench_stream import ROUNDS, fill, seed_position, worker_of
from tests.support.memory import peak_bytes

pytestmark = pytest.mark.bench
DOCUMENTS = 80_000
SIZE_BYTES = 2_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    options = MongodOptions(cache_size_gb=1, oplog_size_mb=1024)
    with EmbeddedMongo(tmp_path_factory.mktemp("bench-mongo"), options=options) as embedded:
        yield embedded


def _land_all(  # noqa: PLR0917 - as a process is started
    uri: str, database: str, token: dict[str, object], folder: Path, url: str | None, answer: Connection
) -> None:
    logs.configure(LoggingSettings(LOG_LEVEL="error"))
    worker = replace(
        worker_of(uri, database, folder), warehouse=None, data=DataSettings(DATA_DIR=folder, DATA_URL=url)
    )
    if url:
        worker = replace(worker, settings=worker.settings.for_objects())
    seed_position(worker, token)
    cpu, started = time.process_time(), time.perf_counter()
    summary = worker.run(until_idle_seconds=0)
    seconds = time.perf_counter() - started
    answer.send((summary.events, summary.events / seconds, time.process_time() - cpu, peak_bytes() / 2**20))


def test_objects_against_a_folder(server: EmbeddedMongo, s3_server: S3Server, tmp_path: Path) -> None:
    """Events a second until durable, the loading left to others; the S3 server is on the same machine."""
    token = fill(server.uri, "bench_objects", DOCUMENTS, SIZE_BYTES)
    found: dict[str, list[tuple[float, float, float]]] = {"folder": [], "bucket": []}
    context = multiprocessing.get_context("spawn")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3_server.environment().items():
            environment.setenv(name, value)
        for number in range(ROUNDS):
            for kind, rates in found.items():
                receiver, sender = context.Pipe(duplex=False)
                url = f"s3://tests/bench-{number}" if kind == "bucket" else None
                folder = tmp_path / f"{kind}-{number}"
                arguments = (server.uri, "bench_objects", token, folder, url, sender)
                process = context.Process(target=_land_all, args=arguments)
                process.start()
                events, *measured = receiver.recv()
                process.join()
                assert events == DOCUMENTS
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
