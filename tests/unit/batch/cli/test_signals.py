"""Signals, whatever a library makes of them."""

import contextlib
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from batch.cli.signals import exit_if_signalled, exiting_at_signals
from stream.clock import utc_now
from stream.errors import AnalyticsError
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


@pytest.mark.parametrize("seed", range(3))
def test_a_signal_at_any_moment_of_a_query(tmp_path: Path, seed: int) -> None:
    """DuckDB ends its query and the file is closed: the same process can open it at once, again and again."""
    long = "select max(a.range % (b.range + 1)) from range(1000000) a, range(10000) b"
    landing = LandingZone(tmp_path / "landing", clock=utc_now)
    warehouse = Warehouse(tmp_path / "analytics.duckdb", landing=landing, clock=utc_now, threads=2)
    chance = random.Random(seed)
    for _ in range(6):
        kill = threading.Timer(chance.uniform(0, 0.3), os.kill, (os.getpid(), signal.SIGTERM))
        with exiting_at_signals():
            with contextlib.suppress(SystemExit):  # if it comes before the file is open
                kill.start()
                with (
                    pytest.raises(AnalyticsError, match=r"[Ii]nterrupt"),
                    warehouse.opened(timeout_seconds=5) as connection,
                ):
                    connection.execute(long)
                kill.join()
            with pytest.raises(SystemExit, match=str(128 + signal.SIGTERM)):
                exit_if_signalled()
    with warehouse.opened(timeout_seconds=5) as connection:
        assert [(1,)] == connection.execute("select 1").fetchall()
