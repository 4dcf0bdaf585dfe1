"""Disk and memory for so many documents: the figures that the runbook plans with. `make bench` prints them.

BENCH_LOGS=~/.claude/projects pytest -s -m bench tests/bench/test_bench_capacity.py     measures your own logs
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from rich.console import Console
from rich.table import Table

from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from batch.shipped import sample_logs
from tests.support.memory import peak_bytes
from tests.support.program import Program

pytestmark = pytest.mark.bench

LOGS = Path(os.environ.get("BENCH_LOGS", sample_logs())).expanduser().resolve()


@pytest.fixture
def uri(tmp_path: Path) -> Iterator[str]:
    options = MongodOptions(cache_size_gb=0.5, oplog_size_mb=2048)
    with EmbeddedMongo(tmp_path / "mongo", options=options) as embedded:
        yield embedded.uri


def run(uri: str, data: Path, *arguments: str) -> int:
    """Run a command to its end, and give the most memory that it took."""
    program = Program(data.parent, MONGO_URI=uri, DATA_DIR=str(data), LOG_LEVEL="error")
    process = program.start(*arguments)
    peak = 0
    while process.poll() is None:
        with suppress(ProcessLookupError):
            peak = peak_bytes(process.pid)
        time.sleep(0.02)
    assert 0 == process.returncode
    return peak


def size_bytes(path: Path) -> int:
    """Add up the files of a folder, or give the size of a file."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file() and not each.is_symlink())


def test_capacity(uri: str, tmp_path: Path) -> None:
    """Sizes for 1,000 documents, and the peak of each process."""
    data = tmp_path / "data"
    peaks = {"stream, idle": run(uri, data, "stream", "--until-idle", "1")}
    run(uri, data, "import", str(LOGS))
    peaks["stream"] = run(uri, data, "stream", "--until-idle", "2")
    warehouse = data / "analytics.duckdb"
    loaded = size_bytes(warehouse)
    peaks["pipeline"] = run(uri, data, "pipeline", "--skip-extract")
    with MongoClient[dict[str, Any]](uri) as client:
        stats = client["claude_logs"].command("collStats", "conversations")
        oplog = client["local"].command("collStats", "oplog.rs")
    documents = int(stats["count"])
    sizes = {
        "documents in MongoDB (BSON)": int(stats["size"]),
        "their inserts in the oplog": int(oplog["size"]),
        "landing zone": size_bytes(data / "landing"),
        "DuckDB, loaded": loaded,
        "DuckDB, with marts": size_bytes(warehouse),
        "one published build": size_bytes(next((data / "serving" / "builds").iterdir())),
    }
    table = Table("what", "total", "for 1,000 documents", title=f"{documents:,} documents")
    for name, size in sizes.items():
        table.add_row(name, f"{size / 1e6:,.1f} MB", f"{size / documents:,.0f} kB")
    table.add_row("results of checks, dbt's artefacts", f"{_artefacts(data) / 1e6:,.1f} MB", "")
    for name, peak in peaks.items():
        table.add_row(f"peak memory: {name}", f"{peak / 1e6:,.0f} MB", "")
    Console(width=100).print(table)
    assert documents > 0


def _artefacts(data: Path) -> int:
    return size_bytes(data / "dbt") + size_bytes(data / "gx")
