"""Signals during a pipeline run."""

import contextlib
import os
import signal

import pytest

from batch.cli.cycle import _remembered_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_that_a_library_swallows(number: signal.Signals) -> None:
    """It leaves at once; and if somebody catches that, before the next step."""
    before = signal.getsignal(number)
    with _remembered_signals() as leave_if_told:
        leave_if_told()
        with contextlib.suppress(SystemExit):
            os.kill(os.getpid(), number)
            pytest.fail("it should have left at once")
        with pytest.raises(SystemExit) as caught:
            leave_if_told()
    assert 128 + number == caught.value.code
    assert before == signal.getsignal(number)
