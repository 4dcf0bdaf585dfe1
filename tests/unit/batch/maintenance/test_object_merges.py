"""Small landed objects become one; of a bucket's place a folder is as good as any."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch.maintenance.merges import stretches
from batch.maintenance.object_merges import ObjectCompaction
from stream.core.normalise import truncate_marker
from stream.core.schema import Row
from stream.landing.fenced import FencedLane, FencedZone, LandedObject, read_object_footer
from stream.storage.local import LocalStorage
from tests.support.landing import delete, land_in, position_at, upsert
from tests.support.objects import landed_rows

DAY = timedelta(days=1)


class Bucket:
    """A bucket, and the time there."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 1, 3, 12, tzinfo=UTC)
        self.zone = FencedZone(LocalStorage(folder / "bucket"), clock=self.clock)
        self.scratch = folder / "scratch"
        self.compaction = ObjectCompaction(self.zone, self.clock, self.scratch, "500MB")

    def clock(self) -> datetime:
        """Return the time."""
        return self.now

    @property
    def lane(self) -> FencedLane:
        """The stream's, as somebody sees it who has just come."""
        return self.zone.lane("stream")

    def land(self, *rows: Row, dead_letters: int = 0, lane: str = "stream") -> None:
        """Land an object."""
        land_in(self.zone.lane(lane), rows, dead_letters=dead_letters, clock=self.clock)

    def land_each(self, *numbers: int, lane: str = "stream") -> None:
        """Land an object for each of some documents."""
        for number in numbers:
            self.land(upsert(number, number + 1), lane=lane)

    def names(self) -> list[str]:
        """Name what is in sight."""
        return [each.name for each in self.lane.landed()]

    def loaded(self) -> set[str]:
        """Name everything, as if it were loaded."""
        return {each.name for lane in self.zone.lanes() for each in lane.landed()}

    def merge(self) -> None:
        """Merge what there is to merge."""
        for run in self.compaction.plan(self.loaded()):
            self.compaction.merge(run)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path)


def test_objects_of_a_closed_day_become_one(bucket: Bucket) -> None:
    """The last change of each document is kept, deletes among them; the newest object stays what it is."""
    bucket.land(upsert(1, 10), upsert(2, 11))
    bucket.land(upsert(1, 12), delete(3, 13))
    bucket.now += DAY
    bucket.land(upsert(4, 20))
    bucket.land(upsert(5, 21))

    bucket.merge()

    expected = ["stream/000000000000-000000000001", "stream/000000000002", "stream/000000000003"]
    assert expected == bucket.names()
    rows = [(row["_id"], row["op"], row["source_version"]) for row in landed_rows(bucket.zone.storage)]
    assert [("i:1", "upsert", 12), ("i:2", "upsert", 11), ("i:3", "delete", 13)] == rows[:3]
    merged = next(bucket.lane.landed())
    footer = read_object_footer(bucket.zone.storage, merged)
    assert (footer.micro_batch_id, footer.rows, footer.upserts, footer.deletes) == (merged.name, 3, 2, 1)
    assert (10, 13) == (footer.first_cluster_time, footer.last_cluster_time)
    assert footer.landed_at == bucket.now - DAY
    assert [] == list(bucket.scratch.iterdir())


def test_what_is_replaced_is_out_of_sight_until_it_is_removed(bucket: Bucket) -> None:
    """Whoever has begun with it can go on; afterwards the same is in sight as before."""
    bucket.land_each(0, 1, 2, 3)
    bucket.now += DAY
    bucket.merge()
    before = bucket.names()
    [(merged, replaced)] = bucket.lane.replacements()
    assert "stream/000000000000-000000000002" == merged.name
    assert [0, 1, 2] == [each.sequence for each in replaced]
    assert 5 == len(list(bucket.lane.objects()))

    assert 3 == bucket.compaction.remove(replaced)

    assert bucket.names() == before == [merged.name, "stream/000000000003"]
    assert [] == bucket.lane.replacements()


def test_a_worker_notices_nothing(bucket: Bucket) -> None:
    """One that runs goes on behind what it landed, one that starts stands where it stood."""
    running = bucket.lane
    for at in range(3):
        land_in(running, [upsert(at, at + 10)], clock=bucket.clock)
    bucket.now += DAY

    bucket.merge()
    for _, replaced in bucket.lane.replacements():
        bucket.compaction.remove(replaced)

    assert bucket.lane.position() == position_at(12)
    assert 3 == land_in(running, [upsert(9, 20)], clock=bucket.clock).sequence
    assert 4 == land_in(bucket.lane, [upsert(9, 21)], clock=bucket.clock).sequence


def test_days_and_what_must_stay_part_their_neighbours(bucket: Bucket) -> None:
    """A truncate marker keeps its place between older and newer rows, a dead letter its micro-batch."""
    bucket.land_each(0, 1)
    bucket.land(upsert(2, 3), dead_letters=1)
    bucket.land_each(3)
    bucket.now += DAY
    bucket.land_each(4, 5)
    bucket.land(truncate_marker(source_version=7))
    bucket.land_each(7, 8)
    bucket.now += DAY
    bucket.land(upsert(9, 20))

    runs = bucket.compaction.plan(bucket.loaded())

    assert [[0, 1], [4, 5], [7, 8]] == [[each.sequence for each in run] for run in runs]


def test_what_is_not_loaded_and_backfills_are_left_alone(bucket: Bucket) -> None:
    """Nothing is merged that the tables do not have; objects of a backfill are large."""
    for lane in ("stream", "backfill-1"):
        bucket.land_each(0, 1, 2, lane=lane)
    bucket.now += DAY

    assert [] == bucket.compaction.plan({"stream/000000000001"})
    assert [2] == [len(run) for run in bucket.compaction.plan(bucket.loaded())]


def test_a_merge_that_was_killed_is_found_done(bucket: Bucket) -> None:
    """The object is there, whole; another one under its name is not written."""
    bucket.land_each(0, 1, 2)
    bucket.now += DAY
    [run] = bucket.compaction.plan(bucket.loaded())
    bucket.compaction.merge(run)
    [before] = [each.changed for each in bucket.zone.storage.list_after("landing") if "-" in each.key[15:]]

    bucket.compaction.merge(run)

    [after] = [each.changed for each in bucket.zone.storage.list_after("landing") if "-" in each.key[15:]]
    assert before == after


def landed(number: int, *, size_bytes: int = 1, first: int | None = None) -> LandedObject:
    return LandedObject(f"landing/stream/{number}", "stream", number, size_bytes, first)


@pytest.mark.parametrize(
    ("lane", "found"),
    [
        ([landed(0), landed(1)], []),
        ([landed(0), landed(1), landed(2)], [[0, 1]]),
        ([landed(0), landed(2), landed(3), landed(4)], [[2, 3]]),
        ([landed(3, first=0), landed(4), landed(9, first=5), landed(10)], []),
        ([landed(0), landed(1), landed(2, size_bytes=99), landed(3), landed(4), landed(5)], [[0, 1], [3, 4]]),
    ],
    ids=["the newest stays", "two", "a gap", "between merged ones", "a large one"],
)
def test_which_objects_are_worth_a_look(lane: list[LandedObject], found: list[list[int]]) -> None:
    """By the list alone: neighbours that are small, both of them."""
    seen = [[each.sequence for each in stretch] for stretch in stretches(lane, max_size_bytes=50)]
    assert found == seen
