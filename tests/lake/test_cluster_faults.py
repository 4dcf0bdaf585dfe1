"""Executors and Spark itself are killed amid a MERGE and a build; nobody reaches the bucket in one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from batch import shipped
from batch.lake.maintain import LakeMaintenance
from batch.lake.s3_server import S3Server
from batch.lake.spark_cluster import SparkCluster
from stream.clock import utc_now
from tests.support.lake_marts import BothMarts
from tests.support.laking import Lake, publisher_of
from tests.support.landing import upsert
from tests.support.marts import documents_of
from tests.support.paths import ROOT
from tests.support.patience import patience
from tests.support.s3_proxy import S3Proxy
from tests.tools.compare_marts import arrivals

LONG_AGO = (utc_now() - timedelta(days=30)).timestamp()
MODELS = ("+fct_active_hours", "+fct_messages")
WRITTEN = "tables/staging/base_lines/data"
OUTAGE_SECONDS = 60
BUILT = ("fct_active_hours", "fct_messages")

_PROGRAM = """
import os, sys
from pathlib import Path
from stream.errors import AnalyticsError
from tests.support.lake_marts import BothMarts
from tests.support.laking import Lake

folder, uri, master, failures, *models = sys.argv[1:]
lake = Lake(Path(folder), uri, master=master, spark={"spark.task.maxFailures": failures})
try:
    if models:
        BothMarts(lake).build_in_iceberg(*models)
    else:
        lake.loader(lambda reached: print(reached, flush=True)).load(timeout_seconds=30)
except (AnalyticsError, RuntimeError) as error:
    print(f"{type(error).__name__}: {error}", flush=True)
    os._exit(getattr(error, "exit_code", 1))
print("done", flush=True)
"""

_HOLDER = """
import sys
from pathlib import Path
from tests.support.laking import Lake

folder, uri, master, _ = sys.argv[1:]
lake = Lake(Path(folder), uri, master=master)
lake.spark.wait_for_executors()
print("has executors", flush=True)
sys.stdin.readline()
lake.loader().load(timeout_seconds=30)
print("done", flush=True)
"""
"""It has all executors of the cluster, and loads when it is told to."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """Start a cluster of one worker, so of one executor at a time."""
    with SparkCluster(tmp_path_factory.mktemp("spark"), workers=1, worker_memory="1500m") as cluster:
        yield cluster


@contextmanager
def started(
    lake: Lake, cluster: SparkCluster, *models: str, failures: int = 4, program: str = _PROGRAM
) -> "Iterator[subprocess.Popen[str]]":
    """Load, or build some models, on the cluster in a process of its own; a task may fail so often."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-c", program),
            *(str(lake.folder), lake.uri, cluster.master, str(failures), *models),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(process: "subprocess.Popen[str]", line: str) -> None:
    """Return when it has printed a line."""
    assert process.stdout is not None
    said: list[str] = []
    while f"{line}\n" not in said[-1:]:
        said.append(process.stdout.readline())
        assert said[-1], said


def wait_until_it_writes(process: "subprocess.Popen[str]", lake: Lake, table: str) -> None:
    """Return when a task has begun a data file of a table that is written for longer than that takes."""
    data = lake.folder / "tables" / table / "data"
    before = set(data.rglob("*.parquet"))
    while set(data.rglob("*.parquet")) <= before:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def kill_the_executor() -> None:
    """Kill it, and wait until it has gone; the worker starts another."""
    executors = [each for each in psutil.Process().children(recursive=True) if _is_executor(each)]
    assert executors
    for each in executors:
        each.kill()
    psutil.wait_procs(executors, timeout=patience(30))


def _is_executor(process: psutil.Process) -> bool:
    try:
        return "org.apache.spark.executor.CoarseGrainedExecutorBackend" in process.cmdline()
    except psutil.Error:  # it has gone since
        return False


def assert_nothing_is_left(lake: Lake) -> None:
    """Maintain, as if that were a month later: afterwards there is no file that no table names."""
    for path in (lake.folder / "tables").rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    LakeMaintenance(lake.spark, lake.catalog, utc_now).run()
    assert set() == lake.unnamed_files()


@pytest.mark.fault(
    1,
    "`kill -9` of an executor of a Spark cluster in the MERGE",
    "its tasks are done again; where none may be, exit 1, and the next load goes on; maintenance removes "
    "what it has left",
)
@pytest.mark.parametrize(("failures", "code"), [(4, 0), (1, 1)], ids=["done again", "failed"])
def test_an_executor_that_is_killed_in_the_merge(
    lake: Lake, cluster: SparkCluster, failures: int, code: int
) -> None:
    """Every row is there once, whether Spark does the task again or gives up."""
    lake.land([upsert(number, 10, sessionId="a") for number in range(20_000)])
    with started(lake, cluster, failures=failures) as process:
        wait_until_it_writes(process, lake, "raw/documents")
        kill_the_executor()
        said, _ = process.communicate(timeout=patience(300))
    assert code == process.returncode
    assert ("StepFailedError" if code else "done") == said.splitlines()[-1].partition(":")[0]

    assert lake.load().micro_batches == code
    lake.assert_same_raw()
    assert_nothing_is_left(lake)
    lake.assert_same_raw()


@pytest.mark.fault(
    15,
    "a load while another process has all executors of the Spark cluster, and wants to load, too",
    "it waits for executors without keeping the other from loading, and goes on when that has ended",
)
def test_who_waits_for_executors_holds_no_lock(lake: Lake, cluster: SparkCluster) -> None:
    """Else both would wait for each other: one for executors, the other for the right to load."""
    lake.load()
    with started(lake, cluster, program=_HOLDER) as holder:
        assert holder.stdin is not None
        wait_for(holder, "has executors")
        lake.land([upsert(1, 10)])
        with started(lake, cluster) as waiting:
            wait_for(waiting, "files_registered")
            holder.stdin.write("\n")
            holder.stdin.flush()
            wait_for(holder, "done")
            assert 0 == holder.wait(timeout=patience(60))
            assert "done" in waiting.communicate(timeout=patience(120))[0]
    assert [("i:1",)] == lake.rows("select _id from raw.conversations")


@pytest.mark.fault(
    15,
    "`kill -9` of an executor of a Spark cluster, and of Spark with its driver, in a build",
    "readers keep the previous build; the tasks are done again, the next build makes up for the other",
)
def test_a_build_that_is_killed(lake: Lake, cluster: SparkCluster) -> None:
    """An executor is killed in one build, driver and all in the next: the marts end as those of DuckDB."""
    both = BothMarts(lake)
    first, second, third = arrivals(documents_of(shipped.sample_logs()))
    both.change(first[0])
    both.build_unchecked(*MODELS)
    publisher_of(lake).publish("20260101", timeout_seconds=5)
    seen = both.published()
    assert set(seen) == set(BUILT)

    both.change(second[0], deletes=second[1])
    with started(lake, cluster, *MODELS) as process:
        wait_until_it_writes(process, lake, "staging/base_lines")
        kill_the_executor()
        assert "done\n" == process.communicate(timeout=patience(300))[0]
    both.duckdb.build_unchecked(*MODELS)
    assert [] == both.differences(BUILT)
    assert both.published() == seen

    both.change(third[0], deletes=third[1])
    with started(lake, cluster, *MODELS) as process:
        wait_until_it_writes(process, lake, "marts/fct_messages")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=patience(30))
        assert -signal.SIGKILL == process.returncode
    assert both.published() == seen
    both.build_unchecked(*MODELS)
    assert [] == both.differences(BUILT)
    publisher_of(lake).publish("20260102", timeout_seconds=5)
    assert both.published() != seen

    assert_nothing_is_left(lake)
    assert [] == both.differences(BUILT)


@pytest.mark.fault(
    15,
    "nobody reaches the bucket of the Iceberg tables for a minute, in a build",
    "readers keep the previous build; it goes on, or the next one makes up for it",
)
def test_a_build_whose_bucket_nobody_reaches_for_a_minute(
    database: str, base: Any, bucket_url: str, s3_server: S3Server, tmp_path: Path
) -> None:
    """Readers see the previous build throughout; whether it waits or fails, the marts end as DuckDB's."""
    with S3Proxy(s3_server.endpoint) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        lake = Lake(tmp_path, database, bucket=bucket_url, session=base.newSession())
        both = BothMarts(lake)
        assert lake.storage is not None
        first, second, _ = arrivals(documents_of(shipped.sample_logs()))
        both.change(first[0])
        both.build_unchecked(*MODELS)
        publisher_of(lake).publish("20260101", timeout_seconds=5)
        seen = both.published()
        both.change(second[0], deletes=second[1])

        failures: list[str] = []

        def build() -> None:
            try:
                both.build_in_iceberg(*MODELS)
            except RuntimeError as error:
                failures.append(str(error))

        there = len(list(lake.storage.list_after(WRITTEN)))
        building = threading.Thread(target=build)
        building.start()
        while len(list(lake.storage.list_after(WRITTEN))) == there:
            assert building.is_alive(), failures
            time.sleep(0.05)
        with proxy.unreachable():
            building.join(OUTAGE_SECONDS)
        building.join(patience(300))
        assert not building.is_alive()
        assert both.published() == seen

        both.build_unchecked(*MODELS)
        assert [] == both.differences(BUILT)
