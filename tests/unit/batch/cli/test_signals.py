"""Signals, whatever a library makes of them."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from batch.cli.signals import exit_if_signalled, exiting_at_signals
from stream.clock import utc_now
from stream.landing.zone import LandingZone
from stream.warehouse.warehouse import Warehouse

both_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])


@both_signals
def test_a_signal_that_a_library_swallows(number: signal.Signals) -> None:
    """It leaves at once; and if somebody catches that, when asked."""
    before = signal.getsignal(number)
    with exiting_at_signals():
        exit_if_signalled()
        with contextlib.suppress(SystemExit):
            os.kill(os.getpid(), number)
            pytest.fail("it should have left at once")
        with pytest.raises(SystemExit) as caught:
            exit_if_signalled()
    assert 128 + number == caught.value.code
    assert before == signal.getsignal(number)
    exit_if_signalled()  # what was told is over with the block


def test_a_signal_during_a_query(tmp_path: Path) -> None:
    """DuckDB makes a RuntimeError of it; whoever catches that is told why, and the file is closed at once."""
    long = "select max(a.range % (b.range + 1)) from range(1000000) a, range(10000) b"
    landing = LandingZone(tmp_path / "landing", clock=utc_now)
    warehouse = Warehouse(tmp_path / "analytics.duckdb", landing=landing, clock=utc_now, threads=2)
    for seconds in (0.15, 0.2, 0.25, 0.3, 0.35, 0.4):
        kill = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
        begun = time.monotonic()
        with exiting_at_signals():
            kill.start()
            with (
                pytest.raises((RuntimeError, SystemExit)),  # the latter if it comes before the query
                warehouse.opened(timeout_seconds=1) as connection,
            ):
                connection.execute(long)
            kill.join()
            assert time.monotonic() - begun < 5
            with pytest.raises(SystemExit, match=str(128 + signal.SIGTERM)):
                exit_if_signalled()
