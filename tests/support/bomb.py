"""Ends its process at a failpoint, as a power cut would."""

import os
import signal
import threading
import time


class Bomb:
    """Called at every failpoint; goes off at the n-th reach of its own."""

    def __init__(self, failpoint: str | None, nth: int, delay_ms: float | None = None) -> None:
        self._failpoint = failpoint
        self._left = nth
        self._delay_ms = delay_ms

    def __call__(self, failpoint: str) -> None:
        """Count a failpoint that was reached."""
        if failpoint != self._failpoint:
            return
        self._left -= 1
        if self._left == 0:
            if self._delay_ms is None:
                self._go_off()
            else:
                threading.Thread(target=self._go_off_later, args=(self._delay_ms,), daemon=True).start()

    def _go_off_later(self, delay_ms: float) -> None:
        time.sleep(delay_ms / 1000)
        self._go_off()

    def _go_off(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
