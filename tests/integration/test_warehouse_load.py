"""Loads into a real DuckDB: versions, tombstones, manifest, changed lines; each exactly once."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.core.normalise import truncate_marker
from stream.core.schema import Row
from stream.warehouse import load
from stream.warehouse.warehouse import Warehouse
from tests.support.equality import assert_manifest_is_sound, warehouse_rows
from tests.support.landing import delete, land, upsert
from tests.support.streaming import make_warehouse

pytestmark = pytest.mark.integration


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return make_warehouse(tmp_path)


def query(warehouse: Warehouse, text: str) -> list[Any]:
    with warehouse.opened(timeout_seconds=5) as connection:
        return connection.execute(text).fetchall()


def types_of(warehouse: Warehouse) -> dict[str, str]:
    return {key: row["type"] for key, row in warehouse_rows(warehouse).items()}


def test_a_load_says_what_it_did(warehouse: Warehouse, tmp_path: Path) -> None:
    """Files, rows, upserts and deletes are counted; the manifest tells of each file."""
    first = land(tmp_path, [upsert(1, 10), upsert(2, 11)])
    second = land(tmp_path, [upsert(2, 12, type="assistant"), delete(1, 13), delete(9, 14)])

    result = warehouse.load(timeout_seconds=5)

    assert load.LoadResult(micro_batches=2, rows=5, rows_upserted=1, rows_deleted=0) == result
    assert {"i:2": "assistant"} == types_of(warehouse)
    assert [
        (first.id, "stream", 0, 2, 2, 0, 0, 10, 11, 1),
        (second.id, "stream", 1, 3, 1, 2, 0, 12, 14, 1),
    ] == query(
        warehouse,
        "select micro_batch_id, lane, sequence, rows, upserts, deletes, dead_letters, first_cluster_time, "
        "last_cluster_time, load_id from raw.micro_batches order by sequence",
    )
    assert [(1, 2, 1, 0, False)] == query(
        warehouse, "select load_id, micro_batches, rows_upserted, rows_deleted, is_bulk from raw.loads"
    )
    assert [(second.id,)] == query(warehouse, "select micro_batch_id from raw.conversations")


def test_loading_again_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    """Neither this process nor another one loads a micro-batch twice."""
    land(tmp_path, [upsert(1, 10)])
    warehouse.load(timeout_seconds=5)

    for again in (warehouse, make_warehouse(tmp_path)):
        assert load.LoadResult() == again.load(timeout_seconds=5)
    assert [(1,)] == query(warehouse, "select count(*) from raw.loads")
    assert_manifest_is_sound(warehouse)


def test_deletes_are_counted(warehouse: Warehouse, tmp_path: Path) -> None:
    """A delete of a loaded row removes it."""
    land(tmp_path, [upsert(1, 10), upsert(2, 10)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [delete(1, 11)])

    result = warehouse.load(timeout_seconds=5)

    assert (0, 1) == (result.rows_upserted, result.rows_deleted)
    assert ["i:2"] == list(types_of(warehouse))


def test_an_empty_micro_batch_is_in_the_manifest(warehouse: Warehouse, tmp_path: Path) -> None:
    """A window of dead letters only lands without rows, and is loaded like any other."""
    land(tmp_path, [])

    assert load.LoadResult(micro_batches=1) == warehouse.load(timeout_seconds=5)
    assert_manifest_is_sound(warehouse)


def test_a_stale_row_of_another_lane_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    """A backfill that scanned before a change does not overwrite it, and does not say that it did."""
    land(tmp_path, [upsert(1, 20, type="new", sessionId="new"), upsert(2, 20, type="new")])
    warehouse.load(timeout_seconds=5)
    land(
        tmp_path, [upsert(1, 10, type="old", sessionId="old"), upsert(3, 10, type="first")], lane="backfill-1"
    )

    result = warehouse.load(timeout_seconds=5)

    assert (1, 0) == (result.rows_upserted, result.rows_deleted)
    assert {"i:1": "new", "i:2": "new", "i:3": "first"} == types_of(warehouse)
    assert [(None,)] == query(
        warehouse, "select distinct session_id from raw.changed_lines where load_id = 2"
    )


@pytest.mark.fault(10, "a row read before its document was deleted loads late", "the document stays deleted")
def test_a_stale_row_does_not_bring_a_deleted_document_back(warehouse: Warehouse, tmp_path: Path) -> None:
    """The tombstone outlives the load that deleted, also if the row was never there."""
    land(tmp_path, [upsert(1, 10)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [delete(1, 20), delete(2, 20)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [upsert(1, 15), upsert(2, 15), upsert(3, 15)], lane="backfill-1")
    warehouse.load(timeout_seconds=5)

    assert ["i:3"] == list(types_of(warehouse))


def test_a_document_comes_back_with_a_newer_version(warehouse: Warehouse, tmp_path: Path) -> None:
    """A tombstone keeps only what is older than the delete away."""
    land(tmp_path, [upsert(1, 10), delete(1, 20)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [upsert(1, 21, type="reborn")])
    warehouse.load(timeout_seconds=5)

    assert {"i:1": "reborn"} == types_of(warehouse)


def test_one_cluster_time_is_told_apart_by_order(warehouse: Warehouse, tmp_path: Path) -> None:
    """Changes of one transaction, in one file, in two files of one load, in two loads: the later wins."""
    land(tmp_path, [upsert(1, 10, type="a"), upsert(1, 10, type="b"), upsert(2, 10), delete(2, 10)])
    land(tmp_path, [upsert(3, 10, type="a"), upsert(4, 10), delete(5, 10)])
    land(tmp_path, [upsert(3, 10, type="b"), delete(4, 10), upsert(5, 10, type="b")])
    warehouse.load(timeout_seconds=5)
    assert {"i:1": "b", "i:3": "b", "i:5": "b"} == types_of(warehouse)

    land(tmp_path, [upsert(1, 10, type="c"), delete(3, 10), upsert(2, 10, type="c")])
    warehouse.load(timeout_seconds=5)
    assert {"i:1": "c", "i:2": "c", "i:5": "b"} == types_of(warehouse)


OPERATIONS = st.sampled_from(["upsert", "upsert", "delete", "truncate"])
CHANGES = st.lists(st.tuples(st.integers(1, 4), OPERATIONS), min_size=1, max_size=12)
"""Changes in cluster-time order: of which document, and what happened to it, or to all at once."""


@pytest.mark.fault(10, "stream and backfill load in any order", "the newest version wins")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, chance=st.randoms(use_true_random=False))
def test_the_newest_version_wins_in_any_order_of_arrival(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, str]], chance: random.Random
) -> None:
    """Whatever lands and loads when, markers too: each document is in the state of its highest version."""
    folder = tmp_path_factory.mktemp("order")
    warehouse = make_warehouse(folder)
    rows: list[Row] = []
    expected: dict[str, str | None] = {}
    for version, (number, operation) in enumerate(changes, start=1):
        if operation == "truncate":
            rows.append(truncate_marker(version))
            expected.clear()
            continue
        is_delete = operation == "delete"
        rows.append(delete(number, version) if is_delete else upsert(number, version, uuid=f"v{version}"))
        expected[rows[-1].id] = rows[-1].uuid
    chance.shuffle(rows)
    at = 0
    while at < len(rows):
        size = chance.randint(1, 3)
        land(folder, rows[at : at + size], lane=chance.choice(["stream", "backfill-1"]))
        at += size
        if chance.random() < 0.5:
            warehouse.load(timeout_seconds=5)
    warehouse.load(timeout_seconds=5)

    newest = {key: uuid for key, uuid in expected.items() if uuid is not None}
    assert {key: row["uuid"] for key, row in warehouse_rows(warehouse).items()} == newest
    assert_manifest_is_sound(warehouse)
    before = the_state(warehouse)
    warehouse.rebuild(timeout_seconds=5)
    assert before == the_state(warehouse)


def test_a_truncate_marker_removes_what_is_older(warehouse: Warehouse, tmp_path: Path) -> None:
    """Rows from before the collection was dropped go in one load, which says that all may have changed."""
    land(tmp_path, [upsert(1, 10), upsert(2, 11), upsert(3, 12), delete(4, 12)])
    warehouse.load(timeout_seconds=5)
    dropped = land(tmp_path, [truncate_marker(20), upsert(2, 21, type="reborn")])

    result = warehouse.load(timeout_seconds=5)

    assert load.LoadResult(micro_batches=1, rows=2, rows_upserted=1, rows_deleted=3) == result
    assert {"i:2": "reborn"} == types_of(warehouse)
    assert [(20, dropped.id)] == query(warehouse, "select * from raw.truncate_markers")
    assert [] == query(warehouse, "select * from raw.tombstones")
    assert [(0, False), (3, True)] == query(warehouse, "select rows_deleted, is_bulk from raw.loads")
    assert [(2, 1, 0)] == query(
        warehouse, "select rows, upserts, deletes from raw.micro_batches where sequence = 1"
    )

    make_warehouse(tmp_path).rebuild(timeout_seconds=5)
    assert {"i:2": "reborn"} == types_of(warehouse)
    assert [(20, dropped.id)] == query(warehouse, "select * from raw.truncate_markers")


def test_what_is_older_than_a_truncate_marker_stays_away(warehouse: Warehouse, tmp_path: Path) -> None:
    """A range of a backfill that loads late brings nothing back, as a whole file or as part of one."""
    land(tmp_path, [truncate_marker(20)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [upsert(1, 10), upsert(2, 19)], lane="backfill-1")
    land(tmp_path, [upsert(3, 19), upsert(4, 20), upsert(5, 21)], lane="backfill-1")

    result = warehouse.load(timeout_seconds=5)

    assert load.LoadResult(micro_batches=2, rows=5, rows_upserted=2) == result
    assert ["i:4", "i:5"] == sorted(types_of(warehouse))
    assert [(False,), (False,)] == query(warehouse, "select is_bulk from raw.loads")
    assert_manifest_is_sound(warehouse)


def test_a_file_without_its_free_blocks_is_whole(warehouse: Warehouse, tmp_path: Path) -> None:
    """DuckDB cuts free blocks off the end of its file, and goes on counting them: that is no damage."""
    noise = random.Random(1)
    land(tmp_path, [upsert(number, 10, message=f"{noise.randbytes(500).hex()}") for number in range(3000)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [truncate_marker(20)])
    warehouse.load(timeout_seconds=5)
    for version in (21, 22, 23):
        land(tmp_path, [upsert(1, version)])
        warehouse.load(timeout_seconds=5)

    assert ["i:1"] == list(types_of(warehouse))


def test_a_lower_truncate_marker_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    """Floors load in any order; the highest counts."""
    land(tmp_path, [truncate_marker(20), upsert(1, 21)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [truncate_marker(15), upsert(2, 16)], lane="other")
    warehouse.load(timeout_seconds=5)

    assert ["i:1"] == list(types_of(warehouse))
    assert [(False,), (False,)] == query(warehouse, "select is_bulk from raw.loads")


def test_a_warehouse_from_before_truncate_markers_learns_them(warehouse: Warehouse, tmp_path: Path) -> None:
    """A file of schema version 1 gets the table; its rows stay."""
    land(tmp_path, [upsert(1, 10)])
    warehouse.load(timeout_seconds=5)
    with warehouse.opened(timeout_seconds=5) as connection:
        connection.execute("drop table raw.truncate_markers")
        connection.execute("delete from main.claude_analytics_schema where version > 1")
    land(tmp_path, [truncate_marker(10)])

    warehouse.load(timeout_seconds=5)

    assert ["i:1"] == list(types_of(warehouse))
    assert [(10,)] == query(warehouse, "select cluster_time from raw.truncate_markers")


def changed(warehouse: Warehouse, load_id: int) -> list[Any]:
    return query(
        warehouse,
        "select session_id, source_file, uuid, message_id from raw.changed_lines "
        f"where load_id = {load_id} order by all",
    )


def a_line(document_id: int, version: int, session: str, **fields: Any) -> Row:
    return upsert(
        document_id,
        version,
        sessionId=session,
        sourceFile=f"p/{session}.jsonl",
        uuid=f"u{document_id}",
        message={"id": f"m{document_id}", "content": "text"},
        **fields,
    )


def test_changed_lines_name_old_and_new(warehouse: Warehouse, tmp_path: Path) -> None:
    """A load lists the lines of what it inserted, of both versions of what it changed, of what it deleted."""
    land(tmp_path, [a_line(1, 10, "one"), a_line(2, 10, "two"), a_line(3, 10, "three")])
    warehouse.load(timeout_seconds=5)
    assert [
        ("one", "p/one.jsonl", "u1", "m1"),
        ("three", "p/three.jsonl", "u3", "m3"),
        ("two", "p/two.jsonl", "u2", "m2"),
    ] == changed(warehouse, 1)

    land(tmp_path, [a_line(1, 20, "moved"), delete(2, 20), delete(9, 20), a_line(3, 5, "stale")])
    warehouse.load(timeout_seconds=5)
    assert [
        ("moved", "p/moved.jsonl", "u1", "m1"),
        ("one", "p/one.jsonl", "u1", "m1"),
        ("two", "p/two.jsonl", "u2", "m2"),
    ] == changed(warehouse, 2)


def test_changed_lines_are_listed_once(warehouse: Warehouse, tmp_path: Path) -> None:
    """Equal lines of several documents, or of both versions of one, are one entry."""
    same = {"sourceFile": "p/s.jsonl", "uuid": "u", "message": {"id": "m"}, "sessionId": "s"}
    land(tmp_path, [upsert(1, 10, **same), upsert(2, 10, **same)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [upsert(1, 11, **same), upsert(3, 11, **same)])
    warehouse.load(timeout_seconds=5)

    assert changed(warehouse, 1) == changed(warehouse, 2) == [("s", "p/s.jsonl", "u", "m")]


def test_a_bulk_load_says_that_all_may_have_changed(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From so many rows on, lines are not listed one by one."""
    monkeypatch.setattr(load, "BULK_ROWS", 3)
    land(tmp_path, [upsert(number, 10) for number in range(3)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [upsert(1, 11), delete(2, 11), upsert(1, 9)])
    warehouse.load(timeout_seconds=5)
    land(tmp_path, [upsert(7, 12)])
    warehouse.load(timeout_seconds=5)

    assert [(True,), (True,), (False,)] == query(warehouse, "select is_bulk from raw.loads order by load_id")
    assert [(3,)] == query(warehouse, "select distinct load_id from raw.changed_lines")
    assert ["i:0", "i:1", "i:7"] == sorted(types_of(warehouse))


def test_large_backlogs_load_in_several_transactions(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and bytes of one transaction are bounded; the progress is told after each."""
    monkeypatch.setattr("stream.warehouse.warehouse.MAX_ROWS_PER_TRANSACTION", 5)
    for start in range(0, 12, 2):
        land(tmp_path, [upsert(start, 10), upsert(start + 1, 10)])
    told: list[tuple[int, int]] = []

    result = warehouse.load(timeout_seconds=5, on_progress=lambda *done: told.append(done))

    assert 6 == result.micro_batches
    assert [(2, 6), (4, 6), (6, 6)] == told
    assert [(3,)] == query(warehouse, "select count(*) from raw.loads")
    assert 12 == len(warehouse_rows(warehouse))


def the_state(warehouse: Warehouse) -> list[Any]:
    return query(warehouse, "select * from raw.conversations order by _id")


def test_a_rebuild_gives_the_same_state(warehouse: Warehouse, tmp_path: Path) -> None:
    """The landing zone alone makes the warehouse anew, row for row; the marts are told to start over."""
    chance = random.Random(5)
    for version in range(1, 60, 4):
        rows = [
            delete(chance.randrange(20), version + k)
            if chance.random() < 0.3
            else upsert(chance.randrange(20), version + k, uuid=f"v{version + k}")
            for k in range(4)
        ]
        land(tmp_path, rows, lane=chance.choice(["stream", "backfill-1"]))
        warehouse.load(timeout_seconds=5)
    before = the_state(warehouse)

    for again in (warehouse, make_warehouse(tmp_path)):
        result = again.rebuild(timeout_seconds=5)
        assert 15 == result.micro_batches
        assert before == the_state(again)
        assert_manifest_is_sound(again)
    assert [(2,)] == query(warehouse, "select count(*) from raw.loads where is_bulk and micro_batches = 0")
    assert [(True,)] == query(warehouse, "select count(*) = count(distinct load_id) from raw.loads")


def test_a_rebuild_half_done_by_another_process_is_completed(warehouse: Warehouse, tmp_path: Path) -> None:
    """A running worker notices that what it had loaded is gone, and loads it again."""
    for number in range(4):
        land(tmp_path, [upsert(number, 10)])
    warehouse.load(timeout_seconds=5)
    other = make_warehouse(tmp_path)
    with other.opened(timeout_seconds=5) as connection:
        other._forget(connection)  # and killed

    assert 4 == warehouse.load(timeout_seconds=5).micro_batches
    assert 4 == len(warehouse_rows(warehouse))


@pytest.mark.parametrize("name", ["memory", "main", "temp", "a b", "quo'te\"d", "über"])
def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    """DUCKDB_PATH may be any path, names that DuckDB uses itself included."""
    land(tmp_path, [upsert(1, 10)])
    plain = make_warehouse(tmp_path)
    warehouse = Warehouse(tmp_path / f"{name}.duckdb", landing=plain._landing, clock=plain._clock, threads=1)

    assert 1 == warehouse.load(timeout_seconds=5).rows
    assert ["i:1"] == list(warehouse_rows(warehouse))


@pytest.mark.parametrize("folder", ["{braces}", "100%", "quo'te", "blocks and locks", "semi;colon", "#"])
def test_any_name_of_a_folder_will_do(tmp_path: Path, folder: str) -> None:
    """A DATA_DIR is taken literally; only what DuckDB takes for patterns is refused, by the settings."""
    land(tmp_path / folder, [upsert(1, 10)])

    assert 1 == make_warehouse(tmp_path / folder).load(timeout_seconds=5).rows


def test_odd_text_survives(warehouse: Warehouse, tmp_path: Path) -> None:
    """Emoji, quotes, line separators, two megabytes, deep JSON: read back as they were written."""
    text = "é😀\u2028\u0085'\"\\ \ufffd" * 100_000
    deep: Any = "core"
    for _ in range(100):
        deep = {"in": [deep]}
    land(tmp_path, [upsert("ä'\"", 1, message={"content": text}, extra=deep, sessionId="'; drop table x;--")])

    warehouse.load(timeout_seconds=10)

    [row] = warehouse_rows(warehouse).values()
    assert row["message_content"] == text
    assert row["content_length"] == len(text)
    assert "'; drop table x;--" == row["session_id"]
    assert 100 == row["extra"].count('{"in":[')


def test_the_failpoints_are_reached_in_order(tmp_path: Path) -> None:
    """Tests crash before and after the commit; both are called once a transaction."""
    reached: list[str] = []
    at: Callable[[str], None] = reached.append
    land(tmp_path, [upsert(1, 10)])

    make_warehouse(tmp_path, at_failpoint=at).load(timeout_seconds=5)

    assert ["load_before_commit", "load_committed"] == reached
