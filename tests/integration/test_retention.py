"""Old landed files go only when the warehouse has them, and it says so when that cannot be undone."""

from datetime import date
from pathlib import Path

import pytest

from stream.core.normalise import DeadLetter, truncate_marker
from stream.errors import LandingTrimmedError, MicroBatchCorruptError
from stream.landing.micro_batch import MicroBatch
from stream.landing.retention import low_water_mark, raise_low_water_mark
from stream.storage.local import LocalStorage
from tests.support.landing import upsert
from tests.support.maintaining import DAY, HOUR, Yard, rows_of

pytestmark = pytest.mark.integration

LETTER = DeadLetter("not_a_document", "it is none", "s:x", "{}")


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Return a landing zone with a file a day for five days; now is the sixth."""
    yard = Yard(tmp_path)
    for number in range(5):
        yard.land(upsert(number, 10 + number))
        yard.now += DAY
    return yard


def in_sight(yard: Yard) -> list[int]:
    return [each.sequence for each in yard.zone.micro_batches()]


def test_nothing_is_removed_unless_it_is_asked_for(yard: Yard) -> None:
    """All files stay for ever."""
    yard.warehouse().load(timeout_seconds=5)

    assert [] == yard.maintenance().run()
    assert [0, 1, 2, 3, 4] == in_sight(yard)
    assert low_water_mark(yard.zone.state) is None


def test_old_files_go_once_they_are_loaded(yard: Yard) -> None:
    """Whole days; the warehouse keeps the rows."""
    with yard.warehouse().opened(timeout_seconds=5):
        pass
    assert [] == yard.maintenance(retention_days=2).run()
    assert low_water_mark(yard.zone.state) is None

    yard.warehouse().load(timeout_seconds=5)
    assert ["3 old landed files removed"] == yard.maintenance(retention_days=2).run()

    assert [3, 4] == in_sight(yard)
    assert date(2026, 1, 6) == low_water_mark(yard.zone.state)
    assert 5 == len(rows_of(yard.warehouse()))
    assert 0 == yard.warehouse().load(timeout_seconds=5).micro_batches


def test_what_is_still_needed_stays(yard: Yard) -> None:
    """Dead letters in the queue, the newest of a lane, an unfinished backfill, and truncate markers."""
    other = Yard(yard.folder)
    other.land(truncate_marker(5), upsert(99, 10), lane="other")
    other.land(lane="other")
    for number in range(3):
        other.land(upsert(100 + number, 10), lane="replay", letters=[LETTER] if number == 0 else None)
        other.land(upsert(200 + number, 10), lane="backfill-20260101T000000Z-abcd")
        other.land(upsert(300 + number, 10), lane="backfill-20260102T000000Z-abcd")
    unfinished = yard.zone.root / "backfill-20260102T000000Z-abcd" / "plan.json"
    unfinished.write_text(PLAN)
    yard.warehouse().load(timeout_seconds=5)
    yard.now += 10 * DAY

    assert ["8 old landed files removed"] == yard.maintenance(retention_days=1).run()

    assert [
        "backfill-20260102T000000Z-abcd/000000000000",
        "backfill-20260102T000000Z-abcd/000000000001",
        "backfill-20260102T000000Z-abcd/000000000002",
        "other/000000000000",
        "other/000000000001",
        "replay/000000000000",
        "replay/000000000002",
        "stream/000000000004",
    ] == [str(each.id)[:-9] for each in yard.zone.micro_batches()]


PLAN = """{"schema_version": 1, "id": "20260102T000000Z-abcd", "created_at": "2026-01-02T00:00:00+00:00",
"source": {"cluster_id": null, "set_name": "rs0", "namespace": "a.b", "pipeline": "1"}, "collection_id": null,
"filters": {"since": null, "until": null, "project": null}, "documents": 1, "size_bytes": 1, "bounds": []}"""


def test_a_merged_file_outlives_what_it_replaces(tmp_path: Path) -> None:
    """Else they would be in sight again."""
    yard = Yard(tmp_path)
    for number in range(3):
        yard.land(upsert(number, 10 + number))
    yard.now += 10 * DAY
    yard.warehouse().load(timeout_seconds=5)

    assert ["2 landed files merged into 1"] == yard.maintenance(retention_days=1).run()
    yard.warehouse().load(timeout_seconds=5)
    assert [] == yard.maintenance(retention_days=1).run()
    yard.now += HOUR
    assert [
        "2 merged files removed",
        "1 old landed files removed",
    ] == yard.maintenance(retention_days=1).run()
    assert ["2 plain"] == yard.files()


def test_a_warehouse_is_not_made_from_what_is_left(yard: Yard) -> None:
    """Neither a rebuild nor a new file loses rows in silence; the way out is named, and works."""
    yard.warehouse().load(timeout_seconds=5)
    yard.maintenance(retention_days=2).run()
    new = yard.warehouse("new")

    for refused in (yard.warehouse().rebuild, new.load):
        with pytest.raises(
            LandingTrimmedError, match="files that landed before 2026-01-06 were removed"
        ) as told:
            refused(timeout_seconds=5)
        assert 2 == told.value.exit_code
        assert "`claude-analytics backfill`" in told.value.hint
    assert 5 == len(rows_of(yard.warehouse()))

    assert 2 == new.rebuild(timeout_seconds=5, is_incomplete=True).rows
    yard.land(upsert(0, 99), lane="backfill-1")
    assert 1 == new.load(timeout_seconds=5).rows
    assert 3 == len(rows_of(new))


def test_how_far_it_was_trimmed_is_never_taken_back(tmp_path: Path) -> None:
    """A longer retention later does not bring files back; a damaged note is no note of nothing."""
    raise_low_water_mark(LocalStorage(tmp_path), before=date(2026, 1, 6))
    raise_low_water_mark(LocalStorage(tmp_path), before=date(2026, 1, 2))
    assert date(2026, 1, 6) == low_water_mark(LocalStorage(tmp_path))

    (tmp_path / "low_water_mark.json").write_text("{")
    with pytest.raises(MicroBatchCorruptError, match=r"cannot read .*trimmed"):
        low_water_mark(LocalStorage(tmp_path))


def test_the_note_comes_first(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the first file is gone, the zone counts as trimmed: the safe side."""
    yard.warehouse().load(timeout_seconds=5)

    def killed(_files: list[MicroBatch]) -> None:
        assert date(2026, 1, 6) == low_water_mark(yard.zone.state)
        raise KeyboardInterrupt

    monkeypatch.setattr("batch.maintenance.retention.remove_files", killed)
    with pytest.raises(KeyboardInterrupt):
        yard.maintenance(retention_days=2).run()
    assert [0, 1, 2, 3, 4] == in_sight(yard)


def test_lines_that_every_model_has_seen_are_forgotten(yard: Yard) -> None:
    """The slowest model decides; without a build nothing is."""
    warehouse = yard.warehouse()
    for number in range(3):
        warehouse.load(timeout_seconds=5)
        yard.land(upsert(10 + number, 50 + number))
    assert [] == yard.maintenance().run()
    with warehouse.opened(timeout_seconds=5) as connection:
        connection.execute(
            "create table ops.model_inputs (model varchar, input varchar, input_sequence bigint)"
        )
        connection.execute(
            "insert into ops.model_inputs values ('a', 'raw', 3), ('b', 'raw', 2), ('b', 'a', 1)"
        )

    assert ["2 changed lines forgotten"] == yard.maintenance().run()

    with warehouse.opened(timeout_seconds=5) as connection:
        assert [(3,)] == connection.execute("select distinct load_id from raw.changed_lines").fetchall()
    assert [] == yard.maintenance().run()
