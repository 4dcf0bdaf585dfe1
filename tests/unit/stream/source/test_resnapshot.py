"""Everything is read anew beside the stream: when the truncate marker is due, and what ends it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from stream.core.normalise import truncate_marker
from stream.errors import AnalyticsError, SourceUnreachableError, StepFailedError
from stream.landing.zone import Lane
from stream.source.resnapshot import Resnapshot, ResnapshotState, ResnapshotStore, cannot_resnapshot
from stream.stop import StopSignal
from tests.support.landing import land, lane_of, position_at, upsert
from tests.support.patience import patience


class FakeReading:
    """Reads until it is let go; notes each call."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[int] = []
        self.may_end = threading.Event()
        self._error = error

    def __call__(self, truncate_marker: int, must_leave: Callable[[], bool], is_landing_only: bool) -> bool:  # noqa: FBT001 - as it is called
        """Return whether it came to its end."""
        assert not is_landing_only
        self.calls.append(truncate_marker)
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


def resnapshot_of(lane: Lane, reading: FakeReading, stop: StopSignal) -> Resnapshot:
    log = structlog.wrap_logger(None, processors=[LogCapture()])
    return Resnapshot(ResnapshotStore(lane), reading, stop=stop, log=log)


def test_the_truncate_marker_comes_once_and_last(lane: Lane) -> None:
    """A resnapshot under way is durable before anything is read, and until its marker has landed."""
    reading = FakeReading()
    resnapshot = resnapshot_of(lane, reading, StopSignal())

    resnapshot.begin(5)
    assert resnapshot.take_truncate_marker() is None
    assert resnapshot.is_under_way
    assert ResnapshotState(truncate_marker=5) == ResnapshotStore(lane).load()
    reading.may_end.set()
    resnapshot.join(patience())

    assert truncate_marker(5) == resnapshot.take_truncate_marker()
    assert resnapshot.take_truncate_marker() is None
    assert not resnapshot.is_under_way
    assert ResnapshotStore(lane).load() is not None
    resnapshot.land(5)
    assert ResnapshotStore(lane).load() is None
    assert [5] == reading.calls


def test_a_later_reason_begins_it_again(lane: Lane) -> None:
    """The collection was replaced meanwhile: what has been read is worth nothing, and one marker comes."""
    reading = FakeReading()
    resnapshot = resnapshot_of(lane, reading, StopSignal())

    resnapshot.begin(5)
    resnapshot.begin(9)
    reading.may_end.set()
    resnapshot.join(patience())

    assert 9 == reading.calls[-1]
    assert truncate_marker(9) == resnapshot.take_truncate_marker()


def test_the_truncate_marker_of_a_drop_makes_it_needless(lane: Lane) -> None:
    """All that would have been removed is removed; a lower truncate_marker changes nothing."""
    resnapshot = resnapshot_of(lane, FakeReading(), StopSignal())
    resnapshot.begin(5)

    resnapshot.land(4)
    assert resnapshot.is_under_way
    assert ResnapshotStore(lane).load() is not None
    resnapshot.land(6)

    resnapshot.join(patience())
    assert not resnapshot.is_under_way
    assert ResnapshotStore(lane).load() is None


def test_it_ends_with_the_worker(lane: Lane) -> None:
    """And is taken up by the next one."""
    stop = StopSignal()
    resnapshot = resnapshot_of(lane, FakeReading(), stop)
    resnapshot.begin(5)

    stop.finish()
    resnapshot.join(patience())

    assert resnapshot.take_truncate_marker() is None
    assert ResnapshotState(truncate_marker=5) == ResnapshotStore(lane).load()


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
    resnapshot = resnapshot_of(lane, FakeReading(error), stop)

    resnapshot.begin(5)
    resnapshot.join(patience())

    assert isinstance(stop.error, expected)
    assert str(error) in stop.error.message
    assert ResnapshotStore(lane).load() is not None


def test_the_state_brings_the_position_along(lane: Lane, tmp_path: Path) -> None:
    """Killed after the state was saved, the new position is saved by the next worker; never an older one."""
    land(tmp_path, [upsert(1, 10)], position=position_at(10))
    store = ResnapshotStore(lane)
    store.save(ResnapshotState(truncate_marker=19, position=position_at(20)))

    assert ResnapshotState(truncate_marker=19, position=position_at(20)) == store.load()
    assert position_at(20) == lane.position()

    land(tmp_path, [upsert(1, 30)], position=position_at(30))
    assert store.load() is not None
    assert position_at(30) == lane.position()


def test_a_truncate_marker_that_has_landed_is_the_end(lane: Lane, tmp_path: Path) -> None:
    """Killed between the landing and the forgetting."""
    store = ResnapshotStore(lane)
    store.save(ResnapshotState(truncate_marker=19))
    land(tmp_path, [truncate_marker(19)])

    assert store.load() is None
    assert not (lane.folder / "resnapshot.json").exists()


def test_a_process_without_a_way_to_read_says_so() -> None:
    """Exit code 1, and which command can."""
    with pytest.raises(StepFailedError, match="which this process cannot do") as caught:
        cannot_resnapshot(5, lambda: False, True)  # noqa: FBT003 - as it is called
    assert "`claude-analytics stream`" in caught.value.hint


def test_a_worker_that_was_replaced_does_not_undo_a_later_resnapshot(lane: Lane) -> None:
    """It wakes up, and notes what its successor has dealt with since."""
    ResnapshotStore(lane).save(ResnapshotState(truncate_marker=7))

    ResnapshotStore(lane).save(ResnapshotState(truncate_marker=5))

    assert ResnapshotState(truncate_marker=7) == ResnapshotStore(lane).load()
