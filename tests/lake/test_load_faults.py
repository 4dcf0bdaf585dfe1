"""Loads that are killed, and loads that meet: nothing is lost, nothing is there twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from batch.lake.notes import LOAD_ID
from stream.warehouse.load import LoadResult
from tests.support.laking import Lake
from tests.support.landing import delete, land, upsert
from tests.support.paths import ROOT

_PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
from tests.support.laking import Lake

folder, uri, where = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def at_failpoint(name):
    if name == where:
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "changes_noted" and where == "inside":
        print("merging", flush=True)

Lake(folder, uri).loader(at_failpoint).load(timeout_seconds=30)
print("loaded", flush=True)
"""


def start_load(lake: Lake, where: str) -> "subprocess.Popen[str]":
    """Load in a process of its own, which dies at a failpoint."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(lake.folder), lake.uri, where],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def land_some(folder: Path) -> None:
    land(folder, [upsert(1, 30, sessionId="b"), delete(2, 31), upsert(3, 32, sessionId="c")])


@pytest.mark.parametrize("where", ["files_registered", "changes_noted", "inside", "merged"])
def test_a_killed_load_is_made_up_for(lake: Lake, where: str) -> None:
    """Killed before, in and after its commit: the next load ends with the rows of one that went well."""
    land(lake.folder, [upsert(1, 10, sessionId="a"), upsert(2, 11, sessionId="a")])
    lake.load()
    land_some(lake.folder)
    process = start_load(lake, where)
    assert process.stdout
    if where == "inside":
        assert process.stdout.readline() == "merging\n"
        time.sleep(0.7)  # into the MERGE, whose first task takes longer; wherever it hits, the rest must hold
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL

    lake.load()

    lake.assert_same_raw()


def test_two_loads_at_once_load_once(lake: Lake) -> None:
    """The second waits for the first, and finds nothing left to do."""
    land(lake.folder, [upsert(1, 10), upsert(2, 11)])
    lake.load()
    land_some(lake.folder)
    other = start_load(lake, "nowhere")
    results: list[LoadResult] = []
    mine = threading.Thread(target=lambda: results.append(lake.loader().load(timeout_seconds=300)))
    mine.start()
    mine.join()
    said, _ = other.communicate(timeout=300)
    lake.duckdb.load(timeout_seconds=5)

    assert said == "loaded\n"
    lake.assert_same_raw()
    table = lake.catalog.table("raw.documents")
    assert table is not None
    loads = [each.summary.additional_properties.get(LOAD_ID) for each in table.snapshots()]
    assert loads == ["1", "2"]
