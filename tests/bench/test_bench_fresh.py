"""How soon what is written can be read: import, stream, cycles and demo, as the program's own commands.

`BENCH_FRESH_LINES` (1,000,000) is the history beside which a cycle is measured, `BENCH_IMPORT_MB` (256) the
size of the imported logs, `BENCH_ROUNDS` (5) how often each is measured.
"""

import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
from pymongo import MongoClient

from batch import shipped
from batch.importer.files import find_logs
from batch.importer.importer import import_logs
from batch.mongod.replica_set import EmbeddedMongo
from batch.pipeline.resident import Resident
from batch.pipeline.scheduler import Child
from batch.pipeline.timetable import HOURLY
from batch.runs.journal import PIPELINE, PUBLISH, SUCCEEDED, TRANSFORM, VALIDATE, Journal
from stream.clock import utc_now
from tests.bench.figures import Figures
from tests.bench.test_bench_dbt import logs, multiply  # noqa: F401 - a fixture
from tests.bench.test_bench_stream import document
from tests.support.marts import MartsWarehouse
from tests.support.paths import ROOT, SHARED
from tests.support.streaming import wait_until

pytestmark = pytest.mark.bench
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
HISTORY = int(os.environ.get("BENCH_FRESH_LINES", "1000000"))
IMPORT_BYTES = int(os.environ.get("BENCH_IMPORT_MB", "256")) * 1_000_000
BURST = 40_000
NEW_LINES = 1_000
PROGRAM = [sys.executable, "-c", "from batch.cli import main; main()"]
PATIENCE_SECONDS = 1800.0
SOURCE = SHARED / "claude" / "projects"


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    with EmbeddedMongo(tmp_path_factory.mktemp("mongo")) as embedded:
        yield embedded


def environment(mongo: EmbeddedMongo, folder: Path, database: str) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(folder),
        "MONGO_URI": mongo.uri,
        "MONGO_DB": database,
        "METRICS_PORT": "0",
        "LOG_LEVEL": "error",
    }


def copies_of_logs(folder: Path, size_bytes: int) -> Path:
    """Fill a folder with copies of the real logs, or else the sample, each under a name of its own."""
    projects = sorted((SOURCE if SOURCE.is_dir() else shipped.sample_logs()).iterdir())
    copied, number = 0, 0
    while copied < size_bytes:
        for project in projects:
            target = folder / f"{project.name}-{number}"
            shutil.copytree(project, target)
            copied += sum(file.stat().st_size for file in target.rglob("*.jsonl"))
        number += 1
    return folder


def test_import(mongo: EmbeddedMongo, tmp_path: Path, figures: Figures) -> None:
    """Logs → MongoDB, the first time and again; beside it the same documents inserted only."""
    folder = copies_of_logs(tmp_path / "projects", IMPORT_BYTES)
    size_mb = find_logs([folder]).size_bytes / 1e6
    rates: dict[str, list[float]] = {"first": [], "cpu": [], "again": [], "limit": []}
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        for _ in range(ROUNDS):
            collection = client["bench_import"]["conversations"]
            for kind in ("first", "again"):
                started, cpu_before = time.monotonic(), time.process_time()
                import_logs([folder], collection, clock=utc_now)
                rates[kind].append(size_mb / (time.monotonic() - started))
                if kind == "first":
                    rates["cpu"].append(size_mb / (time.process_time() - cpu_before))
            batches = list(collection.find_raw_batches(batch_size=1000))
            client.drop_database("bench_import")
            rates["limit"].append(size_mb / insert_only(client, batches))
            client.drop_database("bench_import")
    figures.add(f"import, {size_mb:,.0f} MB of logs", "≥ 100 MB/s", rates["first"], "MB/s")
    figures.add("  for each second of a processor, MongoDB's not counted", "", rates["cpu"], "MB")
    figures.add("import of what is there already", "", rates["again"], "MB/s")
    figures.add("its documents inserted only, the server's limit", "", rates["limit"], "MB/s")


def insert_only(client: MongoClient[dict[str, Any]], batches: list[bytes]) -> float:
    import bson  # noqa: PLC0415 - only here
    from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS  # noqa: PLC0415

    decoded = [bson.decode_all(batch, DEFAULT_RAW_BSON_OPTIONS) for batch in batches]  # type: ignore[arg-type]
    started = time.monotonic()
    for documents in decoded:
        client["bench_import"]["conversations"].insert_many(documents, ordered=False)
    return time.monotonic() - started


@contextmanager
def streaming(settings: dict[str, str]) -> Iterator[None]:
    """Run a stream worker beside the block, from its first loaded document on."""
    with subprocess.Popen([*PROGRAM, "stream"], env=settings) as process:
        try:
            yield
        finally:
            process.terminate()


def rows(path: Path) -> int:
    """Count documents, as a reader that opens the file for a moment; 0 where it cannot."""
    try:
        with duckdb.connect(path, read_only=True) as connection:
            [count] = connection.execute("select count(*) from raw.conversations").fetchone() or [0]
    except duckdb.Error:
        return 0
    return int(count)


def seconds_until(path: Path, expected: int, *, pause_seconds: float = 0.0) -> float:
    started = time.monotonic()
    while rows(path) < expected:
        assert time.monotonic() - started < PATIENCE_SECONDS
        time.sleep(pause_seconds)
    return time.monotonic() - started


def test_stream(mongo: EmbeddedMongo, tmp_path: Path, figures: Figures) -> None:
    """One document, and 40,000 at once, into an idle stream until a reader of the file has them."""
    path, chance = tmp_path / "analytics.duckdb", random.Random(7)
    single: list[float] = []
    burst: list[float] = []
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        collection = client["bench_fresh"]["conversations"]
        with streaming(environment(mongo, tmp_path, "bench_fresh")):
            wait_until((tmp_path / "landing" / "stream" / "position.json").exists, seconds=PATIENCE_SECONDS)
            collection.insert_one(document(0, 2000, chance))
            seconds_until(path, 1, pause_seconds=0.2)
            count = 1
            for _ in range(2 * ROUNDS):
                collection.insert_one(document(count, 2000, chance))
                count += 1
                single.append(seconds_until(path, count))
            for _ in range(ROUNDS):
                for start in range(0, BURST, 1000):
                    documents = [document(count + start + n, 2000, chance) for n in range(1000)]
                    collection.insert_many(documents, ordered=False)
                count += BURST
                burst.append(seconds_until(path, count, pause_seconds=0.05))
    figures.add("one document until it is read, the file opened all the time", "≤ 3 s", single, "s")
    figures.add("the slowest of them", "≤ 3 s", [max(single)], "s")
    figures.add(f"{BURST:,} of 2 kB until all are read, after the last insert", "≤ 2.5 s", burst, "s")


def ended(child: Child) -> int:
    codes: list[int] = []

    def has_ended() -> bool:
        code = child.poll()
        codes.extend([] if code is None else [code])
        return bool(codes)

    wait_until(has_ended, seconds=PATIENCE_SECONDS)
    return codes[0]


def measured(begin: Callable[[], Child], processes: Callable[[], float]) -> tuple[float, float]:
    """Return seconds by the clock and of processors that a run took; it must succeed."""
    started, cpu_before = time.monotonic(), processes()
    assert 0 == ended(begin())
    return time.monotonic() - started, processes() - cpu_before


def ended_children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def children_cpu_seconds() -> float:
    times = [child.cpu_times() for child in psutil.Process().children() if "--resident" in child.cmdline()]
    return sum(each.user + each.system for each in times)


def test_cycles(
    logs: Path,  # noqa: F811 - the fixture
    mongo: EmbeddedMongo,
    tmp_path: Path,
    figures: Figures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What `SCHEDULE_EVERY=1m` runs each minute, extract to publish, beside a long history."""
    lines = multiply(logs, MartsWarehouse(tmp_path), HISTORY)
    for name, value in environment(mongo, tmp_path, "bench_cycles").items():
        monkeypatch.setenv(name, value)
    resident = Resident(PROGRAM)
    quiet: list[tuple[float, float]] = []
    busy: list[tuple[float, float]] = []
    new_logs = tmp_path / "projects"
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        try:
            assert 0 == ended(resident.start(HOURLY))  # the first builds everything
            for number in range(ROUNDS):
                write_new_lines(new_logs / "app" / f"{number}.jsonl")
                import_logs([new_logs], client["bench_cycles"]["conversations"], clock=utc_now)
                busy.append(measured(lambda: resident.start(HOURLY), children_cpu_seconds))
                quiet.append(measured(lambda: resident.start(HOURLY), children_cpu_seconds))
        finally:
            resident.close()
    steps = Journal(tmp_path / "runs.jsonl", clock=utc_now).steps()
    published = [step.outcome for step in steps if step.step == "publish"]
    assert 1 + ROUNDS == published.count(SUCCEEDED), published
    for what, target, taken in (("nothing new", "≤ 4 s", quiet), (f"{NEW_LINES:,} new lines", "≤ 8 s", busy)):
        figure = f"a cycle with {what} beside {lines:,}"
        figures.add(figure, target, [wall for wall, _ in taken], "s")
        figures.add("  of processors", "", [cpu for _, cpu in taken], "s")
    begun = {step.run_id: step.started_at for step in steps if step.step == PIPELINE}
    shown = [
        (step.ended_at - begun[step.run_id]).total_seconds()
        for step in steps
        if step.step == PUBLISH and step.outcome == SUCCEEDED and step.ended_at
    ]
    figures.add("  of the new lines: from the start until readers see them", "≤ 8 s", shown[1:], "s")
    for name in (TRANSFORM, VALIDATE, PUBLISH):
        done = [step.seconds for step in steps if step.step == name and step.outcome == SUCCEEDED]
        # The first build made everything.
        figures.add(f"  of the new lines: {name}", "", [each for each in done[1:] if each is not None], "s")


def write_new_lines(path: Path) -> None:
    """Write 1,000 lines of five conversations."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [log.path.read_text(encoding="utf-8") for log in find_logs([shipped.sample_logs()]).files]
    source = "".join(texts).splitlines(keepends=True)
    written = [
        line.replace('"sessionId":"', f'"sessionId":"{path.stem}-').replace(
            '"uuid":"', f'"uuid":"{path.stem}-'
        )
        for line in source[:NEW_LINES]
    ]
    path.write_text("".join(written))


@pytest.mark.parametrize("size", ["sample", "256 MB"])
def test_demo(size: str, tmp_path: Path, figures: Figures) -> None:
    """The command, from its start to its end, on fresh data each time; its processors with MongoDB's."""
    options = []
    if size != "sample":
        options = ["--logs", str(copies_of_logs(tmp_path / "projects", IMPORT_BYTES))]
    taken, of_processors = [], []
    for number in range(ROUNDS if size == "sample" else 1):
        folder = tmp_path / str(number)
        settings = os.environ | {"PYTHONPATH": str(ROOT), "DATA_DIR": str(folder)}
        started, cpu_before = time.monotonic(), ended_children_cpu_seconds()
        subprocess.run([*PROGRAM, "demo", *options], env=settings, check=True, capture_output=True)
        taken.append(time.monotonic() - started)
        of_processors.append(ended_children_cpu_seconds() - cpu_before)
        shutil.rmtree(folder)
    figures.add(f"demo, {size}", "≤ 15 s" if size == "sample" else "≤ 40 s", taken, "s")
    figures.add("  of processors", "", of_processors, "s")
