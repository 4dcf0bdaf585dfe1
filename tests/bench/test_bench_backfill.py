"""Speed and memory of the backfill beside other ways, interleaved in one run. `make bench` prints the tables.

BENCH_ROUNDS rounds (5), the medians count; BENCH_SCALE times as many documents (1): 10 for about a gigabyte;
BENCH_SLOW=0 leaves the slow ways out.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from bson import ObjectId
from pymongo import MongoClient
from rich.console import Console
from rich.table import Table

from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from tests.bench.figures import Figures
from tests.bench.lines import lines_of
from tests.bench.machine import processor
from tests.bench.test_bench_stream import fill
from tests.support.memory import peak_bytes
from tests.support.paths import ROOT

pytestmark = pytest.mark.bench

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
FEW = 10_000
"""Documents for the ways whose time is too long for all of them."""
Measured = dict[str, float]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    options = MongodOptions(cache_size_gb=1, oplog_size_mb=1024)
    with EmbeddedMongo(tmp_path_factory.mktemp("bench-mongo"), options=options) as embedded:
        yield embedded


def measure(server: EmbeddedMongo, way: str, database: str, folder: Path) -> Measured:
    """Run one way in a process of its own, in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    if way == "command":
        return run_command(server, database, folder)
    options = {"uri": server.uri, "database": database, "folder": str(folder)}
    if way in {"dlt", "plain"}:
        options["documents"] = FEW if way == "dlt" else 10 * FEW  # type: ignore[assignment]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("loads.py")), way, json.dumps(options)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: Measured = json.loads(done.stdout.strip().splitlines()[-1])
    shutil.rmtree(folder, ignore_errors=True)
    return found | {"rate": found["documents"] / found["seconds"]}


def run_command(server: EmbeddedMongo, database: str, folder: Path) -> Measured:
    """Run `claude-analytics backfill` as a user does: from the start of the command to its end."""
    program = "from batch.cli import main; main()"
    places = {"MONGO_URI": server.uri, "MONGO_DB": database, "DATA_DIR": str(folder), "LOG_LEVEL": "error"}
    command = [sys.executable, "-c", program, "backfill"]
    with MongoClient[dict[str, Any]](server.uri) as client:
        documents = client[database]["conversations"].estimated_document_count()
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)} | places, stdout=subprocess.DEVNULL
    )
    peak, times = 0, None
    while process.poll() is None:
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            peak = max(peak, peak_bytes(process.pid))
            times = psutil.Process(process.pid).cpu_times()
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    assert 0 == process.returncode
    assert times is not None
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "documents": documents, "seconds": seconds, "rate": documents / seconds, "peak_mib": peak / 2**20,
        "cpu_seconds": times.user + times.system,
    }  # fmt: skip


def compare(server: EmbeddedMongo, database: str, folder: Path) -> dict[str, list[Measured]]:
    """Measure all ways in turn, round after round."""
    slow = ["dicts", "plain", *(["dlt"] if find_spec("dlt") else [])]
    ways = ["raw", *([] if os.environ.get("BENCH_SLOW") == "0" else slow), "ours", "command"]
    with MongoClient[dict[str, Any]](server.uri) as client:
        client[database]["conversations"].create_index("ingestedAt")  # what the plain way sorts by
    rounds = [[measure(server, way, database, folder) for way in ways] for _ in range(ROUNDS)]
    return {way: [results[number] for results in rounds] for number, way in enumerate(ways)}


def add_row(table: Table, name: str, found: dict[str, list[Measured]]) -> None:
    """Add the medians, and the medians of the ratios within a round."""

    def rate(way: str) -> str:
        return f"{statistics.median(run['rate'] for run in found[way]):,.0f}" if way in found else "-"

    def ratio(way: str, digits: int, of: str = "ours") -> str:
        if way not in found:
            return "-"
        ratios = [a["rate"] / b["rate"] for a, b in zip(found[of], found[way], strict=True)]
        return f"{statistics.median(ratios):,.{digits}f}"

    ours = found["ours"]
    table.add_row(
        name,
        *(rate(way) for way in ("raw", "dicts", "plain", "dlt", "ours")),
        ratio("raw", 2),
        ratio("raw", 2, of="command"),
        ratio("plain", 1),
        ratio("dlt", 0),
        f"{statistics.median(run['cpu_seconds'] / run['documents'] for run in ours) * 1e6:.0f}",
        f"{max(run['peak_mib'] for run in found['command']):.0f}",
        f"{max(run['file_mib'] for run in ours):.0f}",
        f"{min(run['compiled'] for run in ours):.1%}",
    )


def new_table(title: str) -> Table:
    table = Table(title=title)
    for heading in (
        "document", "raw cursor", "dicts", "plain script", "dlt", "ours",
        "ours / raw", "command / raw", "/ plain", "/ dlt", "CPU µs", "RSS MiB", "file MiB", "compiled",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    return table


def drop(server: EmbeddedMongo, database: str) -> None:
    with MongoClient[dict[str, Any]](server.uri) as client:
        client.drop_database(database)


def test_throughput(server: EmbeddedMongo, tmp_path: Path) -> None:
    """From MongoDB to rows durable in `raw.conversations`, against other ways and the server's limit."""
    table = new_table(f"backfill: documents/s, medians of {ROUNDS}, by {processor()}")
    for size_bytes, documents in ((500, 200_000), (2_000, 150_000), (8_000, 40_000)):
        database = f"bench_backfill_{size_bytes}"
        fill(server.uri, database, round(documents * SCALE), size_bytes)
        add_row(table, f"{size_bytes / 1000} kB", compare(server, database, tmp_path / "run"))
        drop(server, database)
    Console(width=160).print(table)
    if not find_spec("dlt"):
        pytest.skip("dlt is not installed, so its column is empty: `pip install '.[bench]'`")


def test_real_logs(server: EmbeddedMongo, tmp_path: Path, shared_logs: Path, figures: Figures) -> None:
    """The same on the lines of real conversations, many times over."""
    lines = list(lines_of(shared_logs))
    database = "bench_backfill_real"
    documents = 0
    with MongoClient[dict[str, Any]](server.uri) as client:
        for copy in range(max(1, round(18 * SCALE))):
            for start in range(0, len(lines), 1000):
                client[database]["conversations"].insert_many(
                    {**line, "_id": ObjectId(), "sessionId": f"{line.get('sessionId')}-{copy}"}
                    for line in lines[start : start + 1000]
                )
            documents += len(lines)
        size_bytes = client[database].command("collStats", "conversations")["size"]
    table = new_table(
        f"backfill of real logs, {documents:,} lines, {size_bytes / 1e6:,.0f} MB, by {processor()}"
    )
    found = compare(server, database, tmp_path / "run")
    add_row(table, f"{size_bytes / documents / 1000:.1f} kB", found)
    Console(width=160).print(table)
    drop(server, database)
    command = found["command"]
    name = f"backfill, {size_bytes / 1e6:,.0f} MB of real logs"
    ratios = [a["rate"] / b["rate"] for a, b in zip(command, found["raw"], strict=True)]
    figures.add(f"{name} / raw cursor, the whole command", "≥ 0.50", ratios, digits=2)
    figures.add("  by the clock", "", [run["seconds"] for run in command], "s")
    figures.add("  of processors", "≤ 0.9 of ingestr", [run["cpu_seconds"] for run in command], "s")
    figures.add("  peak memory", "≤ 500 MiB", [run["peak_mib"] for run in command], "MiB", digits=0)
    shares = [100 * run["compiled"] for run in found["ours"]]
    figures.add("  share of compiled code", "≥ 99 %", shares, "%")


def test_first_run(server: EmbeddedMongo, tmp_path: Path, figures: Figures) -> None:
    """The first run after an installation beside the second: nothing is left to be made ready."""
    fill(server.uri, "bench_backfill_first", round(150_000 * SCALE), 2_000)
    ratios: list[float] = []
    for number in range(ROUNDS):
        # What pip compiles of the packages is there; of our own code nothing is, as in a new checkout.
        for folder in ("stream", "batch"):
            for cache in (ROOT / folder).rglob("__pycache__"):
                shutil.rmtree(cache, ignore_errors=True)
        first, second = (
            run_command(server, "bench_backfill_first", tmp_path / f"{number}") for _ in range(2)
        )
        ratios.append(first["seconds"] / second["seconds"])
    drop(server, "bench_backfill_first")
    figures.add("backfill, first run after installation / second", "≤ 1.15", ratios, digits=2)


def test_time_and_memory_by_size(server: EmbeddedMongo, tmp_path: Path) -> None:
    """Ten times the documents: how much more time, how much more memory."""
    found: list[Measured] = []
    for documents in (round(40_000 * SCALE), round(400_000 * SCALE)):
        fill(server.uri, "bench_backfill_linear", documents, 1_000)
        runs = [
            measure(server, "ours", "bench_backfill_linear", tmp_path / "run") for _ in range(max(2, ROUNDS))
        ]
        drop(server, "bench_backfill_linear")
        found.append(
            {
                name: statistics.median(run[name] for run in runs)
                for name in ("documents", "seconds", "peak_mib")
            }
        )
    small, large = found
    Console(width=160).print(
        f"backfill of {small['documents']:,.0f} → {large['documents']:,.0f} documents of 1 kB: "
        f"{small['seconds']:.1f} → {large['seconds']:.1f} s "
        f"({large['seconds'] / small['seconds']:.1f} times), "
        f"peak RSS {small['peak_mib']:.0f} → {large['peak_mib']:.0f} MiB"
    )
