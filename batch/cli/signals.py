"""Exits at SIGTERM and Ctrl-C, also from inside a native call or a library that catches everything.

A query of DuckDB is interrupted and raises an error of its own; other libraries catch whatever a call raises.
So the signal is remembered, and who catches an error asks before believing it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stream.stop import end_interrupts, handling_signals, interrupt_native_calls

_received: list[int] = []


@contextmanager
def exiting_at_signals() -> Iterator[None]:
    """Unwind whatever is open at a signal, then exit as a shell expects: 143 or 130."""
    with handling_signals(_exit):
        try:
            yield
        finally:
            _received.clear()
            end_interrupts()


def exit_if_signalled() -> None:
    """Exit if a signal has come, and something has swallowed that.

    Raises:
        SystemExit: 128 and the signal's number.
    """
    if _received:
        sys.exit(128 + _received[0])


def _exit(number: int) -> None:
    _received.append(number)
    if not interrupt_native_calls():
        exit_if_signalled()
