"""Leaves at SIGTERM and Ctrl-C, also when a library makes an error of its own out of that.

DuckDB, for one, answers a signal handler's exception with `RuntimeError: Query interrupted`; others catch
whatever a call raises. So the signal is remembered, and who catches an error asks before believing it.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_told: list[int] = []


@contextmanager
def exiting_at_signals() -> Iterator[None]:
    """Unwind whatever is open at a signal, then exit as a shell expects: 143 or 130."""
    previous = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        _told.clear()
        for number, handler in previous.items():
            signal.signal(number, handler)


def exit_if_signalled() -> None:
    """Leave, if a signal said so and something swallowed that.

    Raises:
        SystemExit: 128 and the signal's number.
    """
    if _told:
        sys.exit(128 + _told[0])


def _leave(number: int, _frame: FrameType | None) -> None:
    _told.append(number)
    exit_if_signalled()
