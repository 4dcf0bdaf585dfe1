"""How long a test waits for what must happen: ever longer, the busier the machine is."""

import time

_WORK_SECONDS = 0.05
"""Processor time of a known piece of work: enough to be interrupted by others."""


def patience(seconds: float = 120.0) -> float:
    """Return how long to wait now for what takes at most so long on an idle machine."""
    began_at, until = time.monotonic(), time.thread_time() + _WORK_SECONDS
    while time.thread_time() < until:
        pass
    return seconds * max(1.0, (time.monotonic() - began_at) / _WORK_SECONDS)
