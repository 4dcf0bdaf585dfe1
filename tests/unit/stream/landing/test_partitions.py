"""Generations of lanes: where they begin, and what changing their number does."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream.errors import AlreadyRunningError, SettingsError
from stream.landing.fenced import FencedZone
from stream.landing.lane_writer import LaneWriter
from stream.landing.partitions import (
    StreamLanes,
    begin_generation,
    choose_partition,
    current_generation,
    current_partitions,
    repartition,
)
from stream.landing.zone import LandingZone
from stream.storage.local import LocalStorage
from tests.support.landing import land_in, position_at, upsert

NOON = datetime(2026, 1, 3, 12, tzinfo=UTC)
Zone = LandingZone | FencedZone


@pytest.fixture(params=["folder", "bucket"])
def zone(request: pytest.FixtureRequest, tmp_path: Path) -> Zone:
    """Return a landing zone of each kind."""
    if request.param == "folder":
        return LandingZone(tmp_path / "landing", clock=lambda: NOON)
    return FencedZone(LocalStorage(tmp_path), clock=lambda: NOON)


def land(lane: LaneWriter, at: int) -> None:
    land_in(lane, [upsert(at, at)], clock=lambda: NOON)


def test_one_partition_needs_no_choice(zone: Zone) -> None:
    """Nothing is written for it."""
    found = choose_partition(zone, 0, 1)
    assert found is not None
    assert ("stream", None) == (found[0].lane, found[1])
    assert current_generation(zone) is None


def test_several_begin_at_one_point(zone: Zone) -> None:
    """Whichever starts first chooses it, for all; a rival's choice at the same time does not count."""
    assert choose_partition(zone, 0, 3) is None
    first = begin_generation(zone, 3, position_at(10))
    assert first == begin_generation(zone, 3, position_at(20))
    for number in range(3):
        found = choose_partition(zone, number, 3)
        assert found is not None
        assert position_at(10) == found[1]
    lanes = [each.lane for each in current_partitions(zone)]
    assert ["stream-0001-0-of-3", "stream-0001-1-of-3", "stream-0001-2-of-3"] == lanes


def test_another_number_is_a_step_of_its_own(zone: Zone) -> None:
    """A worker with another number is refused, until somebody divides the stream again."""
    land(zone.lane("stream"), 10)
    with pytest.raises(
        SettingsError, match="STREAM_PARTITIONS is 2, and the stream is divided into 1"
    ) as caught:
        choose_partition(zone, 0, 2)
    assert "stream --repartition" in caught.value.hint
    assert position_at(10) == repartition(zone, 2).start
    with pytest.raises(SettingsError, match="STREAM_PARTITIONS is 1, and the stream is divided into 2"):
        choose_partition(zone, 0, 1)
    with pytest.raises(SettingsError, match="there is no partition 2"):
        choose_partition(zone, 2, 2)


def test_new_lanes_begin_where_the_slowest_stood(zone: Zone) -> None:
    """No gap, whichever lane was behind; one that has not begun stands where its generation did."""
    begin_generation(zone, 3, position_at(10))
    one, other, _ = (zone.lane(each.lane) for each in current_partitions(zone))
    land(one, 50)
    land(other, 30)
    assert position_at(10) == repartition(zone, 2).start
    one, other = (zone.lane(each.lane) for each in current_partitions(zone))
    land(one, 70)
    land(other, 60)
    generation = repartition(zone, 1)
    assert (generation.number, generation.start) == (3, position_at(60))
    assert ["stream-0003-0-of-1"] == [each.lane for each in current_partitions(zone)]


def test_a_worker_of_an_old_lane_cannot_land_any_more(tmp_path: Path) -> None:
    """In a bucket, where nobody can see whether it still runs: the next number is taken."""
    zone = FencedZone(LocalStorage(tmp_path), clock=lambda: NOON)
    old = zone.lane("stream")
    land(old, 10)
    repartition(zone, 2)
    with pytest.raises(AlreadyRunningError):
        land(old, 20)


def test_a_worker_that_runs_is_in_the_way(tmp_path: Path) -> None:
    """In a folder, where its lock says so; nothing is changed."""
    zone = LandingZone(tmp_path / "landing", clock=lambda: NOON)
    land(zone.lane("stream"), 10)
    with zone.lane("stream").writing(), pytest.raises(AlreadyRunningError):
        repartition(zone, 2)
    assert current_generation(zone) is None


def test_a_resnapshot_is_finished_first(zone: Zone) -> None:
    """Its lane says that it is not whole yet."""
    land(zone.lane("stream"), 10)
    zone.lane("stream").state.put("resnapshot.json", b"{}")
    with pytest.raises(SettingsError, match="lane `stream` reads the collection again"):
        repartition(zone, 2)


def test_a_stream_that_has_not_begun_cannot_be_divided_again(zone: Zone) -> None:
    """Its first worker begins with the number wanted."""
    with pytest.raises(SettingsError, match="the stream has no position yet"):
        repartition(zone, 2)


def test_the_lanes_together_stand_where_the_slowest_does(tmp_path: Path) -> None:
    """For whoever asks how old the rows are."""
    zone = LandingZone(tmp_path / "landing", clock=lambda: NOON)
    assert StreamLanes(zone).position() is None
    begin_generation(zone, 2, position_at(10))
    one, other = (zone.lane(each.lane) for each in current_partitions(zone))
    land(one, 50)
    assert position_at(10) == StreamLanes(zone).position()
    land(other, 40)
    assert position_at(40) == StreamLanes(zone).position()
    assert not StreamLanes(zone).is_being_written
    with other.writing():
        assert StreamLanes(zone).is_being_written
