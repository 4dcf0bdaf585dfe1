"""Signals, whatever a library makes of them."""

import contextlib
import os
import signal
import threading

import duckdb
import pytest

from batch.cli.leaving import leave_if_told, leaving_at_signals

both_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])


@both_signals
def test_a_signal_that_a_library_swallows(number: signal.Signals) -> None:
    """It leaves at once; and if somebody catches that, when asked."""
    before = signal.getsignal(number)
    with leaving_at_signals():
        leave_if_told()
        with contextlib.suppress(SystemExit):
            os.kill(os.getpid(), number)
            pytest.fail("it should have left at once")
        with pytest.raises(SystemExit) as caught:
            leave_if_told()
    assert 128 + number == caught.value.code
    assert before == signal.getsignal(number)
    leave_if_told()  # what was told is over with the block


def test_a_signal_during_a_query() -> None:
    """DuckDB makes a RuntimeError of it; whoever catches that is told why."""
    with duckdb.connect() as connection, leaving_at_signals():
        kill = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
        kill.start()
        with pytest.raises(RuntimeError, match="interrupted"):
            connection.execute("select max(a.range % (b.range + 1)) from range(1000000) a, range(1000000) b")
        kill.join()
        with pytest.raises(SystemExit, match=str(128 + signal.SIGTERM)):
            leave_if_told()
