"""A process that is kept between frequent runs: what takes seconds to import is there for the next one.

Its standard input gets the name of each run, one a line; a pipe of its own brings back each exit code. It
ends when its input closes, so also with the scheduler, however that ends. One that died, was killed, or left
because it had grown, is replaced at the next run. The daily run still has a process, and memory, to itself.
"""

import os
import select
import subprocess
import time
from collections.abc import Callable, Sequence

from batch.pipeline.scheduler import Child, start_pipeline
from batch.pipeline.timetable import DAILY

LEAVING = "leaving"
"""Behind the exit code if the process takes no further run."""

_GRACE_SECONDS = 4.0
_POLL_SECONDS = 0.05


class Resident:
    """Starts runs, frequent ones in a process that is kept. One run at a time; not thread-safe.

    Args:
        command: The program, up to its arguments.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._answers = -1

    def start(self, name: str) -> Child:
        """Start a run.

        Raises:
            OSError: No process could be started.
        """
        if name == DAILY:
            self.close()
            return start_pipeline(self._command, name)
        process = self._process
        if process is None or process.poll() is not None or not _send(process, name):
            self.close()
            process = self._spawn()
            _send(process, name)
        return _ResidentRun(process, self._answers, on_leave=self.close)

    def close(self) -> None:
        """End the process that is kept, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        until = time.monotonic() + _GRACE_SECONDS
        while process.poll() is None and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(self._answers)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        self._answers, to_answer = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*self._command, "pipeline", "--resident", str(to_answer)],
                stdin=subprocess.PIPE,
                pass_fds=(to_answer,),
            )
        except OSError:
            os.close(self._answers)
            raise
        finally:
            os.close(to_answer)
        return self._process


def _send(process: "subprocess.Popen[bytes]", name: str) -> bool:
    """Name the run to begin; whether the process is still there to read that."""
    if process.stdin is None:
        return False
    try:
        process.stdin.write(f"{name}\n".encode())
        process.stdin.flush()
    except OSError:
        return False
    return True


class _ResidentRun:
    """One run in the process that is kept; `on_leave` is called if that says with its answer that it ends."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", answers: int, *, on_leave: Callable[[], None]
    ) -> None:
        self._process = process
        self._answers = answers
        self._on_leave = on_leave

    def poll(self) -> int | None:
        """Return the run's exit code, or the process's if that has ended instead."""
        readable, _, _ = select.select([self._answers], [], [], 0)
        if not readable:
            return None
        answer = os.read(self._answers, 64).decode().split()
        if not answer:
            # It has ended in the midst of the run: that is no success, whatever its exit code.
            return self._process.wait() or 1
        if LEAVING in answer:
            self._on_leave()
        return int(answer[0])

    def terminate(self) -> None:
        """Ask the process to stop: the scheduler stops, too."""
        self._process.terminate()

    def kill(self) -> None:
        """Stop the process."""
        self._process.kill()
