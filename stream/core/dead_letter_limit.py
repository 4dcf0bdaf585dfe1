"""When so much is rejected that something else must be wrong. Knows no clock: callers pass the time."""

from collections import deque

_WINDOW_SECONDS = 60.0


class DeadLetterLimit:
    """Counts the dead letters of the last minute.

    Args:
        max_per_minute: More than these are too many; 0 for any number.
    """

    def __init__(self, max_per_minute: int) -> None:
        self.max_per_minute = max_per_minute
        self._counts: deque[tuple[float, int]] = deque()
        self._in_window = 0

    def is_exceeded(self, more: int, now: float) -> bool:
        """Count some more, and tell whether there are too many; `now` in monotonic seconds."""
        if more:
            self._counts.append((now, more))
            self._in_window += more
        while self._counts and self._counts[0][0] <= now - _WINDOW_SECONDS:
            self._in_window -= self._counts.popleft()[1]
        return 0 < self.max_per_minute < self._in_window
