"""Loads into real Iceberg tables through a real Spark: the same rows as DuckDB has, each exactly once."""

import random

from stream.core.normalise import truncate_marker
from tests.support.laking import Lake
from tests.support.landing import delete, land, random_changes, upsert

ODD_KEYS = ("it's", 'a "b"', "back\\slash\\'", "line\nfeed", "${x} %s {}", "ключ 🗝", "", "x" * 2_000)
"""Keys are written into the statements of a load."""


def test_loads_equal_those_of_duckdb(lake: Lake) -> None:
    """Inserts, updates, deletes, stale rows and rows of other lanes end as the same rows, load after load."""
    land(lake.folder, [upsert(1, 10, sessionId="a"), upsert(2, 11, sessionId="a", uuid="u2")])
    land(lake.folder, [upsert(2, 12, type="assistant", sessionId="b"), delete(1, 13), delete(9, 14)])
    first = lake.load()
    lake.assert_same_raw()

    land(lake.folder, [upsert(9, 12), upsert(1, 20), upsert(3, 15, message={"id": "m", "role": "user"})])
    land(lake.folder, [upsert(2, 11, type="system"), upsert(4, 11)], lane="backfill-1")
    land(lake.folder, [upsert(3, 16, sessionId="c"), upsert(3, 16, sessionId="d")])
    lake.load()
    for version in (30, 31):
        land(lake.folder, [upsert(odd, version, uuid=f"u{version}") for odd in ODD_KEYS])
        lake.load()
    lake.assert_same_raw()

    assert (2, 5, 1, 0) == (first.micro_batches, first.rows, first.rows_upserted, first.rows_deleted)


def test_random_histories_equal_those_of_duckdb(lake: Lake) -> None:
    """Whatever the order of changes over lanes and loads, both warehouses hold the same."""
    chance = random.Random(7)
    version = 100
    for _ in range(4):
        for lane in ("stream", "backfill-1"):
            rows = random_changes(chance, version)
            version += len(rows)
            land(lake.folder, rows, lane=lane)
        lake.load()
    lake.assert_same_raw()


def test_a_truncate_marker_outdates_everything_before_it(lake: Lake) -> None:
    """Rows below it go, also those that land later; rows above it stay."""
    land(lake.folder, [upsert(1, 10), upsert(2, 11), delete(5, 12)])
    lake.load()
    land(lake.folder, [upsert(3, 20), truncate_marker(source_version=15), upsert(4, 14)])
    lake.load()
    land(lake.folder, [upsert(1, 13), upsert(2, 30)], lane="backfill-1")
    lake.load()

    lake.assert_same_raw()
    assert [("i:2",), ("i:3",)] == lake.rows("select _id from raw.conversations order by 1")


def test_loading_again_changes_nothing(lake: Lake) -> None:
    """A second load finds nothing to do, and commits nothing."""
    land(lake.folder, [upsert(1, 10), upsert(2, 11)])
    lake.load()
    before = lake.catalog.table("raw.documents").current_snapshot().snapshot_id  # type: ignore[union-attr]

    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches
    assert before == lake.catalog.table("raw.documents").current_snapshot().snapshot_id  # type: ignore[union-attr]
