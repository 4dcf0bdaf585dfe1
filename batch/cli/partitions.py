"""Several partitions of the stream on one machine: a process each, as one that is down holds up no other."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence

from stream.errors import SettingsError
from stream.logs import Logger
from stream.stop import handling_signals

_PROGRAM = (sys.executable, "-c", "from batch.cli import main; main()")
_RANGE = re.compile(r"(?P<first>\d+)(-(?P<last>\d+))?")
_POLL_SECONDS = 0.1
_RESTART_SECONDS = 5.0
_TERMINAL = 2


def partitions_in(text: str | None, *, count: int) -> list[int]:
    """Return the partitions that `K` or `K-M` names; all of them if nothing is named.

    Raises:
        SettingsError: It names none, or others than there are.
    """
    if text is None:
        return list(range(count))
    found = _RANGE.fullmatch(text)
    first = int(found["first"]) if found else 0
    last = int(found["last"] or first) if found else -1
    if not first <= last < count:
        raise SettingsError(
            f"cannot take partition `{text}`: STREAM_PARTITIONS is {count}",
            hint=f"name one of 0 to {count - 1}, or some of them: `0-{count - 1}`",
        )
    return list(range(first, last + 1))


def run_partitions(
    numbers: Sequence[int], arguments: Sequence[str], *, metrics_port: int, log: Logger
) -> int:
    """Run a worker for each partition until all have ended, and return their exit code.

    A worker that may succeed if tried again is started again; one that a person must look at is not, and the
    others go on. SIGTERM and SIGINT are passed on.

    Args:
        numbers: Of the partitions.
        arguments: Of this program; those about partitions are replaced.
        metrics_port: Of the first of them, the others' are the next ones; 0 for none.
        log: Told when one ends.
    """
    kept = _without_partition(arguments)
    is_endless = not any(each.startswith("--until-idle") for each in kept)
    received: list[int] = []
    workers = [
        _Worker(number, kept, _port(metrics_port, position), is_restarted=is_endless, log=log)
        for position, number in enumerate(numbers)
    ]

    def forward(number: int) -> None:
        received.append(number)
        for worker in workers:
            worker.stop(number)

    with handling_signals(forward):
        while sum(worker.is_alive() for worker in workers):  # which looks at each
            time.sleep(_POLL_SECONDS)
    return 128 + received[0] if received else max(worker.exit_code for worker in workers)


class _Worker:
    """The process of one partition, and those after it."""

    def __init__(
        self, number: int, arguments: Sequence[str], metrics_port: int, *, is_restarted: bool, log: Logger
    ) -> None:
        self.exit_code = 0
        self._number = number
        self._arguments = arguments
        self._metrics_port = metrics_port
        self._is_restarted = is_restarted
        self._log = log
        self._restart_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = self._start()

    def is_alive(self) -> bool:
        """Whether it runs, or is going to; start it again if it is time to."""
        if self._restart_at is not None and time.monotonic() >= self._restart_at:
            self._restart_at, self._process = None, self._start()
        code = self._process.poll() if self._process else None
        if code is not None:
            self._process = None
            self.exit_code = code if code >= 0 else 128 - code
            self._log.warning("partition_ended", partition=self._number, exit_code=self.exit_code)
            if self._is_restarted and code not in (0, _TERMINAL):
                self._restart_at = time.monotonic() + _RESTART_SECONDS
        return self._process is not None or self._restart_at is not None

    def stop(self, signal_number: int) -> None:
        """Pass a signal on, and start nothing again."""
        self._is_restarted, self._restart_at = False, None
        if self._process:
            self._process.send_signal(signal_number)

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - this very program
            [*_PROGRAM, *self._arguments, "--partition", str(self._number)],
            env={**os.environ, "METRICS_PORT": str(self._metrics_port)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
        )


def _port(first: int, position: int) -> int:
    return first + position if first else 0


def _without_partition(arguments: Sequence[str]) -> list[str]:
    kept: list[str] = []
    given = iter(arguments)
    for argument in given:
        if argument == "--partition":
            next(given, None)
        elif not argument.startswith("--partition="):
            kept.append(argument)
    return kept
