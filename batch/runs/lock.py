"""Whose turn it is: one pipeline, or one of its steps, at a time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stream.clock import Clock
from stream.errors import WarehouseBusyError
from stream.warehouse.lock import WarehouseLock


class PipelineLock:
    """The right to build, check and publish on one data folder; ends with its process, however that ends.

    Not the warehouse lock: the stream goes on to load between two steps.

    Args:
        data_dir: Where the lock lies.
        name: Of what is done one at a time: `pipeline` or `schedule`.
        clock: For the note of who holds it.
    """

    def __init__(self, data_dir: Path, name: str, *, clock: Clock) -> None:
        self._lock = WarehouseLock(data_dir / name, clock=clock)

    @contextmanager
    def taken(self, *, timeout_seconds: float) -> Iterator[None]:
        """Take the pipeline lock; wait for it at most so long.

        Raises:
            WarehouseBusyError: Another run is under way.
            LandingNotWritableError: The folder cannot be written.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(self._lock.held(timeout_seconds=timeout_seconds))
            except WarehouseBusyError as error:
                raise WarehouseBusyError(
                    f"another run is under way: {self._lock.holder()}",
                    hint="try again when it has finished; `claude-analytics status` shows how far it is",
                ) from error
            yield

    @property
    def is_taken(self) -> bool:
        """Whether a run is under way."""
        try:
            with self._lock.held(timeout_seconds=0):
                return False
        except WarehouseBusyError:
            return True
