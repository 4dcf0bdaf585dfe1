"""A real PostgreSQL on this machine, for the demo and the tests: stopped with its owner."""

import os
import socket
import subprocess
import sys
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from batch.mongod import guard
from stream.errors import StepFailedError

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 2
_USER = "pgserver"
"""The system's account that the server runs as where root, which it refuses to be, starts it."""


class PostgresServer:
    """A server with one database; not thread-safe.

    It listens on the loopback address alone, lets everybody in who reaches it, and keeps its content from
    start to start.

    Args:
        folder: Of its data.

    Attributes:
        uri: Of its database; known before the first start, and kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind((_LOOPBACK, 0))
            self._port: int = probe.getsockname()[1]
        self.uri = f"postgresql://postgres@{_LOOPBACK}:{self._port}/postgres"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            StepFailedError: Its program is not installed, or it does not start in time.
        """
        if find_spec("pgserver") is None:
            raise StepFailedError(
                "no PostgreSQL runs here: the package `pgserver` is not installed",
                hint="`pip install pgserver`, or set CATALOG_URI to a server that is running",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has something to say about folders
            import pgserver  # noqa: PLC0415 - for developers, not installed elsewhere

            if not (self._folder / "PG_VERSION").exists():
                # It makes the folder and, for root, the account; but it listens on a Unix socket only, which
                # no program in Java speaks.
                pgserver.postgres_server.get_server(self._folder, cleanup_mode="stop").cleanup()
        program = str(Path(pgserver.__file__).parent / "pginstall" / "bin" / "postgres")
        owner = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
        options = ["-D", str(self._folder), "-h", _LOOPBACK, "-p", str(self._port), "-k", ""]
        command = [*(owner if os.geteuid() == 0 else []), program, *options]
        with (self._folder / "server.log").open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603 - our own script, the package's program
                [sys.executable, "-I", "-S", guard.__file__, str(_GRACE_SECONDS), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._guard.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise StepFailedError(
                    "PostgreSQL does not start", hint=f"see `{self._folder / 'server.log'}`"
                )
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop it; does nothing when it does not run."""
        if self._guard is not None:
            self._guard.communicate()  # closes the pipe, which is what the guard waits for
            self._guard = None

    def _answers(self) -> bool:
        import psycopg2  # noqa: PLC0415 - of the extra `lake`

        try:
            psycopg2.connect(self.uri, connect_timeout=1).close()
        except psycopg2.OperationalError:
            return False
        return True
