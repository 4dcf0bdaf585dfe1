"""State that an older version left behind: taken over, row for row, and never by halves."""

import gzip
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stream.clock import utc_now
from stream.core.cluster_time import cluster_time_of, instant_of
from stream.core.schema import Row, to_table
from stream.errors import LandingTrimmedError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.footer import footer_of
from stream.landing.micro_batch import read_footer
from stream.landing.retention import low_water_mark, raise_low_water_mark
from stream.landing.zone import LandingZone
from stream.source.resnapshot import ResnapshotStore
from stream.storage.local import LocalStorage
from stream.warehouse import database
from stream.warehouse.database import WAREHOUSE_SCHEMA_VERSION
from tests.support.landing import land, lane_of, upsert
from tests.support.paths import DATA
from tests.support.streaming import make_warehouse, stream_lane

pytestmark = pytest.mark.integration

KEYS = [f"{0x68000000 + number:08x}{'0' * 16}" for number in range(16) if number not in {3, 9}]
"""The documents that were there in the end, waiting ones included."""
WAITING = 2
DROPPED_AT = (1_764_000_000 << 31) + 30
"""Cluster time of the second drop in the state of version 2."""


def unpacked(version: int, folder: Path) -> Path:
    shutil.copytree(DATA / f"state_of_version_{version}", folder)
    packed = folder / "analytics.duckdb.gz"
    (folder / "analytics.duckdb").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a data folder as version 1 left it."""
    return unpacked(1, tmp_path / "data")


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    """Return a data folder as version 2 left it, with two drops of the collection under their old name."""
    return unpacked(2, tmp_path / "data")


def rows_of(folder: Path) -> list[tuple[Any, ...]]:
    with make_warehouse(folder).opened(timeout_seconds=30) as connection:
        return connection.execute(
            "select _id, type, session_id, timestamp, message_content, extra, source_version"
            " from raw.conversations order by _id"
        ).fetchall()


def versions(folder: Path) -> list[int]:
    with duckdb.connect(folder / "analytics.duckdb") as connection:
        found = connection.execute("select version from main.claude_analytics_schema order by 1").fetchall()
    return [version for (version,) in found]


def test_the_fixture_is_old(old: Path) -> None:
    """Otherwise nothing here would be tried."""
    landing = LandingZone(old / "landing", clock=utc_now)
    assert {1} == {read_footer(each).schema_version for each in landing.micro_batches()}
    assert [1] == versions(old)


def test_an_old_warehouse_is_migrated_and_goes_on(old: Path) -> None:
    """Loading brings its schema up to date, keeps its rows, and takes what had landed and waited."""
    loaded = make_warehouse(old).load(timeout_seconds=30)

    assert WAITING == loaded.rows
    assert KEYS == [row[0] for row in rows_of(old)]
    assert list(range(1, WAREHOUSE_SCHEMA_VERSION + 1)) == versions(old)
    assert 0 == make_warehouse(old).load(timeout_seconds=30).rows


def test_an_old_landing_zone_rebuilds_the_warehouse(old: Path) -> None:
    """Rebuilt from files alone it has the same rows as migrated."""
    make_warehouse(old).load(timeout_seconds=30)
    migrated = rows_of(old)
    make_warehouse(old).rebuild(timeout_seconds=30)
    assert migrated == rows_of(old)

    (old / "analytics.duckdb").unlink()
    make_warehouse(old).load(timeout_seconds=30)
    assert migrated == rows_of(old)


def test_an_old_position_is_where_the_stream_goes_on(old: Path) -> None:
    """Behind the newest file, which is newer than `position.json`."""
    position = stream_lane(old).position()
    assert position is not None
    assert "claude_logs.conversations" == position.fingerprint.namespace
    newest = stream_lane(old).newest()
    assert newest is not None
    assert position == read_footer(newest).position


def test_old_dead_letters_are_listed(old: Path) -> None:
    """With the reason they were given then."""
    landing = LandingZone(old / "landing", clock=utc_now)
    assert 1 == DeadLetterStore(old / "dead_letter", clock=utc_now).count(landing)


def test_a_drop_under_its_old_name_still_removes_what_is_older(dropped: Path) -> None:
    """Rows of op `floor` and the table `raw.floors` go on to mean what a truncate marker means."""
    landing = LandingZone(dropped / "landing", clock=utc_now)
    assert {2} == {read_footer(each).schema_version for each in landing.micro_batches()}
    assert [1, 2] == versions(dropped)

    make_warehouse(dropped).load(timeout_seconds=30)

    assert ["i:10", "i:8"] == [row[0] for row in rows_of(dropped)]
    assert list(range(1, WAREHOUSE_SCHEMA_VERSION + 1)) == versions(dropped)
    make_warehouse(dropped).load(timeout_seconds=30)
    migrated = rows_of(dropped)
    (dropped / "analytics.duckdb").unlink()
    warehouse = make_warehouse(dropped)
    assert DROPPED_AT == max(read_footer(each).truncate_marker or 0 for each in landing.micro_batches())
    with pytest.raises(LandingTrimmedError):  # `trimmed.json` is still believed
        warehouse.rebuild(timeout_seconds=30)
    warehouse.rebuild(timeout_seconds=30, is_incomplete=True)
    assert migrated == rows_of(dropped)


def test_marks_under_their_old_names_are_believed_and_renamed(dropped: Path) -> None:
    """`trimmed.json` and `rescan.json` of version 2."""
    landing = dropped / "landing"
    state = LocalStorage(landing)
    assert date(2026, 11, 1) == low_water_mark(state)
    raise_low_water_mark(state, before=date(2026, 11, 2))
    assert date(2026, 11, 2) == low_water_mark(state)
    assert ["low_water_mark.json"] == [path.name for path in landing.glob("*.json")]

    store = ResnapshotStore(stream_lane(dropped))
    state = store.load()
    assert state is not None
    assert DROPPED_AT + 10 == state.truncate_marker
    assert stream_lane(dropped).position() == state.position
    store.forget()
    assert store.load() is None


def test_a_migration_that_fails_leaves_the_old_warehouse(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is one transaction: the old program can still use the file."""
    broken = (*database._MIGRATIONS[:1], "create table raw.half (a int); select no_such_function();")
    monkeypatch.setattr(database, "_MIGRATIONS", broken)
    with pytest.raises(Exception, match="no_such_function"):
        make_warehouse(old).load(timeout_seconds=30)
    monkeypatch.undo()

    assert [1] == versions(old)
    assert WAITING == make_warehouse(old).load(timeout_seconds=30).rows
    with duckdb.connect(old / "analytics.duckdb") as connection:
        assert [] == connection.execute("from duckdb_tables() where table_name = 'half'").fetchall()


@pytest.mark.parametrize("is_rebuilt", [False, True], ids=["migrated", "rebuilt"])
def test_cluster_times_are_taken_over(old: Path, is_rebuilt: bool) -> None:  # noqa: FBT001
    """Packed so that they last beyond 2037, in rows, manifest and footers alike."""
    warehouse = make_warehouse(old)
    warehouse.load(timeout_seconds=30)
    if is_rebuilt:
        warehouse.rebuild(timeout_seconds=30)
    assert {2026, 2025} >= {instant_of(row[-1]).year for row in rows_of(old)}
    with warehouse.opened(timeout_seconds=30) as connection:
        manifest = connection.execute("select last_cluster_time from raw.micro_batches").fetchall()
    landing = LandingZone(old / "landing", clock=utc_now)
    footers = [read_footer(each).last_cluster_time for each in landing.micro_batches()]
    assert sorted(filter(None, footers)) == sorted(time for (time,) in manifest if time is not None)


def land_as_version_3(folder: Path, rows: list[Row]) -> None:
    """Land rows whose keys and versions are written as they were then."""
    lane = lane_of(folder)
    lane.folder.mkdir(parents=True, exist_ok=True)
    named = lane.new_name(0)
    written = footer_of(named.id, to_table(rows), landed_at=utc_now())
    lane.land(named, to_table(rows), written.model_copy(update={"schema_version": 3}))


def test_landed_keys_of_whole_doubles_are_taken_over(tmp_path: Path) -> None:
    """What was landed under `d:1.0` is the row of the document 1, whose newer change wins."""
    old_time = 1_767_434_400 << 32 | 7
    land_as_version_3(tmp_path, [upsert(number, old_time)._replace(id=f"d:{number}.0") for number in (1, 2)])
    land(tmp_path, [upsert(2, cluster_time_of(1_767_434_401, 1), uuid="newer"), upsert(0.5, 1)])
    warehouse = make_warehouse(tmp_path)
    warehouse.load(timeout_seconds=30)
    found = {row[0]: row[-1] for row in rows_of(tmp_path)}
    assert {
        "i:1": cluster_time_of(1_767_434_400, 7),
        "i:2": cluster_time_of(1_767_434_401, 1),
        "d:0.5": 1,
    } == found


def test_keys_of_whole_doubles_in_a_warehouse_are_taken_over(tmp_path: Path) -> None:
    """Of two rows of one document the newer stays, a deleted one is deleted, and marts are built anew."""
    warehouse = make_warehouse(tmp_path)
    land(tmp_path, [upsert(number, 10) for number in (1, 2, 3, 4)])
    warehouse.load(timeout_seconds=30)
    with warehouse.opened(timeout_seconds=30) as connection:
        connection.execute("delete from main.claude_analytics_schema where version = 4")
        connection.execute("update raw.conversations set source_version = 10::bigint << 32")
        for key, copy, seconds in (("d:1.0", "i:1", 11), ("d:2.0", "i:2", 9), ("d:5.0", "i:3", 9)):
            connection.execute(
                f"insert into raw.conversations select * replace ('{key}' as _id, 'double' as uuid, "
                f"{seconds}::bigint << 32 as source_version) from raw.conversations where _id = '{copy}'"
            )
        connection.execute("delete from raw.conversations where _id = 'i:3'")
        connection.execute("update raw.conversations set _id = 'd:3.0' where _id = 'i:4'")
        connection.execute("insert into raw.tombstones values ('i:3', 12::bigint << 32)")
    with warehouse.opened(timeout_seconds=30) as connection:
        found = connection.execute("select _id, uuid from raw.conversations order by 1").fetchall()
        (is_bulk,) = connection.execute("select is_bulk from raw.loads order by load_id desc").fetchall()[0]
    assert [("i:1", "double"), ("i:2", None), ("i:5", "double")] == found
    assert is_bulk
