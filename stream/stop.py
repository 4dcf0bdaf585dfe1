"""One signal to end the worker, from whoever has a reason: a person, an error, or the end of the work."""

import _thread
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from stream.errors import AnalyticsError

_LONGEST_SLEEP_SECONDS = 0.2
_INTERRUPT_EVERY_SECONDS = 0.02


class StopSignal:
    """Set once; the first reason stays. Safe to set from any thread and from signal handlers."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._error: AnalyticsError | None = None
        self._signal_number: int | None = None

    @property
    def is_set(self) -> bool:
        """Whether the worker should end."""
        return self._signal_number is not None or self._event.is_set()

    @property
    def error(self) -> AnalyticsError | None:
        """The error that ends it, None if it ends in peace."""
        return self._error

    @property
    def signal_number(self) -> int | None:
        """The operating system's signal that ends it, if one does."""
        return self._signal_number

    def finish(self) -> None:
        """End: the work is done."""
        self._event.set()

    def fail(self, error: AnalyticsError) -> None:
        """End with an error, after what has been read is flushed."""
        with self._lock:
            if not self.is_set:
                self._error = error
            self._event.set()

    def interrupt(self, signal_number: int) -> None:
        """End because of a signal of the operating system, also when the end has begun already.

        Called in a signal handler, which can interrupt the very thread that holds a lock: so only a number is
        noted here. Whoever sleeps in `wait` looks at it often enough.
        """
        if self._signal_number is None:
            self._signal_number = signal_number

    def wait(self, seconds: float) -> bool:
        """Sleep until the signal is set, at most so long; give whether it is set."""
        until = time.monotonic() + seconds
        while not self.is_set and (left := until - time.monotonic()) > 0:
            self._event.wait(min(left, _LONGEST_SLEEP_SECONDS))
        return self.is_set


_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def handling_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Call a function with the number of each SIGTERM and SIGINT, in place of what was called before.

    In a thread that is not the main one signals are the caller's business.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _frame: FrameType | None) -> None:
        handle(number)

    previous = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


@contextmanager
def stopped_by_signals(stop: StopSignal) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the work in good order, once; a second one kills as usual."""

    def interrupt(number: int) -> None:
        stop.interrupt(number)
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    with handling_signals(interrupt):
        yield


class _NativeCalls:
    """What the main thread is inside of: one for the process, as signal handlers are."""

    def __init__(self) -> None:
        self.interrupts: list[Callable[[], None]] = []
        self.is_interrupted = False

    def keep_interrupting(self) -> None:
        while self.is_interrupted:
            for interrupt in list(self.interrupts):
                interrupt()
            time.sleep(_INTERRUPT_EVERY_SECONDS)


_native_calls = _NativeCalls()


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Let signals interrupt the native calls of this block, instead of raising an exception inside one.

    DuckDB runs signal handlers in the middle of a query. Left by an exception it executes the query on in
    threads of its own: the file stays open for the process, and is closed under them. Interrupted, it ends
    the query and raises an error of its own. Only calls of the main thread, where handlers run, are affected.

    Args:
        interrupt: Ends the call; may be called at any moment, any number of times.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _native_calls.interrupts.append(interrupt)
    try:
        yield
    finally:
        _native_calls.interrupts.remove(interrupt)


def interrupt_native_calls() -> bool:
    """Interrupt the native calls of `interruptible` blocks; return whether the main thread is in one.

    For signal handlers. An interrupt between two calls would be lost, so it is repeated, in later blocks too,
    until `end_interrupts`.
    """
    if not _native_calls.interrupts:
        return False
    _native_calls.is_interrupted = True
    # Not `threading.Thread`: the handler may have stopped the main thread while that held its lock.
    _thread.start_new_thread(_native_calls.keep_interrupting, ())
    return True


def end_interrupts() -> None:
    """Let native calls work again, once the signal has had its effect."""
    _native_calls.is_interrupted = False
