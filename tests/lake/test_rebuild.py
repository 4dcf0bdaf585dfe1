"""`load --full-refresh` on Iceberg: the same rows again, from what has landed; seen whole or not at all."""

import signal
from typing import Any

import pytest

from batch.lake.tables import DOCUMENTS
from batch.purge.target import Target
from stream.core.normalise import truncate_marker
from stream.errors import LandingTrimmedError, MicroBatchCorruptError
from tests.lake.test_load_faults import start_load
from tests.support.laking import Lake, purge_of
from tests.support.landing import delete, upsert
from tests.support.patience import patience

EVERYTHING = f"select {', '.join(DOCUMENTS)} from raw.documents order by _id"
MANIFEST = "select micro_batch_id, lane, sequence, rows, upserts, deletes from raw.micro_batches order by 1"


def history(lake: Lake) -> None:
    """Load updates, deletions, a truncate marker, stale rows of another lane, over some loads."""
    lake.land([upsert(1, 10), upsert(2, 11, sessionId="a"), delete(3, 12)])
    lake.load()
    lake.land(
        [truncate_marker(source_version=15), upsert(2, 20, sessionId="b"), upsert(4, 21, sessionId="c")]
    )
    lake.load()
    lake.land([upsert(1, 9), upsert(5, 16), upsert(4, 18)], lane="backfill-1")
    lake.land([delete(4, 30), upsert(6, 31, sessionId="gone"), upsert(7, 32, sessionId="b")])
    lake.load()


def conversations(lake: Lake) -> list[str]:
    return [key for (key,) in lake.rows("select _id from raw.conversations order by 1")]


def damage(lake: Lake) -> None:
    """Let a row be missing, one be of nobody and one be another than has landed, a deletion be forgotten."""
    copied = ", ".join(f"`{name}`" for name in DOCUMENTS if name not in ("_id", "source_version"))
    documents = "lake.raw.documents"
    nobody = f"select 's:nobody', 98, {copied} from {documents} where _id = 'i:7'"
    for statement in (
        f"delete from {documents} where _id in ('i:2', 'i:4')",
        f"update {documents} set type = 'other', source_version = 99 where _id = 'i:5'",
        f"insert into {documents} (_id, source_version, {copied}) {nobody}",
    ):
        lake.spark.run(statement, doing="damage it")


def test_a_rebuild_restores_what_loads_had_made(either_lake: Lake) -> None:
    """Whatever was done to the tables: rows, tombstones, marker and manifest are as loads made them.

    The next build makes everything; loads go on.
    """
    lake = either_lake
    history(lake)
    expected, manifest = lake.rows(EVERYTHING), lake.rows(MANIFEST)
    [(before,)] = lake.rows("select max(load_id) from raw.loads")
    damage(lake)
    assert expected != lake.rows(EVERYTHING)

    result = lake.loader().rebuild(timeout_seconds=5)

    assert expected == lake.rows(EVERYTHING)
    assert manifest == lake.rows(MANIFEST)
    assert ["i:2", "i:5", "i:6", "i:7"] == conversations(lake)
    assert (len(manifest), 4) == (result.micro_batches, result.rows_upserted)
    assert [(True, 4)] == lake.rows(f"select is_bulk, rows_upserted from raw.loads where load_id > {before}")
    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches
    lake.land([upsert(2, 40, sessionId="d")])
    assert 1 == lake.loader().load(timeout_seconds=5).rows_upserted
    assert 1 + len(manifest) == len(lake.rows(MANIFEST))


def test_what_was_purged_stays_purged(lake: Lake) -> None:
    """Landed files no longer have it."""
    history(lake)
    purge_of(lake, lambda: None).run(Target("session", "gone"))
    expected = lake.rows(EVERYTHING)

    lake.loader().rebuild(timeout_seconds=5)

    assert expected == lake.rows(EVERYTHING)
    assert ["i:2", "i:5", "i:7"] == conversations(lake)


def test_readers_see_the_old_rows_until_the_new_ones_are_there(lake: Lake) -> None:
    """At no point is there a state between the two."""
    history(lake)
    damage(lake)
    seen: dict[str, list[Any]] = {}

    lake.loader(lambda name: seen.update({name: lake.rows(EVERYTHING)})).rebuild(timeout_seconds=5)

    assert {"begun_again", "files_registered", "merged"} == seen.keys()
    assert seen["begun_again"] == seen["files_registered"] != seen["merged"] == lake.rows(EVERYTHING)


@pytest.mark.fault(
    13,
    "`kill -9` of `load --full-refresh` into Iceberg: before and after its commit",
    "readers see the old rows or the new; the next load ends the rebuild",
)
@pytest.mark.parametrize("where", ["begun_again", "files_registered", "merged"])
def test_a_killed_rebuild_is_ended_by_the_next_load(lake: Lake, where: str) -> None:
    """It was begun, and any load makes up for the rest; what has landed meanwhile is loaded, too."""
    history(lake)
    expected, manifest = lake.rows(EVERYTHING), lake.rows(MANIFEST)
    [(before,)] = lake.rows("select max(load_id) from raw.loads")
    damage(lake)
    damaged = lake.rows(EVERYTHING)
    process = start_load(lake, where, doing="rebuild")
    process.communicate(timeout=patience(300))
    assert -signal.SIGKILL == process.returncode
    assert (expected if where == "merged" else damaged) == lake.rows(EVERYTHING)
    lake.land([upsert(8, 50)], lane="backfill-2")

    lake.loader().load(timeout_seconds=5)

    assert expected == lake.rows(f"select * from ({EVERYTHING}) where _id <> 'i:8' order by _id")
    assert 1 + len(manifest) == len(lake.rows(MANIFEST))
    assert [(1,)] == lake.rows(f"select count(*) from raw.loads where is_bulk and load_id > {before}")
    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches


def test_nothing_is_begun_that_would_lose_rows(lake: Lake) -> None:
    """A landed file is damaged, or is there no more: refused, unless rows may be missing."""
    history(lake)
    before = lake.rows(EVERYTHING)
    damaged = max((lake.folder / "landing" / "stream").rglob("*.parquet"), key=lambda path: path.name)
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + b"\0")
    with pytest.raises(MicroBatchCorruptError, match=damaged.name):
        lake.loader().rebuild(timeout_seconds=5)
    damaged.rename(damaged.with_suffix(".lost"))
    with pytest.raises(LandingTrimmedError, match="1 micro-batches that were") as refused:
        lake.loader().rebuild(timeout_seconds=5)
    assert 2 == refused.value.exit_code
    assert before == lake.rows(EVERYTHING)
    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches

    lake.loader().rebuild(timeout_seconds=5, is_incomplete=True)

    assert ["i:2", "i:4", "i:5"] == conversations(lake)


def test_a_table_that_was_lost_is_made_again(lake: Lake) -> None:
    """`raw.documents` was dropped: it is there again, and builds learn that everything has changed."""
    history(lake)
    expected = lake.rows(EVERYTHING)
    [(before,)] = lake.rows("select max(load_id) from raw.loads")
    lake.spark.run("drop table lake.raw.documents", doing="lose it")

    lake.loader().rebuild(timeout_seconds=5)

    assert expected == lake.rows(EVERYTHING)
    assert [(before + 1, True)] == lake.rows(
        f"select load_id, is_bulk from raw.loads where load_id > {before}"
    )
