"""The warehouse lock: DuckDB allows one process per file, so whoever opens it takes this lock first."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from stream.clock import Clock
from stream.disk import disk_errors, make_folder
from stream.errors import WarehouseBusyError


class WarehouseLock:
    """The right to open one DuckDB file. Never hold it while waiting for MongoDB.

    The lock is the operating system's: it ends with its process, however that ends.
    """

    def __init__(self, warehouse: Path, *, clock: Clock) -> None:
        # The names that older versions use: the two exclude each other during an upgrade.
        self._path = warehouse.with_name(f"{warehouse.name}.lease")
        self._holder_path = warehouse.with_name(f"{warehouse.name}.lease.json")
        self._clock = clock

    @contextmanager
    def held(self, *, timeout_seconds: float) -> Iterator[None]:
        """Hold the warehouse lock; wait for it at most so long.

        Raises:
            WarehouseBusyError: Another process still holds it; the message says which.
            LandingNotWritableError: The folder cannot be made or written.
        """
        with disk_errors(self._path):
            make_folder(self._path.parent)
            lock = FileLock(self._path, mode=0o600)
            try:
                lock.acquire(timeout=timeout_seconds, poll_interval=0.02)
            except Timeout:
                raise WarehouseBusyError(
                    f"the warehouse is in use by {self.holder()}",
                    hint="try again when it has finished; what has landed waits and is not lost",
                ) from None
        try:
            self._sign()
            yield
        finally:
            lock.release()

    def _sign(self) -> None:
        """Leave a note of who holds it; only for messages, so a full disk does not matter."""
        note = {
            "pid": os.getpid(),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]),
            "since": self._clock().isoformat(timespec="seconds"),
        }
        with suppress(OSError):
            self._holder_path.write_text(json.dumps(note))

    def holder(self) -> str:
        """Describe who took the warehouse lock last."""
        try:
            holder = json.loads(self._holder_path.read_text())
            return f"`{holder['command']}` (process {holder['pid']}, since {holder['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
