"""Tells a mongod of ours from any other process, and ends one that lost its owner."""

import itertools
import os
import signal
import subprocess
import time
from pathlib import Path

from stream.errors import MongodFailedError

_POLL_SECONDS = 0.02
_GRACE_SECONDS = 20.0


def is_mongod_on(pid: int, db_path: Path) -> bool:
    """Return whether a process is a running mongod on a data folder, by its command line and never by name.

    A pid from a file may long belong to another program; a zombie has no command line.
    """
    arguments = _command_line(pid)
    return any(pair == ("--dbpath", str(db_path)) for pair in itertools.pairwise(arguments))


def _command_line(pid: int) -> list[str]:
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
        except OSError:
            return []
    listing = subprocess.run(  # noqa: S603 - a number is the only variable
        ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listing.stdout.split()


def end_leftover(pid: int, db_path: Path, *, grace_seconds: float = _GRACE_SECONDS) -> None:
    """Stop a mongod whose owner is gone; does nothing when the pid is not a mongod on that folder.

    Raises:
        MongodFailedError: It belongs to another user, or survives even kill -9.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not is_mongod_on(pid, db_path):
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise MongodFailedError(
                f"cannot stop mongod `{pid}`, left over on `{db_path}`: it belongs to another user",
                hint=f"stop process {pid}, then try again",
            ) from error
        deadline = time.monotonic() + grace_seconds
        while is_mongod_on(pid, db_path) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    if is_mongod_on(pid, db_path):
        raise MongodFailedError(
            f"mongod `{pid}`, left over on `{db_path}`, does not end",
            hint=f"stop process {pid}, then try again",
        )
