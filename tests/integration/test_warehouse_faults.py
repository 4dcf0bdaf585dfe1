"""A DuckDB file that is held, damaged, none at all, or out of space; landed files that are damaged."""

import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stream.errors import (
    LandingFullError,
    LandingNotWritableError,
    MicroBatchCorruptError,
    SchemaTooNewError,
    SettingsError,
    StepFailedError,
    WarehouseBusyError,
    WarehouseCorruptError,
)
from stream.settings import StreamSettings
from stream.warehouse.load import LoadResult, LoadTransaction
from stream.warehouse.warehouse import Warehouse, _chunks
from tests.support.equality import assert_manifest_is_sound, warehouse_rows
from tests.support.landing import delete, land, upsert
from tests.support.paths import ROOT
from tests.support.streaming import make_warehouse, meanwhile, wait_until

pytestmark = pytest.mark.integration

HOLD = """
import sys, time
from pathlib import Path
{acquire}
print("held", flush=True)
sys.stdin.read()
"""
LEASE = """
from stream.clock import utc_now
from stream.warehouse.lock import WarehouseLock
holding = WarehouseLock(Path(sys.argv[1]), clock=utc_now).held(timeout_seconds=5)
holding.__enter__()
"""
FILE = """
import duckdb
connection = duckdb.connect(sys.argv[1])
"""


@contextmanager
def held_by_another_process(path: Path, acquire: str) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD.format(acquire=acquire), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        try:
            assert process.stdout is not None
            assert b"held\n" == process.stdout.readline()
            yield
        finally:
            process.kill()


def with_rows(folder: Path, rows: int = 3) -> Warehouse:
    warehouse = make_warehouse(folder)
    land(folder, [upsert(number, 10) for number in range(rows)])
    warehouse.load(timeout_seconds=5)
    return warehouse


@pytest.mark.fault(13, "the process that holds the warehouse is killed", "the next load goes through")
@pytest.mark.parametrize(
    ("acquire", "message"),
    [
        (LEASE, r"the warehouse is in use by `-c.*` \(process \d+, since 2.*\)"),
        (
            FILE,
            r"another program \(`.*python.*`, process \d+\) has the DuckDB file `.*analytics\.duckdb` open",
        ),
    ],
    ids=["the lease", "the file itself"],
)
def test_a_held_warehouse_is_waited_for(tmp_path: Path, acquire: str, message: str) -> None:
    """Who holds it is said, exit code 1; once it is free the load goes through."""
    warehouse = with_rows(tmp_path)
    land(tmp_path, [upsert(7, 20)])

    with held_by_another_process(warehouse.path, acquire):
        with pytest.raises(WarehouseBusyError, match=message) as caught:
            warehouse.load(timeout_seconds=0.1)
        assert 1 == caught.value.exit_code
        assert "not lost" in caught.value.hint

    assert 1 == warehouse.load(timeout_seconds=5).rows


def test_a_lease_is_waited_for_as_long_as_told(tmp_path: Path) -> None:
    """A load begins as soon as the other one is done."""
    warehouse = with_rows(tmp_path)
    other = make_warehouse(tmp_path)
    land(tmp_path, [upsert(7, 20)])
    holding = threading.Event()

    def hold() -> None:
        with other.lock.held(timeout_seconds=1):
            holding.set()
            time.sleep(0.3)

    with meanwhile(hold):
        holding.wait()
        assert 1 == warehouse.load(timeout_seconds=20).rows


def test_two_processes_may_load_at_once(tmp_path: Path) -> None:
    """Each micro-batch is loaded by one of them."""
    for number in range(20):
        land(tmp_path, [upsert(number, 10)])
    loads = [make_warehouse(tmp_path) for _ in range(3)]
    rows: list[int] = []
    threads = [
        threading.Thread(target=lambda one=one: rows.append(one.load(timeout_seconds=20).rows))
        for one in loads
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [0, 0, 20] == sorted(rows)
    assert_manifest_is_sound(loads[0])


def test_the_holder_of_a_free_lease_is_nobody_known(tmp_path: Path) -> None:
    """The note about the holder is for messages only; without or with a damaged one nothing fails."""
    warehouse = make_warehouse(tmp_path)
    assert "another process" == warehouse.lock.holder()
    for damaged in ("", "[]", "{}", "no json"):
        (tmp_path / "analytics.duckdb.lease.json").write_text(damaged)
        assert "another process" == warehouse.lock.holder()


def test_the_note_about_the_holder_may_fail(tmp_path: Path) -> None:
    """A folder in its place stands for a full disk: the lease works, and is free again afterwards."""
    (tmp_path / "analytics.duckdb.lease.json").mkdir()
    warehouse = with_rows(tmp_path)

    assert 3 == len(warehouse_rows(warehouse))


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def damage_blocks(path: Path) -> None:
    for at in range(12288 + 1000, path.stat().st_size, 4096):
        flip(path, at)


def damage_headers(path: Path) -> None:
    flip(path, 4096 + 8)
    flip(path, 8192 + 8)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_bytes(b"this is no database, whatever its name says" * 1000),
    "first header": lambda path: flip(path, 100),
    "other headers": damage_headers,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 3]),
    "a block": damage_blocks,
}


def test_a_file_that_has_become_smaller_is_sound(tmp_path: Path) -> None:
    """DuckDB gives free space at the end of its file back; that is no damage."""
    land(tmp_path, [upsert(1, 10)])
    warehouse = make_warehouse(tmp_path)
    warehouse.load(timeout_seconds=5)
    with warehouse.opened(timeout_seconds=5) as connection:
        connection.execute("create table large as select range as number from range(200000)")
    before_bytes = warehouse.path.stat().st_size
    with warehouse.opened(timeout_seconds=5) as connection:
        connection.execute("drop table large")

    assert warehouse.path.stat().st_size < before_bytes
    assert 1 == len(warehouse_rows(warehouse))


@pytest.mark.fault(
    13,
    "the DuckDB file is overwritten, truncated, flipped",
    "exit 2; `load --full-refresh` restores every row",
)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_said_and_rebuilt(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    """Exit code 2 and what to run; `rebuild` sets the file aside and restores every row."""
    land(tmp_path, [upsert(number, 10, message="x" * 500) for number in range(2000)])
    land(tmp_path, [delete(0, 20), upsert(1, 20, type="changed")])
    make_warehouse(tmp_path).load(timeout_seconds=5)
    warehouse = make_warehouse(tmp_path)
    before = warehouse_rows(warehouse)
    damage(warehouse.path)
    land(tmp_path, [upsert(5, 30, type="after")])

    with pytest.raises(
        WarehouseCorruptError, match=r"cannot use the DuckDB file `.*analytics\.duckdb`"
    ) as caught:
        warehouse.load(timeout_seconds=5)
    assert 2 == caught.value.exit_code
    assert "claude-analytics load --full-refresh" in caught.value.hint
    warehouse.rebuild(timeout_seconds=5)

    after = warehouse_rows(warehouse)
    assert "after" == after.pop("i:5")["type"]
    before.pop("i:5")
    assert before == after
    assert_manifest_is_sound(warehouse)
    assert 1 == len(list(tmp_path.glob("analytics.duckdb.corrupt-*")))


def test_a_file_that_a_crash_leaves_is_no_damage(tmp_path: Path) -> None:
    """Killed right behind a commit, again and again: DuckDB has free blocks then that were never written."""
    folder, crashed = tmp_path / "data", tmp_path / "crashed"
    chance = random.Random(8)

    def crash(failpoint: str) -> None:
        if failpoint == "load_committed":
            crashed.mkdir()
            for path in folder.glob("analytics.duckdb*"):
                shutil.copy(path, crashed / path.name)

    for version in range(10, 60, 10):
        rows = chance.randrange(100, 3000)
        land(
            folder,
            [upsert(number, version, message=chance.randbytes(300).hex()) for number in range(rows)]
            + [delete(number, version + 1) for number in range(0 if version % 20 else 1000)],
        )
        make_warehouse(folder, at_failpoint=crash).load(timeout_seconds=5)
        for path in folder.glob("analytics.duckdb*"):
            path.unlink()
        for path in crashed.iterdir():
            path.rename(folder / path.name)
        crashed.rmdir()
        with make_warehouse(folder).opened(timeout_seconds=5) as connection:
            connection.execute("select sum(hash(conversations)) from raw.conversations conversations")


def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    """What a crash at the very first start may leave is no damage; nor is the log of a deleted file."""
    (tmp_path / "analytics.duckdb").touch()
    (tmp_path / "analytics.duckdb.wal").write_bytes(b"left over")
    (tmp_path / ".analytics.duckdb.inflight").write_bytes(b"half a database")

    assert 3 == len(warehouse_rows(with_rows(tmp_path)))
    assert [] == list(tmp_path.glob(".*.inflight*"))


def test_a_deleted_warehouse_is_made_anew(tmp_path: Path) -> None:
    """A running worker whose file is deleted under its feet loads everything again."""
    warehouse = with_rows(tmp_path)
    warehouse.path.unlink()
    land(tmp_path, [upsert(7, 20)])

    assert 2 == warehouse.load(timeout_seconds=5).micro_batches
    assert 4 == len(warehouse_rows(warehouse))


def test_a_warehouse_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """An older program does not touch it, and says what to run."""
    warehouse = with_rows(tmp_path)
    with warehouse.opened(timeout_seconds=5) as connection:
        connection.execute("insert into main.claude_analytics_schema values (99)")

    for act in (warehouse.load, warehouse.rebuild):
        with pytest.raises(SchemaTooNewError, match="has schema version 99, this program knows"):
            act(timeout_seconds=5)
    assert warehouse.path.exists()


@pytest.mark.parametrize("settings", [{"memory_limit": "lots"}, {"threads": 0}], ids=["memory", "threads"])
def test_settings_that_duckdb_refuses_are_said(tmp_path: Path, settings: dict[str, Any]) -> None:
    """They are no damage of the file: a rebuild leaves it where it is."""
    good = with_rows(tmp_path)
    warehouse = Warehouse(good.path, landing=good._landing, clock=good._clock, **settings)

    for act in (warehouse.load, warehouse.rebuild):
        with pytest.raises(SettingsError, match="DuckDB refuses its settings") as caught:
            act(timeout_seconds=5)
        assert "DUCKDB_MEMORY_LIMIT" in caught.value.hint
    assert [] == list(tmp_path.glob("*corrupt*"))
    assert 3 == len(warehouse_rows(good))


def test_too_little_memory_is_no_damage(tmp_path: Path) -> None:
    """The load fails, may be tried again with more, and the file is as it was."""
    good = with_rows(tmp_path)
    land(tmp_path, [upsert(number, 20, message=f"{number}" * 5000) for number in range(2000)])
    starved = Warehouse(good.path, landing=good._landing, clock=good._clock, threads=1, memory_limit="3MB")

    with pytest.raises(StepFailedError, match="Out of Memory") as caught:
        starved.load(timeout_seconds=5)
    assert "DUCKDB_MEMORY_LIMIT" in caught.value.hint
    assert 1 == caught.value.exit_code
    assert 2000 == good.load(timeout_seconds=5).rows


@pytest.mark.fault(13, "DuckDB refuses a load", "halved until it fits; all up to the file at fault loads")
@pytest.mark.parametrize(
    "error",
    [duckdb.OutOfMemoryException, duckdb.TransactionException, duckdb.ConversionException],
    ids=["memory", "commit", "content"],
)
def test_a_load_that_duckdb_refuses_is_halved(tmp_path: Path, error: type[duckdb.Error]) -> None:
    """One file never goes in: all before it is loaded, it is named, and what is behind it waits."""
    files = [land(tmp_path, [upsert(number, 10)]) for number in range(9)]
    refused: list[int] = []

    def refuse(failpoint: str) -> None:
        if failpoint == "load_before_commit" and warehouse._connection is not None:
            found = warehouse._connection.execute("select _id from raw.conversations order by _id").fetchall()
            if ("i:6",) in found:
                refused.append(len(found))
                raise error("refused")

    warehouse = make_warehouse(tmp_path, at_failpoint=refuse)
    for _ in range(2):
        with pytest.raises(StepFailedError, match=f"cannot load micro-batch `{files[6].path}`") as caught:
            warehouse.load(timeout_seconds=5)
        assert "STREAM_DUCKDB_MEMORY_LIMIT" in caught.value.hint
        assert [f"i:{number}" for number in range(6)] == list(warehouse_rows(warehouse))
    assert [9, 9, 9, 7, 9, 7] == refused

    assert 3 == make_warehouse(tmp_path).load(timeout_seconds=5).rows
    assert_manifest_is_sound(warehouse)


def test_a_disk_that_is_full_at_the_commit_is_no_fault_of_the_file(tmp_path: Path) -> None:
    """DuckDB tells it in the words of a failed transaction."""
    files = [land(tmp_path, [upsert(number, 10)]) for number in range(2)]

    def refuse(failpoint: str) -> None:
        if failpoint == "load_before_commit":
            raise duckdb.TransactionException(
                'Failed to commit: Could not write file "x.wal": No space left on device'
            )

    with pytest.raises(LandingFullError, match="No space left") as caught:
        make_warehouse(tmp_path, at_failpoint=refuse).load(timeout_seconds=5)
    assert "free some space" in caught.value.hint
    assert make_warehouse(tmp_path).load(timeout_seconds=5).rows == len(files)


def test_the_memory_of_a_stream_worker_is_enough_for_the_largest_documents(tmp_path: Path) -> None:
    """Some of nearly 16 MB, new and then changed, wait to be loaded together."""
    good = make_warehouse(tmp_path)
    limit: str = StreamSettings.model_fields["memory_limit"].default
    warehouse = Warehouse(good.path, landing=good._landing, clock=good._clock, threads=1, memory_limit=limit)

    for version in (10, 20):
        for number in range(2):
            land(
                tmp_path, [upsert(number, version, message=random.Random(number).randbytes(7_800_000).hex())]
            )
        assert 2 == warehouse.load(timeout_seconds=5).rows_upserted


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A path below a file cannot be made by anyone, whatever the privileges."""
    (tmp_path / "file").touch()
    land(tmp_path, [upsert(1, 10)])
    good = make_warehouse(tmp_path)
    warehouse = Warehouse(tmp_path / "file" / "x.duckdb", landing=good._landing, clock=good._clock)

    with pytest.raises(LandingNotWritableError, match=r"cannot write `.*file/x\.duckdb"):
        warehouse.load(timeout_seconds=1)


def test_a_full_disk_of_the_warehouse_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    """The load fails as a whole, says so, and goes through once there is room."""
    good = with_rows(tmp_path)
    land(
        tmp_path,
        [upsert(number, 20, message=random.Random(number).randbytes(4000).hex()) for number in range(3000)],
    )
    warehouse = Warehouse(small_disk / "x.duckdb", landing=good._landing, clock=good._clock, threads=1)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 9_000_000)

    with pytest.raises(LandingFullError, match=r"cannot write `.*x\.duckdb`: .*[Nn]o space left") as caught:
        warehouse.load(timeout_seconds=5)
    assert 1 == caught.value.exit_code
    assert [] == list(tmp_path.glob("**/*corrupt*"))


def test_a_load_can_be_broken_off(tmp_path: Path) -> None:
    """Another thread interrupts a long load; nothing of it stays, and the next one does it all."""
    land(tmp_path, [upsert(number, 10, message="x" * 2000) for number in range(20_000)])
    warehouse = make_warehouse(tmp_path)
    warehouse.interrupt()  # of nothing is nothing

    def interrupt() -> None:
        wait_until(lambda: warehouse._connection is not None)
        for _ in range(200):
            warehouse.interrupt()
            time.sleep(0.005)

    with (
        pytest.raises(WarehouseBusyError, match="the load was interrupted"),
        meanwhile(interrupt),
    ):
        warehouse.load(timeout_seconds=5)
    assert 20_000 == warehouse.load(timeout_seconds=5).rows


def corrupt_a_landed_file(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "empty":
        content = bytearray()
    elif how == "text":
        content = bytearray(b"no parquet at all")
    elif how == "vanished":
        path.unlink()
        return
    else:
        content[int(how) if int(how) >= 0 else len(content) + int(how)] ^= 1
    path.write_bytes(content)


@pytest.mark.fault(
    2,
    "a landed file is truncated, emptied or overwritten",
    "what is before it loads, what is behind it waits",
)
@pytest.mark.parametrize(
    "how",
    ["truncated", "empty", "text", "100", "3000", "-20", "-400"],
    ids=[
        "truncated",
        "empty",
        "text",
        "bit in a page",
        "another page",
        "bit in the footer",
        "in the metadata",
    ],
)
def test_a_damaged_landed_file_is_named(tmp_path: Path, how: str) -> None:
    """What is before it is loaded, what is behind it waits; restored, all of it loads: nothing is lost."""
    files = [land(tmp_path, [upsert(number, 10, message=f"{number}" * 999)]) for number in range(3)]
    good = files[1].path.read_bytes()
    corrupt_a_landed_file(files[1].path, how)
    warehouse = make_warehouse(tmp_path)

    for _ in range(2):
        with pytest.raises(MicroBatchCorruptError, match=f"`{files[1].path}` is corrupt") as caught:
            warehouse.load(timeout_seconds=5)
        assert 2 == caught.value.exit_code
        assert "restore it from a backup" in caught.value.hint
        assert ["i:0"] == list(warehouse_rows(warehouse))

    files[1].path.write_bytes(good)
    assert 2 == warehouse.load(timeout_seconds=5).rows
    assert_manifest_is_sound(warehouse)


@pytest.mark.fault(2, "any bit of a landed file flips", "exit 2 naming the file; restored, it loads")
def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """Wherever in the file it is; DuckDB alone would load most of them without a word."""
    landed = land(tmp_path, [upsert(number, 10, message=f"{number}" * 9) for number in range(50)])
    good = landed.path.read_bytes()
    warehouse = make_warehouse(tmp_path)
    chance = random.Random(3)

    for _ in range(40):
        corrupt_a_landed_file(landed.path, str(chance.randrange(len(good))))
        with pytest.raises(MicroBatchCorruptError, match="its checksum is"):
            warehouse.load(timeout_seconds=5)
        landed.path.write_bytes(good)
    assert 50 == warehouse.load(timeout_seconds=5).rows


def test_a_rebuild_forgets_nothing_that_it_cannot_restore(tmp_path: Path) -> None:
    """With a damaged file in the landing zone the warehouse stays as it is."""
    warehouse = with_rows(tmp_path)
    newest = land(tmp_path, [upsert(7, 20)])
    warehouse.load(timeout_seconds=5)
    corrupt_a_landed_file(newest.path, "100")

    with pytest.raises(MicroBatchCorruptError):
        warehouse.rebuild(timeout_seconds=5)
    assert 4 == len(warehouse_rows(warehouse))


def test_a_landed_file_that_vanishes_is_named(tmp_path: Path) -> None:
    """Between the look into the folder and the load; it is no damage of the warehouse."""
    warehouse = with_rows(tmp_path)
    gone = land(tmp_path, [upsert(7, 20)])
    with warehouse.opened(timeout_seconds=5) as connection:
        pending = warehouse.pending(connection)
        corrupt_a_landed_file(gone.path, "vanished")
        with pytest.raises(MicroBatchCorruptError, match="No such file or directory"):
            list(_chunks(pending))


def test_a_landed_file_that_vanishes_during_the_load_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the check, before DuckDB reads it: still no damage of the warehouse."""
    warehouse = with_rows(tmp_path)
    gone = land(tmp_path, [upsert(7, 20)])

    def run(transaction: LoadTransaction) -> LoadResult:
        gone.path.unlink(missing_ok=True)
        return original(transaction)

    original = LoadTransaction.run
    monkeypatch.setattr(LoadTransaction, "run", run)

    with pytest.raises(MicroBatchCorruptError, match=f"`{gone.path}` is corrupt: No such file"):
        warehouse.load(timeout_seconds=5)
    assert 3 == len(warehouse_rows(warehouse))
