"""Reading ahead, ticks, and when the source is idle."""

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from stream.core.change_event import Reply, parse_reply
from stream.errors import HistoryLostError, StepFailedError
from stream.source.change_stream import ChangeStream
from stream.source.prefetch import ChangeStreamSource, Prefetch
from stream.stop import StopSignal
from tests.support.patience import patience
from tests.support.replies import insert, raw_reply, token_at


def reply(*, events: int = 0, reached: int = 100, server: int = 100, size: int = 0) -> Reply:
    """Return a reply whose position is at one second while the server is at another."""
    found = [insert({"_id": number, "text": "x" * size}, reached) for number in range(events)]
    return parse_reply(raw_reply(found, token=token_at(reached), second=server))


class Replies(ChangeStream):
    """A change stream that is a list; behind it the source is silent until the stop signal."""

    def __init__(self, replies: list[Reply], stop: StopSignal, *, error: Exception | None = None) -> None:
        self.taken = 0
        self._list = replies
        self._error = error
        self._signal = stop

    def replies(self) -> Iterator[Reply]:
        """Return them."""
        for one in self._list:
            self.taken += 1
            yield one
        if self._error:
            raise self._error
        self._signal.wait(60)


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    """Return a signal that is set when the test is over, so that threads end."""
    signal = StopSignal()
    yield signal
    signal.finish()


def partition_of(
    replies: list[Reply],
    stop: StopSignal,
    *,
    until_idle_seconds: float | None = None,
    error: Exception | None = None,
) -> "tuple[Callable[[], list[Reply | None]], Callable[[], None]]":
    source = ChangeStreamSource(
        Prefetch(Replies(replies, stop, error=error), stop),
        stop,
        until_idle_seconds=until_idle_seconds,
        monotonic=itertools.count(1.0).__next__,  # goes on by a second with each look
    )
    assert ["changes"] == source.list_parts()
    partition = source.build_part("read_changes", "changes", None)
    assert partition.snapshot() is None  # type: ignore[func-returns-value]
    return partition.next_batch, partition.close


def until_the_end(next_batch: Callable[[], list[Reply | None]], *, at_most: int = 50) -> list[Reply]:
    """Take replies until the source says that it is over; ticks left out."""
    found: list[Reply] = []
    for _ in range(at_most):
        try:
            found += [one for one in next_batch() if one is not None]
        except StopIteration:
            return found
    pytest.fail("it has not ended")


def test_replies_come_in_their_order(stop: StopSignal) -> None:
    """One at a time, and ticks when there is none."""
    given = [reply(events=1, reached=second) for second in (10, 20, 30)]
    next_batch, close = partition_of(given, stop)

    found = [one for _ in range(5) for one in next_batch()]

    assert [one for one in found if one is not None] == given
    assert found[-1] is None
    close()
    with pytest.raises(StopIteration):
        next_batch()


@pytest.mark.parametrize(
    ("replies", "until_idle_seconds"),
    [([reply()] * 30, None), ([reply(events=1), reply()], 3)],
    ids=["always on", "silence"],
)
def test_it_does_not_end_by_itself(
    stop: StopSignal, replies: list[Reply], until_idle_seconds: float | None
) -> None:
    """However idle it is, if it is always on; nor if the server is down, who has to confirm the end."""
    next_batch, _ = partition_of(replies, stop, until_idle_seconds=until_idle_seconds)

    for _ in range(30 if until_idle_seconds is None else 8):
        next_batch()
    assert not stop.is_set


def test_it_ends_when_idle_for_long_enough(stop: StopSignal) -> None:
    """Counted from the last event, by replies that say there is nothing."""
    given = [reply(events=1), reply(), reply(), reply(events=1), *[reply()] * 30]
    next_batch, _ = partition_of(given, stop, until_idle_seconds=5)

    found = until_the_end(next_batch)

    assert 4 + 5 <= len(found) <= 4 + 6
    assert (None, None) == (stop.error, stop.signal_number)


def test_an_empty_reply_from_the_past_is_not_idleness(stop: StopSignal) -> None:
    """A long oplog of other collections gives empty replies long before the end of it."""
    behind = [reply(reached=second, server=1000) for second in range(10, 40)]
    caught_up = [reply(reached=1001, server=1002)] * 10
    next_batch, _ = partition_of([*behind, *caught_up], stop, until_idle_seconds=3)

    found = until_the_end(next_batch)

    assert found[:30] == behind
    assert 30 < len(found) <= 35


@pytest.mark.parametrize(
    "replies",
    [
        [reply(reached=100 + second, server=100 + second * 2) for second in range(30)],
        [parse_reply(raw_reply([], token={"_data": "new form"}))] * 10,
    ],
    ids=["a busy server", "a token of unknown form"],
)
def test_what_does_not_keep_it_from_ending(stop: StopSignal, replies: list[Reply]) -> None:
    """The goal is where the server was at first: it may never stand still. Else an empty reply has to do."""
    next_batch, _ = partition_of(replies, stop, until_idle_seconds=3)

    assert len(until_the_end(next_batch)) <= 5


@pytest.mark.parametrize(
    ("error", "expected"),
    [(HistoryLostError("gone", hint="act"), HistoryLostError), (ValueError("unforeseen"), StepFailedError)],
    ids=["known", "unforeseen"],
)
def test_an_error_of_the_stream_stops_the_worker(
    stop: StopSignal, error: Exception, expected: type[Exception]
) -> None:
    """The thread does not die in silence."""
    next_batch, _ = partition_of([], stop, error=error)

    assert [] == until_the_end(next_batch)
    assert isinstance(stop.error, expected)
    assert str(error) in str(stop.error)


def test_what_was_read_before_an_error_is_given_first(stop: StopSignal) -> None:
    """However fast the error follows: started again, the worker need not read it once more."""
    before = [reply(events=1)] * 5
    next_batch, _ = partition_of(before, stop, error=HistoryLostError("gone", hint="act"))

    assert before == until_the_end(next_batch)
    assert isinstance(stop.error, HistoryLostError)


@pytest.mark.parametrize(("size", "most"), [(10, 9), (1_500_000, 4)], ids=["small", "large"])
def test_it_reads_ahead_only_so_far(stop: StopSignal, size: int, most: int) -> None:
    """In replies and in bytes: memory stays bounded while the disk is full."""
    changes = Replies([reply(events=1, size=size) for _ in range(50)], stop)
    prefetch = Prefetch(changes, stop)
    prefetch.start()

    threading.Event().wait(0.3)

    assert 1 <= changes.taken <= most
    for number in range(50):
        assert prefetch.take(5) is not None, number
    assert prefetch.take(0.01) is None


def test_a_full_queue_does_not_keep_the_thread_from_ending(stop: StopSignal) -> None:
    """It sees the stop signal while it waits for room."""
    prefetch = Prefetch(Replies([reply(events=1)] * 50, stop), stop)
    prefetch.start()
    threading.Event().wait(0.1)

    stop.finish()
    prefetch.join(patience())

    assert not prefetch._thread.is_alive()
