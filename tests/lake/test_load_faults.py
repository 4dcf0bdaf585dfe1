"""Loads that are killed, and loads that meet: nothing is lost, nothing is there twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from batch.lake.maintain import LakeMaintenance
from batch.lake.notes import LOAD_ID
from batch.lake.postgres_server import PostgresServer
from stream.clock import utc_now
from stream.errors import CatalogUnreachableError, StepFailedError
from stream.warehouse.load import LoadResult
from tests.support.laking import Lake
from tests.support.landing import delete, upsert
from tests.support.paths import ROOT
from tests.support.patience import patience

LONG_AGO = (utc_now() - timedelta(days=30)).timestamp()

_PROGRAM = """
import os, signal, sys
from pathlib import Path
from stream.errors import AnalyticsError
from tests.support.laking import Lake

folder, uri, bucket, where = Path(sys.argv[1]), sys.argv[2], sys.argv[3] or None, sys.argv[4]
doing = sys.argv[5]

def at_failpoint(name):
    if name == where:
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "changes_noted":
        print("merging", flush=True)

try:
    getattr(Lake(folder, uri, bucket=bucket).loader(at_failpoint), doing)(timeout_seconds=30)
except AnalyticsError as error:
    print(f"{type(error).__name__}: {error.message}", flush=True)
    os._exit(error.exit_code)
print("loaded", flush=True)
"""


def start_load(lake: Lake, where: str, *, doing: str = "load") -> "subprocess.Popen[str]":
    """Load, or rebuild, in a process of its own, which dies at a failpoint."""
    bucket = lake.storage.url if lake.storage else ""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(lake.folder), lake.uri, bucket, where, doing],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def half_loaded(either_lake: Lake) -> Lake:
    """Return a lake of either kind: two documents are loaded, and changes of them have landed."""
    either_lake.land([upsert(1, 10, sessionId="a"), upsert(2, 11, sessionId="a")])
    either_lake.load()
    either_lake.land([upsert(1, 30, sessionId="b"), delete(2, 31), upsert(3, 32, sessionId="c")])
    return either_lake


def wait_until_it_merges(process: "subprocess.Popen[str]") -> None:
    """Return amid the MERGE, whose first task takes longer; wherever it is, the rest must hold."""
    assert process.stdout
    assert "merging\n" == process.stdout.readline()
    time.sleep(0.7)


@pytest.mark.fault(
    1,
    "`kill -9` of a load into Iceberg, Spark with it: before, in and after its commit; in a bucket, too",
    "the next load ends with the same rows",
)
@pytest.mark.parametrize("where", ["files_registered", "changes_noted", "inside", "merged"])
def test_a_killed_load_is_made_up_for(half_loaded: Lake, where: str) -> None:
    """Killed before, in and after its commit, Spark with it: the next load ends as if it had gone well."""
    process = start_load(half_loaded, where)
    if where == "inside":
        wait_until_it_merges(process)
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=patience(300))
    assert -signal.SIGKILL == process.returncode

    half_loaded.load()

    half_loaded.assert_same_raw()


@pytest.mark.fault(
    1, "`kill -9` of Spark alone in the MERGE", "exit 1; the next load goes on, maintenance removes the rest"
)
def test_a_killed_driver_is_an_error_that_trying_again_mends(lake: Lake) -> None:
    """Spark alone is killed in the MERGE: exit code 1; maintenance removes its half-written files."""
    lake.land([upsert(number, 10, sessionId="a") for number in range(20_000)])
    process = start_load(lake, "nowhere")
    wait_until_it_merges(process)
    for each in psutil.Process(process.pid).children(recursive=True):
        each.kill()
    said, _ = process.communicate(timeout=patience(120))
    assert 1 == process.returncode
    assert "StepFailedError: cannot load what has landed" in said

    lake.load()
    lake.assert_same_raw()
    for path in (lake.folder / "tables").rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    LakeMaintenance(lake.spark, lake.catalog, utc_now).run()

    documents = lake.catalog.table("raw.documents")
    assert documents is not None
    named = {path.partition("/data/")[2] for path in documents.inspect.all_files()["file_path"].to_pylist()}
    data = lake.folder / "tables" / "raw" / "documents" / "data"
    assert named == {str(path.relative_to(data)) for path in data.rglob("*.parquet")}
    lake.assert_same_raw()


@pytest.mark.fault(13, "the catalog of the Iceberg tables stops amid a load", "exit 1; the next load goes on")
def test_a_catalog_that_goes_away_amid_a_load_is_an_error_that_trying_again_mends(
    base: Any, tmp_path: Path
) -> None:
    """PostgreSQL stops before the load's commit, and is started again."""
    with PostgresServer(tmp_path / "postgres") as postgres:
        lake = Lake(tmp_path, postgres.uri, session=base.newSession())
        lake.land([upsert(1, 10)])
        lake.load()
        lake.land([upsert(1, 20), upsert(2, 21)])

        def stop(name: str) -> None:
            if name == "changes_noted":
                postgres.stop()

        with pytest.raises((CatalogUnreachableError, StepFailedError)) as raised:
            lake.loader(stop).load(timeout_seconds=5)
        assert 1 == raised.value.exit_code
        with pytest.raises(CatalogUnreachableError):
            lake.loader().load(timeout_seconds=5)
        postgres.start()

        lake.load()
        lake.assert_same_raw()


@pytest.mark.fault(14, "two loads into Iceberg at once", "the second waits, and finds nothing left to do")
def test_two_loads_at_once_load_once(half_loaded: Lake) -> None:
    """The second waits for the first, and finds nothing left to do."""
    lake = half_loaded
    other = start_load(lake, "nowhere")
    results: list[LoadResult] = []
    mine = threading.Thread(target=lambda: results.append(lake.loader().load(timeout_seconds=300)))
    mine.start()
    mine.join()
    said, _ = other.communicate(timeout=patience(300))
    lake.load()

    assert said.endswith("loaded\n")
    lake.assert_same_raw()
    table = lake.catalog.table("raw.documents")
    assert table is not None
    loads = [each.summary.additional_properties.get(LOAD_ID) for each in table.snapshots()]
    assert ["1", "2"] == loads
