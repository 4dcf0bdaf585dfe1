"""Everything is read anew beside the stream: when the floor is due, and what ends it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from stream.core.normalise import floor
from stream.errors import AnalyticsError, SourceUnreachableError, StepFailedError
from stream.landing.zone import Lane
from stream.source.resnapshot import Rescan, RescanState, RescanStore, cannot_read_everything
from stream.stop import StopSignal
from tests.support.landing import land, lane_of, position_at, upsert


class FakeReading:
    """Reads until it is let go; notes each call."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[int] = []
        self.may_end = threading.Event()
        self._error = error

    def __call__(self, floor: int, must_leave: Callable[[], bool], is_landing_only: bool) -> bool:  # noqa: FBT001 - as it is called
        """Give whether it came to its end."""
        assert not is_landing_only
        self.calls.append(floor)
        if self._error:
            raise self._error
        while not self.may_end.wait(0.01):
            if must_leave():
                return False
        return True


@pytest.fixture
def lane(tmp_path: Path) -> Lane:
    found = lane_of(tmp_path)
    found.folder.mkdir(parents=True)
    return found


def rescan_of(lane: Lane, reading: FakeReading, stop: StopSignal) -> Rescan:
    log = structlog.wrap_logger(None, processors=[LogCapture()])
    return Rescan(RescanStore(lane), reading, stop=stop, log=log)


def test_the_floor_comes_once_and_last(lane: Lane) -> None:
    """It is durable that a rescan is under way before anything is read, and until its floor has landed."""
    reading = FakeReading()
    rescan = rescan_of(lane, reading, StopSignal())

    rescan.begin(5)
    assert rescan.take_floor() is None
    assert rescan.is_under_way
    assert RescanStore(lane).load() == RescanState(5, None)
    reading.may_end.set()
    rescan.join(60)

    assert rescan.take_floor() == floor(5)
    assert rescan.take_floor() is None
    assert not rescan.is_under_way
    assert RescanStore(lane).load() is not None
    rescan.land(5)
    assert RescanStore(lane).load() is None
    assert reading.calls == [5]


def test_a_later_reason_begins_it_again(lane: Lane) -> None:
    """The collection was replaced meanwhile: what has been read is worth nothing, and one floor comes."""
    reading = FakeReading()
    rescan = rescan_of(lane, reading, StopSignal())

    rescan.begin(5)
    rescan.begin(9)
    reading.may_end.set()
    rescan.join(60)

    assert reading.calls[-1] == 9
    assert rescan.take_floor() == floor(9)


def test_the_floor_of_a_drop_makes_it_needless(lane: Lane) -> None:
    """All that would have been removed is removed; a lower floor changes nothing."""
    rescan = rescan_of(lane, FakeReading(), StopSignal())
    rescan.begin(5)

    rescan.land(4)
    assert rescan.is_under_way
    assert RescanStore(lane).load() is not None
    rescan.land(6)

    rescan.join(60)
    assert not rescan.is_under_way
    assert RescanStore(lane).load() is None


def test_it_ends_with_the_worker(lane: Lane) -> None:
    """And is taken up by the next one."""
    stop = StopSignal()
    rescan = rescan_of(lane, FakeReading(), stop)
    rescan.begin(5)

    stop.finish()
    rescan.join(60)

    assert rescan.take_floor() is None
    assert RescanStore(lane).load() == RescanState(5, None)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SourceUnreachableError("gone", hint="wait"), SourceUnreachableError),
        (ValueError("unforeseen"), StepFailedError),
    ],
)
def test_its_errors_end_the_worker(lane: Lane, error: Exception, expected: type[AnalyticsError]) -> None:
    """A thread does not die in silence."""
    stop = StopSignal()
    rescan = rescan_of(lane, FakeReading(error), stop)

    rescan.begin(5)
    rescan.join(60)

    assert isinstance(stop.error, expected)
    assert str(error) in stop.error.message
    assert RescanStore(lane).load() is not None


def test_the_state_brings_the_position_along(lane: Lane, tmp_path: Path) -> None:
    """Killed after the state was saved, the new position is saved by the next worker; never an older one."""
    land(tmp_path, [upsert(1, 10)], position=position_at(10))
    store = RescanStore(lane)
    store.save(RescanState(19, position_at(20)))

    assert store.load() == RescanState(19, position_at(20))
    assert lane.position() == position_at(20)

    land(tmp_path, [upsert(1, 30)], position=position_at(30))
    assert store.load() is not None
    assert lane.position() == position_at(30)


def test_a_floor_that_has_landed_is_the_end(lane: Lane, tmp_path: Path) -> None:
    """Killed between the landing and the forgetting."""
    store = RescanStore(lane)
    store.save(RescanState(19, None))
    land(tmp_path, [floor(19)])

    assert store.load() is None
    assert not (lane.folder / "rescan.json").exists()


def test_a_process_without_a_way_to_read_says_so() -> None:
    """Exit code 1, and which command can."""
    with pytest.raises(StepFailedError, match="which this process cannot do") as caught:
        cannot_read_everything(5, lambda: False, True)  # noqa: FBT003 - as it is called
    assert "`claude-analytics stream`" in caught.value.hint
