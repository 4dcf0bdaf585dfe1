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
