"""The signal that ends a worker."""

import threading
import time
from collections.abc import Callable

import pytest

from stream.errors import StepFailedError
from stream.stop import StopSignal
from tests.support.patience import patience

ERROR = StepFailedError("first", hint="do this")


def test_it_begins_unset() -> None:
    """Nothing has happened yet; waiting takes its time."""
    stop = StopSignal()

    assert not stop.is_set
    assert not stop.wait(0.01)
    assert (None, None) == (stop.error, stop.signal_number)


@pytest.mark.parametrize(
    ("act", "error", "number"),
    [
        (lambda stop: stop.finish(), None, None),
        (lambda stop: stop.fail(ERROR), ERROR, None),
        (lambda stop: stop.interrupt(15), None, 15),
        (lambda stop: (stop.finish(), stop.fail(ERROR)), None, None),
        (lambda stop: (stop.interrupt(15), stop.fail(ERROR)), None, 15),
        (lambda stop: (stop.interrupt(15), stop.interrupt(2)), None, 15),
        (lambda stop: (stop.fail(ERROR), stop.fail(StepFailedError("second", hint=""))), ERROR, None),
        (lambda stop: (stop.finish(), stop.interrupt(15)), None, 15),
    ],
    ids=["finish", "fail", "interrupt", "finish, fail", "interrupt, fail", "15, 2", "fail, fail",
         "finish, interrupt"],
)  # fmt: skip
def test_the_first_reason_stays(
    act: Callable[[StopSignal], object], error: StepFailedError | None, number: int | None
) -> None:
    """What comes later changes nothing, but a signal is noted also while the worker ends."""
    stop = StopSignal()

    act(stop)

    assert stop.is_set
    assert stop.wait(60)
    assert (stop.error, stop.signal_number) == (error, number)


def test_waiting_ends_when_another_thread_sets_it() -> None:
    """Long before the time is over."""
    stop = StopSignal()
    threading.Timer(0.05, stop.finish).start()

    begun = time.monotonic()
    assert stop.wait(60)
    assert time.monotonic() - begun < patience(10)


def test_a_signal_handler_needs_no_lock() -> None:
    """A handler may interrupt the very thread that holds the lock of the event: it must not wait for it."""
    stop = StopSignal()
    with stop._event._cond, stop._lock:  # type: ignore[attr-defined]
        handler = threading.Thread(target=stop.interrupt, args=(15,), daemon=True)
        handler.start()
        handler.join(patience())

        assert not handler.is_alive()
        assert stop.is_set
