"""Speed, latency and memory of the stream, as ratios measured in one run. `make bench` prints the tables."""

import multiprocessing
import os
import random
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from prometheus_client import CollectorRegistry
from pymongo import MongoClient
from rich.console import Console
from rich.table import Table

from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from stream import logs
from stream.clock import utc_now
from stream.core.position import cluster_time_of_token
from stream.landing.places import places
from stream.landing.zone import LandingZone
from stream.metrics import WAYS
from stream.settings import DataSettings, DuckDBSettings, LoggingSettings, MongoSettings, StreamSettings
from stream.source.change_stream import ChangeCursor
from stream.source.client import connect
from stream.warehouse.warehouse import Warehouse
from stream.worker import Worker
from tests.bench.figures import FIGURES, Figures
from tests.bench.lines import lines_of
from tests.bench.machine import processor
from tests.support.memory import peak_bytes

pytestmark = pytest.mark.bench
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
TARGETS = {"2.0 kB": "≥ 0.80", "real logs": "≥ 0.70"}
BACKLOG = int(os.environ.get("BENCH_BACKLOG", "500000"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    options = MongodOptions(cache_size_gb=1, oplog_size_mb=4096)
    with EmbeddedMongo(tmp_path_factory.mktemp("bench-mongo"), options=options) as embedded:
        yield embedded


def document(number: int, size_bytes: int, chance: random.Random) -> dict[str, Any]:
    """Make a log line of about this size, shaped like the real ones: an assistant line with some blocks."""
    words = ["render", "migrate", "the", "tide", "table", "tests", "fail", "because", "of", "cache", "and"]
    second = 1_780_000_000 + number // 50
    text = " ".join(chance.choices(words, k=max(5, (size_bytes - 420) // 6)))
    half = len(text) // 2
    return {
        "_id": ObjectId(f"{second:08x}{chance.getrandbits(64):016x}"),
        "parentUuid": f"{number - 1:032x}",
        "isSidechain": False,
        "sessionId": f"session-{number // 200}",
        "projectId": f"project-{number // 2000 % 7}",
        "sourceFile": f"project/session-{number // 200}.jsonl",
        "type": "assistant",
        "uuid": f"{number:032x}",
        "timestamp": datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", ".000Z"),
        "ingestedAt": datetime.fromtimestamp(second, UTC),
        "gitBranch": "main",
        "version": "2.1.0",
        "message": {
            "id": f"msg_{number}",
            "role": "assistant",
            "content": [
                {"type": "text", "text": text[:half]},
                {
                    "type": "tool_use",
                    "id": f"toolu_{number}",
                    "name": "Bash",
                    "input": {"command": text[half:]},
                },
            ],
            "usage": {"input_tokens": 3, "output_tokens": number % 500, "cache_read_input_tokens": 20_000},
        },
    }


def fill(uri: str, database: str, documents: int, size_bytes: int) -> dict[str, Any]:
    """Insert documents; give the resume token from before the first."""
    chance = random.Random(7)
    with MongoClient[dict[str, Any]](uri) as client:
        collection = client[database]["conversations"]
        with collection.watch() as changes:
            changes.try_next()
            token = dict(changes.resume_token or {})
        for start in range(0, documents, 1000):
            collection.insert_many(
                [document(start + n, size_bytes, chance) for n in range(min(1000, documents - start))],
                ordered=False,
            )
    return token


def worker_of(uri: str, database: str, folder: Path) -> Worker:
    os.environ.update(MONGO_URI=uri, MONGO_DB=database, DATA_DIR=str(folder))
    data, settings = DataSettings(), StreamSettings()
    landing = LandingZone(data.landing_dir, clock=utc_now)
    return Worker(
        mongo=MongoSettings(),
        data=data,
        settings=settings,
        duckdb=DuckDBSettings(),
        warehouse=Warehouse(
            folder / "analytics.duckdb",
            landing=landing,
            clock=utc_now,
            threads=max(1, (os.cpu_count() or 1) // 2),
            memory_limit=settings.memory_limit,
        ),
        registry=CollectorRegistry(),
        log=logs.logger("stream"),
    )


def raw_limit(uri: str, database: str, token: dict[str, Any], documents: int) -> float:
    """Events a second that the server gives, undecoded."""
    os.environ.update(MONGO_URI=uri, MONGO_DB=database)
    settings = MongoSettings()
    with connect(settings) as client:
        started = time.perf_counter()
        cursor = ChangeCursor(client, settings, batch_size=10_000, token=token)
        reply = cursor.next_reply()
        while not reply.is_empty:
            finished = time.perf_counter()
            reply = cursor.next_reply()
        cursor.close()
    return documents / (finished - started)


def bare_watch(uri: str, database: str, token: dict[str, Any], documents: int) -> float:
    """Events a second of a loop that does nothing but decode, with PyMongo's fastest setting."""
    with MongoClient[dict[str, Any]](uri) as client:
        started = time.perf_counter()
        with client[database]["conversations"].watch(
            full_document="updateLookup", start_after=token, batch_size=1000
        ) as changes:
            for _ in range(documents):
                next(changes)
        return documents / (time.perf_counter() - started)


def _stream_all(  # noqa: PLR0917 - as a process is started
    uri: str, database: str, token: dict[str, Any], documents: int, folder: Path, answer: Connection
) -> None:
    logs.configure(LoggingSettings(LOG_LEVEL="error"))
    worker = worker_of(uri, database, folder)
    seed_position(worker, token)
    finished: list[float] = []

    def watch() -> None:
        while True:
            loaded = worker.registry.get_sample_value("claude_analytics_stream_rows_loaded_total") or 0
            if loaded >= documents:
                finished.append(time.perf_counter())
                return
            time.sleep(0.005)

    threading.Thread(target=watch, daemon=True).start()
    started = time.perf_counter()
    worker.run(until_idle_seconds=0)  # as `extract` does: until there is nothing more to read
    rate = documents / ((finished or [time.perf_counter()])[0] - started)
    ways = {
        way: worker.registry.get_sample_value("claude_analytics_stream_documents_decoded_total", {"way": way})
        or 0.0
        for way in WAYS
    }
    answer.send((rate, peak_bytes() / 2**20, ways["compiled"] / sum(ways.values())))


def seed_position(worker: Worker, token: dict[str, Any]) -> None:
    """Make the worker begin at a token."""
    position = worker.take_position()
    lane = places(worker.data, clock=utc_now).landing.lane("stream")
    # At the token's own time: one behind the source's newest change would be a history rewound.
    at = cluster_time_of_token(token) or position.cluster_time
    lane.save_position(replace(position, token=token, cluster_time=at), behind=None)


def stream_all(
    uri: str, database: str, token: dict[str, Any], documents: int, folder: Path
) -> tuple[float, float, float]:
    """Documents a second until durable in DuckDB, peak memory in MiB, and the share of compiled code."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_stream_all, args=(uri, database, token, documents, folder, sender))
    process.start()
    rate, peak, compiled = receiver.recv()
    process.join()
    return float(rate), float(peak), float(compiled)


def new_table() -> Table:
    table = Table(title=f"stream: documents/s, medians of {ROUNDS}, by {processor()}")
    for heading in (
        "document",
        "server's limit",
        "bare watch()",
        "ours",
        "ours / bare",
        "ours / limit",
        "RSS MiB",
        "compiled",
    ):
        table.add_column(heading, justify="right")
    return table


def add_row(  # noqa: PLR0917 - as they are measured
    table: Table, name: str, server: EmbeddedMongo, database: str, token: dict[str, Any], documents: int,
    folder: Path,
) -> None:  # fmt: skip
    """Measure a collection's whole stream, round after round, and drop the collection."""
    limits, bares, ours, peaks, shares = [], [], [], [], []
    for number in range(ROUNDS):
        limits.append(raw_limit(server.uri, database, token, documents))
        bares.append(bare_watch(server.uri, database, token, documents))
        rate, peak, compiled = stream_all(server.uri, database, token, documents, folder / f"{name}-{number}")
        ours.append(rate)
        peaks.append(peak)
        shares.append(compiled)
    ratios = [a / b for a, b in zip(ours, bares, strict=True)]
    FIGURES.add(
        f"stream, {name}, durable in DuckDB / bare `watch()`", TARGETS.get(name, ""), ratios, digits=2
    )
    against_bare = statistics.median(ratios)
    against_limit = statistics.median(a / b for a, b in zip(ours, limits, strict=True))
    table.add_row(
        name,
        *(f"{statistics.median(values):,.0f}" for values in (limits, bares, ours)),
        f"{against_bare:.2f}",
        f"{against_limit:.2f}",
        f"{max(peaks):.0f}",
        f"{min(shares):.1%}",
    )
    with MongoClient[dict[str, Any]](server.uri) as client:
        client.drop_database(database)


@pytest.mark.parametrize(("size_bytes", "documents"), [(500, 120_000), (2_000, 80_000), (8_000, 24_000)])
def test_throughput(server: EmbeddedMongo, tmp_path: Path, size_bytes: int, documents: int) -> None:
    """The stream, durable in DuckDB, against a loop that only decodes and against the server's limit."""
    table = new_table()
    database = f"bench_{size_bytes}"
    token = fill(server.uri, database, documents, size_bytes)
    add_row(table, f"{size_bytes / 1000} kB", server, database, token, documents, tmp_path)
    Console(width=110).print(table)


def test_real_logs(server: EmbeddedMongo, tmp_path: Path, shared_logs: Path) -> None:
    """The same on the lines of real conversations, many times over."""
    table = new_table()
    lines = list(lines_of(shared_logs))
    documents = 0
    with MongoClient[dict[str, Any]](server.uri) as client:
        collection = client["bench_real"]["conversations"]
        with collection.watch() as changes:
            changes.try_next()
            token = dict(changes.resume_token or {})
        for copy in range(9):
            for start in range(0, len(lines), 1000):
                collection.insert_many(
                    {**line, "_id": ObjectId(), "sessionId": f"{line.get('sessionId')}-{copy}"}
                    for line in lines[start : start + 1000]
                )
            documents += len(lines)
    add_row(table, "real logs", server, "bench_real", token, documents, tmp_path)
    Console(width=110).print(table)


def test_backlog_memory(server: EmbeddedMongo, tmp_path: Path, figures: Figures) -> None:
    """Peak memory while a backlog is worked off."""
    token = fill(server.uri, "bench_backlog", BACKLOG, 1_000)
    rate, peak, _ = stream_all(server.uri, "bench_backlog", token, BACKLOG, tmp_path)
    name = f"stream, {BACKLOG:,} documents of 1 kB waiting"
    figures.add(f"{name}, peak memory", "≤ 350 MiB", [peak], "MiB", digits=0)
    figures.add("  documents", "", [rate], "/s", digits=0)
    with MongoClient[dict[str, Any]](server.uri) as client:
        client.drop_database("bench_backlog")


def test_latency(server: EmbeddedMongo, tmp_path: Path) -> None:
    """Time from an insert until its row is committed in DuckDB, at a steady trickle."""
    worker = worker_of(server.uri, "bench_latency", tmp_path)
    worker.take_position()
    committed: list[float] = []
    warehouse = Warehouse(
        worker.warehouse.path,
        landing=LandingZone(worker.data.landing_dir, clock=utc_now),
        clock=utc_now,
        at_failpoint=lambda name: committed.append(time.time()) if name == "load_committed" else None,
    )
    logs.configure(LoggingSettings(LOG_LEVEL="error"))
    inserted: dict[str, float] = {}

    def insert() -> None:
        chance = random.Random(3)
        with MongoClient[dict[str, Any]](server.uri) as client:
            for number in range(200):
                one = document(number, 2_000, chance)
                client["bench_latency"]["conversations"].insert_one(one)
                inserted[str(one["_id"])] = time.time()
                time.sleep(chance.uniform(0.02, 0.28))

    threading.Thread(target=insert, daemon=True).start()
    changed = Worker(**{**vars(worker), "warehouse": warehouse})
    changed.run(until_idle_seconds=5)
    with warehouse.opened(timeout_seconds=5) as connection:
        rows = connection.execute(
            "select c._id, m.load_id from raw.conversations c join raw.micro_batches m using (micro_batch_id)"
        ).fetchall()
    loads = dict(zip(sorted({load for _, load in rows}), committed, strict=True))
    waits = sorted(loads[load_id] - inserted[key] for key, load_id in rows)
    Console(width=110).print(
        f"insert → committed, {len(waits)} inserts, windows of {worker.settings.max_age_seconds} s: "
        f"p50 {waits[len(waits) // 2]:.2f} s, p99 {waits[int(len(waits) * 0.99)]:.2f} s"
    )
