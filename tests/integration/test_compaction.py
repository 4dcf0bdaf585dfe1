"""Merged landing files: the same rows for every reader, whatever a warehouse had loaded before."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from batch.maintenance import compaction, last_changes
from batch.publish.live_views import live_views
from stream.core.normalise import DeadLetter, truncate_marker
from stream.core.schema import Row
from stream.errors import LandingFullError, MicroBatchCorruptError, StepFailedError
from stream.landing.micro_batch import read_footer
from tests.support.equality import assert_manifest_is_sound
from tests.support.landing import delete, lane_of, position_at, upsert
from tests.support.maintaining import DAY, HOUR, Yard, rows_of

pytestmark = pytest.mark.integration

LETTER = DeadLetter("not_a_document", "it is none", "s:x", "{}")


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_the_last_change_of_each_document_is_kept(yard: Yard) -> None:
    """In the order of ids; deletes stay as rows; of equal versions the later in stream order counts."""
    yard.land(upsert("c", 10), upsert("a", 11, type="old"), upsert("gone", 12))
    yard.land(delete("gone", 13), upsert("a", 14, type="new", cwd="/x"))
    yard.land(upsert("b", 15, type="first"), upsert("b", 15, type="second"))
    yard.now += DAY
    yard.land()

    found = yard.compaction.merge()

    assert (3, 1) == (found.files, found.into)
    [merged, _] = yard.zone.micro_batches()
    rows = pq.read_table(merged.path, partitioning=None).to_pylist()
    assert [
        ("s:a", "upsert", 14, "new"),
        ("s:b", "upsert", 15, "second"),
        ("s:c", "upsert", 10, "user"),
        ("s:gone", "delete", 13, None),
    ] == [(row["_id"], row["op"], row["source_version"], row["type"]) for row in rows]
    assert '{"cwd":"/x"}' == rows[0]["extra"]
    assert datetime(2026, 1, 3, 10, tzinfo=UTC) == rows[0]["timestamp"]
    footer = read_footer(merged)
    assert (4, 3, 1) == (footer.rows, footer.upserts, footer.deletes)
    assert (10, 15) == (footer.first_cluster_time, footer.last_cluster_time)
    assert position_at(15) == footer.position
    assert compaction.Merged() == yard.compaction.merge()


def test_the_newest_file_and_the_position_stay(yard: Yard) -> None:
    """However old: where the stream goes on is the same before and after, also on an idle collection."""
    for version in (10, 20, 30):
        newest = yard.land(upsert(version, version))
    lane = lane_of(yard.folder)
    lane.save_position(position_at(99), behind=newest)
    yard.now += 3 * DAY

    assert 2 == yard.compaction.merge().files

    assert newest == lane.newest()
    assert position_at(99) == lane.position()
    assert 3 == lane_of(yard.folder).new_name(3).sequence


def test_replaced_files_stay_for_a_while(yard: Yard) -> None:
    """Out of sight at once, on disk until the grace period is over."""
    for version in (10, 20, 30):
        yard.land(upsert(version, version))
    yard.now += DAY
    yard.compaction.merge()

    assert ["0 plain", "1 merged", "1 plain", "2 plain"] == sorted(yard.files())
    assert [1, 2] == [each.sequence for each in yard.zone.micro_batches()]
    yard.now += HOUR * 0.99
    assert 0 == yard.compaction.remove_replaced()
    yard.now += HOUR * 0.01
    assert 2 == yard.compaction.remove_replaced()
    assert ["1 merged", "2 plain"] == yard.files()
    assert 0 == yard.compaction.remove_replaced()


def test_files_with_dead_letters_stay_what_they_are(yard: Yard) -> None:
    """A letter names its file; its neighbours are merged on either side, until the queue is empty."""
    for number in range(5):
        yard.land(upsert(number, 10 + number), letters=[LETTER] if number == 2 else None)
    yard.land()
    yard.now += DAY

    assert 4 == yard.compaction.merge().files

    in_sight = [(each.sequence, each.is_merged) for each in yard.zone.micro_batches()]
    assert [(1, True), (2, False), (4, True), (5, False)] == in_sight
    assert 1 == len(yard.letters.list(yard.zone))


def test_truncate_markers_stay_what_they_are(yard: Yard) -> None:
    """What is above and below one is not mixed; a warehouse that loads late removes what the marker says."""
    yard.land(upsert("gone", 10))
    yard.land(upsert("gone too", 11))
    yard.land(truncate_marker(20), upsert("back", 20))
    yard.land(upsert("new", 21))
    yard.land(upsert("newer", 22))
    yard.land()
    yard.now += DAY

    assert 4 == yard.compaction.merge().files

    in_sight = [(each.sequence, each.is_merged) for each in yard.zone.micro_batches()]
    assert [(1, True), (2, False), (4, True), (5, False)] == in_sight
    yard.warehouse().load(timeout_seconds=5)
    assert ["s:back", "s:new", "s:newer"] == [row[0] for row in rows_of(yard.warehouse())]


def test_what_lands_late_in_a_closed_day_is_merged_too(yard: Yard) -> None:
    """A merged file is never merged again; what came behind it becomes a second one."""
    for version in (10, 20):
        yard.land(upsert(version, version))
    late = yard.now
    yard.now += DAY
    yard.land()
    yard.compaction.merge()
    yard.now = late
    for version in (30, 40):
        yard.land(upsert(version, version))
    yard.now = late + DAY
    yard.land()

    assert 2 == yard.compaction.merge().files

    assert [1, 4] == [each.sequence for each in yard.zone.micro_batches() if each.is_merged]


def test_backfills_are_left_alone(yard: Yard) -> None:
    """Their files are large already, and their number says what is still to be read."""
    for version in (10, 20, 30):
        yard.land(upsert(version, version), lane="backfill-1")
    yard.now += DAY

    assert compaction.Merged() == yard.compaction.merge()


def test_a_damaged_file_is_not_merged(yard: Yard) -> None:
    """Its damage must not be sealed with a new checksum."""
    yard.land(upsert(1, 10))
    damaged = yard.land(upsert(2, 20))
    yard.land()
    content = bytearray(damaged.path.read_bytes())
    content[20] ^= 1
    damaged.path.write_bytes(content)
    yard.now += DAY

    with pytest.raises(MicroBatchCorruptError, match="its checksum is"):
        yard.compaction.merge()
    assert ["0 plain", "1 plain", "2 plain"] == yard.files()


def test_nothing_is_removed_behind_a_damaged_merged_file(yard: Yard) -> None:
    """What it replaces is all there is; moved away, it gives them back."""
    for version in (10, 20, 30):
        yard.land(upsert(version, version))
    yard.now += DAY
    yard.compaction.merge()
    [merged, _] = yard.zone.micro_batches()
    content = bytearray(merged.path.read_bytes())
    content[20] ^= 1
    merged.path.write_bytes(content)
    yard.now += HOUR

    with pytest.raises(MicroBatchCorruptError, match="its checksum is"):
        yard.compaction.remove_replaced()
    merged.path.rename(yard.folder / "away")
    assert [0, 1, 2] == [each.sequence for each in yard.zone.micro_batches()]


def test_a_merged_file_whose_list_is_lost_says_what_to_do(yard: Yard) -> None:
    """Whoever has to know what it replaces cannot go on."""
    for version in (10, 20, 30):
        yard.land(upsert(version, version))
    yard.now += DAY
    yard.compaction.merge()
    [merged, _] = yard.zone.micro_batches()
    broken = merged.path.with_name(f"{merged.stem[:13]}00000000-00000000.merged.parquet")
    merged.path.rename(broken)
    broken.write_bytes(b"PAR1")

    with pytest.raises(MicroBatchCorruptError, match=r"merged file .* cannot be read") as raised:
        yard.zone.micro_batches()
    assert "move it away" in raised.value.hint


@pytest.mark.parametrize(
    ("problem", "kind"),
    [("Out of Memory Error: no", StepFailedError), ("IO Error: No space left on device", LandingFullError)],
)
def test_what_duckdb_says_is_explained(problem: str, kind: type[Exception]) -> None:
    """Nothing is lost; the hint says what helps."""
    explained = last_changes._explained(duckdb.Error(problem), Path("landing"))

    assert isinstance(explained, kind)
    assert f"cannot merge files in `landing`: {problem}" == explained.message
    assert "nothing is lost" in explained.hint


def test_memory_and_disk_are_spared(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are cut where a load would cut its transactions; what a killed merge left goes away."""
    monkeypatch.setattr(compaction, "MAX_ROWS_PER_TRANSACTION", 4)
    for version in range(10, 16):
        yard.land(upsert(version, version), upsert(-version, version))
    yard.land()
    left_over = yard.folder / ".compaction-old"
    left_over.mkdir()
    half = yard.zone.micro_batches()[0].path.with_name(".000000000001-00000000.parquet.merging")
    half.touch()
    yard.now += DAY

    found = yard.compaction.merge()

    assert (6, 3) == (found.files, found.into)
    assert not left_over.exists()
    assert not half.exists()
    assert [] == [path.name for path in yard.folder.glob(".*")]


def history(yard: Yard, chance: random.Random) -> None:
    """Land three days of changes in two lanes, of few documents, so that all of them change often."""
    version = 10
    for _ in range(3):
        for _ in range(chance.randrange(2, 7)):
            rows: list[Row] = []
            for _ in range(chance.randrange(6)):
                version += chance.randrange(2)  # several changes may be of one transaction
                document_id = chance.randrange(12)
                is_delete = chance.random() < 0.3
                rows.append(
                    delete(document_id, version)
                    if is_delete
                    else upsert(document_id, version, uuid=f"{len(rows)}-{version}")
                )
            yard.land(*rows)
            if chance.random() < 0.3:  # what a backfill read a while ago
                stale = upsert(chance.randrange(12), max(1, version - chance.randrange(1, 8)), uuid="stale")
                yard.land(stale, lane="backfill-1")
            if chance.random() < 0.3:
                yard.warehouse("some").load(timeout_seconds=5)
        yard.now += DAY


@pytest.mark.parametrize("number", range(4))
def test_every_warehouse_ends_right(yard: Yard, number: int) -> None:
    """One that has loaded all, some or none of it, or is rebuilt: before, during and after a merge.

    The reference has loaded file after file, and never saw a merged one.
    """
    history(yard, random.Random(number))
    reference = yard.warehouse("reference")
    reference.load(timeout_seconds=5)
    expected = rows_of(reference)
    late = yard.warehouse("late")
    with late.opened(timeout_seconds=5) as connection:
        assert len(late.pending(connection)) == len(yard.zone.micro_batches())

    assert yard.compaction.merge().files > 0

    def assert_all_right() -> None:
        for name in ("reference", "some", "new"):
            found = yard.warehouse(name)
            result = found.load(timeout_seconds=5)
            assert name != "reference" or 0 == result.micro_batches  # never twice
            assert expected == rows_of(found)
            assert_manifest_is_sound(found)
            assert 0 == found.load(timeout_seconds=5).micro_batches
        rebuilt = yard.warehouse("rebuilt")
        rebuilt.rebuild(timeout_seconds=5)
        assert expected == rows_of(rebuilt)
        assert_manifest_is_sound(rebuilt)

    assert_all_right()
    yard.now += HOUR
    assert yard.compaction.remove_replaced() > 0
    (yard.folder / "new.duckdb").unlink()
    assert_all_right()
    late.load(timeout_seconds=5)
    assert expected == rows_of(late)


def test_live_views_see_the_same(yard: Yard) -> None:
    """Before, while both kinds are there, and after: no document twice, none missing, deletes gone."""
    yard.now = datetime.now(UTC)
    now = yard.now.isoformat()
    yard.now -= DAY
    for version in (10, 20, 30):
        yard.land(
            upsert("changes", version, uuid=f"v{version}", timestamp=now),
            upsert(f"once {version}", version, timestamp=now),
        )
    yard.land(delete("once 10", 40))
    yard.now += DAY
    yard.land(upsert("today", 50, timestamp=now))

    def seen() -> list[Any]:
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'; create schema live")
            connection.execute(live_views(yard.zone.root, "UTC")[0])
            return connection.execute("select _id, uuid from live.documents order by all").fetchall()

    expected = [("s:changes", "v30"), ("s:once 20", None), ("s:once 30", None), ("s:today", None)]
    assert expected == seen()
    assert 4 == yard.compaction.merge().files
    assert expected == seen()
    yard.now += HOUR
    assert 4 == yard.compaction.remove_replaced()
    assert expected == seen()


def test_a_writer_and_a_merge_do_not_mind_each_other(yard: Yard) -> None:
    """A stream worker that runs, or starts in the middle, neither waits nor clears the merge away."""
    for version in (10, 20, 30):
        yard.land(upsert(version, version))
    yard.now += DAY
    landed: list[str] = []

    def write(failpoint: str) -> None:
        if failpoint == "file_written":
            with lane_of(yard.folder).writing():
                landed.append(yard.land(upsert(40, 40)).id)

    yard.at_failpoint = write
    with lane_of(yard.folder, "other").writing():
        assert 2 == yard.compaction.merge().files

    assert [1, 2, 3] == [each.sequence for each in yard.zone.micro_batches()]
    assert yard.zone.micro_batches()[-1].id == landed[0]


def test_a_rebuild_under_way_keeps_its_files(yard: Yard) -> None:
    """Who removes replaced files holds the lease of the warehouse: a load never loses what it has listed."""
    for version in (10, 20, 30):
        yard.land(upsert(version, version))
    yard.warehouse().load(timeout_seconds=5)
    yard.now += DAY
    yard.compaction.merge()
    yard.now += HOUR

    with yard.warehouse().lock.held(timeout_seconds=5):
        done = replace(yard.maintenance(), lease_timeout_seconds=0).run()

    assert ["the warehouse is busy, the rest is left for the next run"] == done
    assert ["0 plain", "1 merged", "1 plain", "2 plain"] == sorted(yard.files())
    assert ["2 merged files removed"] == yard.maintenance().run()
