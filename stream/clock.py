"""Where time comes from: passed in everywhere, so that tests own it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present instant, aware and in UTC."""

MonotonicClock = Callable[[], float]
"""Gives seconds that never jump; only differences mean anything."""


def utc_now() -> datetime:
    """Return the system's present instant in UTC."""
    return datetime.now(UTC)


def age_text(seconds: float) -> str:
    """Write an age or another span for people, e.g. `3 s`, `12 min`, `5 h`, `2 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
