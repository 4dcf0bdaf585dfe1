"""One signal to end the worker, from whoever has a reason: a person, an error, or the end of the work."""

import threading

from stream.errors import AnalyticsError


class StopSignal:
    """Set once; the first reason stays. Safe to set from any thread and from signal handlers."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._error: AnalyticsError | None = None
        self._signal_number: int | None = None

    @property
    def is_set(self) -> bool:
        """Whether the worker should end."""
        return self._event.is_set()

    @property
    def error(self) -> AnalyticsError | None:
        """The error that ends it, None if it ends in peace."""
        return self._error

    @property
    def signal_number(self) -> int | None:
        """The operating system's signal that ends it, if one does."""
        return self._signal_number

    def finish(self) -> None:
        """End: the work is done."""
        self._event.set()

    def fail(self, error: AnalyticsError) -> None:
        """End with an error, after what has been read is flushed."""
        if not self._event.is_set():
            self._error = error
        self._event.set()

    def interrupt(self, signal_number: int) -> None:
        """End because of a signal of the operating system."""
        if not self._event.is_set():
            self._signal_number = signal_number
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Sleep until the signal is set, at most so long; give whether it is set."""
        return self._event.wait(seconds)
