"""A real Spark Connect server on this machine, as somebody else would run one: PySpark's own."""

import os
import socket
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from batch.lake.config import EXTENSIONS
from batch.lake.guarded import GuardedServer
from batch.lake.jars import fetched, needed_jars
from batch.mongod.server import LOOPBACK, free_port
from tests.support.patience import patience


class SparkConnectServer(GuardedServer):
    """A server with what docs/lake.md asks of one, and no setting more; its clock is of New York.

    It finds a bucket's keys in the environment that it is started in.

    Args:
        folder: Of its log, and of what it writes.
        jars: Cache of Spark's libraries.

    Attributes:
        url: What SPARK_REMOTE is to be.
    """

    def __init__(self, folder: Path, jars: Path) -> None:
        super().__init__()
        self._folder = folder
        self._jars = jars
        self._port = free_port()
        self.url = f"sc://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it listens; fails the test if it does not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "connect.log"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", "America/New_York")
            patch.delenv("SPARK_REMOTE", raising=False)
            self._run(self._command(), log=log, grace_seconds=5)
        if not self._wait_until(self._listens, seconds=patience(120)):
            pytest.fail(f"Spark Connect does not start: {log.read_text(errors='replace')[-2000:]}")

    def _command(self) -> list[str]:
        spec = find_spec("pyspark")
        home = Path(str(spec.origin)).parent if spec else Path()
        jars = fetched(needed_jars("s3"), self._jars)
        settings = {
            "spark.connect.grpc.binding.address": LOOPBACK,
            "spark.connect.grpc.binding.port": str(self._port),
            "spark.sql.extensions": EXTENSIONS,
            "spark.ui.enabled": "false",
            "spark.local.dir": os.environ.get("SPARK_LOCAL_DIRS", str(self._folder)),
        }
        return [
            str(home / "bin" / "spark-submit"),
            "--class",
            "org.apache.spark.sql.connect.service.SparkConnectServer",
            "--master",
            "local[2]",
            "--driver-memory",
            "2g",
            "--jars",
            ",".join(map(str, jars)),
            *(word for name, value in settings.items() for word in ("--conf", f"{name}={value}")),
            "spark-internal",
        ]

    def _listens(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex((LOOPBACK, self._port)) == 0
