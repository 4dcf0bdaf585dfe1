"""A server of the demo and the tests: it runs under a guard, and is stopped with its owner."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from batch.mongod import guard

_POLL_SECONDS = 0.05


class GuardedServer:
    """Starts and stops a program as a context; who inherits says how it starts. Not thread-safe."""

    def __init__(self) -> None:
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it; does nothing when it does not run."""
        if self._guard is not None:
            self._guard.communicate()  # closes the pipe, which is what the guard waits for
            self._guard = None

    def _run(self, command: Sequence[str], *, log: Path, grace_seconds: int) -> int:
        """Run a program under a guard, and return its process id; 0 if it cannot be run.

        Args:
            command: With its arguments.
            log: What it says is appended here.
            grace_seconds: Between being asked to stop and being killed.
        """
        with log.open("ab") as file:
            self._guard = subprocess.Popen(  # noqa: S603 - our own script, a program that was found
                [sys.executable, "-I", "-S", guard.__file__, str(grace_seconds), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )
        said = self._guard.stdout.readline() if self._guard.stdout else b""
        return int(said) if said.strip() else 0

    def _wait_until(self, answers: Callable[[], bool], *, seconds: float) -> bool:
        """Wait for it to answer; stop it and return False if it ended, or does not in time."""
        deadline = time.monotonic() + seconds
        while not answers():
            if self._guard is None or self._guard.poll() is not None or time.monotonic() > deadline:
                self.stop()
                return False
            time.sleep(_POLL_SECONDS)
        return True
