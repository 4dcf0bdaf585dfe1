"""A real PostgreSQL on this machine, for the demo and the tests: stopped with its owner."""

import os
import warnings
from importlib.util import find_spec
from pathlib import Path

from batch.lake.guarded import GuardedServer
from batch.mongod.server import LOOPBACK, free_port
from stream.errors import StepFailedError

_START_SECONDS = 60.0
_GRACE_SECONDS = 2
_USER = "pgserver"
"""The system's account that the server runs as where root, which it refuses to be, starts it."""


class PostgresServer(GuardedServer):
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
        super().__init__()
        self._port = free_port()
        self.uri = f"postgresql://postgres@{LOOPBACK}:{self._port}/postgres"

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
        options = ["-D", str(self._folder), "-h", LOOPBACK, "-p", str(self._port), "-k", ""]
        command = [*(owner if os.geteuid() == 0 else []), program, *options]
        log = self._folder / "server.log"
        self._run(command, log=log, grace_seconds=_GRACE_SECONDS)
        if not self._wait_until(self._answers, seconds=_START_SECONDS):
            raise StepFailedError("PostgreSQL does not start", hint=f"see `{log}`")

    def _answers(self) -> bool:
        import psycopg2  # noqa: PLC0415 - of the extra `lake`

        try:
            psycopg2.connect(self.uri, connect_timeout=1).close()
        except psycopg2.OperationalError:
            return False
        return True
