"""A warehouse that others hold, or whose files pile up: waited for, named, loaded in linear time."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from bson.objectid import ObjectId

from stream.clock import utc_now
from stream.core.schema import to_table
from stream.errors import WarehouseBusyError
from stream.landing.footer import footer_of
from tests.support.landing import lane_of, upsert
from tests.support.paths import ROOT
from tests.support.streaming import make_warehouse, meanwhile

pytestmark = pytest.mark.integration

HOLDER = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"

LOADER = """
import resource, sys, time
from pathlib import Path
from tests.support.streaming import make_warehouse

began = time.process_time()
rows = make_warehouse(Path(sys.argv[1])).load(timeout_seconds=10).rows
print(rows, time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@contextmanager
def holder(path: Path) -> "Iterator[subprocess.Popen[str]]":
    """Let another program, which knows nothing of our lock, have the file."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def land_one_by_one(folder: Path, files: int, *, start: int = 0) -> None:
    """Land files of one row each, as a stream does while nobody loads."""
    lane = lane_of(folder)
    lane.folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + files):
        rows = [upsert(ObjectId(f"{1_767_000_000 + number:08x}{number:016x}"), number + 1)]
        named = lane.new_name(number)
        lane.land(named, to_table(rows), footer_of(named.id, to_table(rows), landed_at=utc_now()))


@pytest.mark.fault(
    13, "another program has the DuckDB file open", "named with its process, and waited for as long as set"
)
def test_another_program_is_named_and_waited_for(tmp_path: Path) -> None:
    """It knows nothing of the lock, but DuckDB says who it is."""
    warehouse = make_warehouse(tmp_path)
    land_one_by_one(tmp_path, 1)
    warehouse.load(timeout_seconds=0)
    land_one_by_one(tmp_path, 1, start=1)
    with holder(warehouse.path) as process:
        with pytest.raises(WarehouseBusyError, match=f"process {process.pid}"):
            warehouse.load(timeout_seconds=0)

        def release() -> None:
            time.sleep(1)
            process.kill()

        with meanwhile(release):
            assert 1 == warehouse.load(timeout_seconds=120).rows


@pytest.mark.fault(
    13,
    "the warehouse is held for an hour while small files land",
    "loaded in time linear in the files, in the same memory",
)
def test_the_cost_of_many_files_is_linear(tmp_path: Path) -> None:
    """Of the processor's time six times as much for six times the files, of memory no more."""
    few, hour = (cost_of_loading(tmp_path / str(files), files) for files in (300, 1800))

    assert hour.seconds < 9 * few.seconds
    assert hour.peak_bytes < few.peak_bytes + 80_000_000


@dataclass(frozen=True)
class Cost:
    """Of a load: the processor's time, and the most memory that the process ever had."""

    seconds: float
    peak_bytes: int


def cost_of_loading(folder: Path, files: int) -> Cost:
    """Load so many files of one row each, into a warehouse that has some, in a process of its own."""
    warehouse = make_warehouse(folder)
    land_one_by_one(folder, 10)
    warehouse.load(timeout_seconds=10)
    land_one_by_one(folder, files, start=100)
    loaded = subprocess.run(
        [sys.executable, "-c", LOADER, folder], cwd=ROOT, check=True, capture_output=True, text=True
    )
    rows, seconds, peak_kilobytes = loaded.stdout.split()
    assert files == int(rows)
    return Cost(float(seconds), int(peak_kilobytes) * 1024)


def test_an_id_of_megabytes_costs_what_its_bytes_do(tmp_path: Path) -> None:
    """It is in no statement: inserted, changed and deleted like others."""
    warehouse = make_warehouse(tmp_path)
    lane = lane_of(tmp_path)
    lane.folder.mkdir(parents=True, exist_ok=True)
    for number in range(2):
        rows = [
            upsert("x" * 3_000_000, number + 1, uuid=f"{number}"),
            upsert("x" * 3_000_000 + "y", number + 1),
        ]
        named = lane.new_name(number)
        lane.land(named, to_table(rows), footer_of(named.id, to_table(rows), landed_at=utc_now()))
        assert 2 == warehouse.load(timeout_seconds=10).rows_upserted
    with warehouse.opened(timeout_seconds=10) as connection:
        found = connection.execute("select uuid, length(_id) from raw.conversations order by 2").fetchall()
    assert [("1", 3_000_002), (None, 3_000_003)] == found
