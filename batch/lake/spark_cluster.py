"""A real Spark cluster on this machine, for the demo and the tests: a master and workers, each a process."""

from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import requests

from batch.lake.guarded import GuardedServer
from batch.lake.session import require_extra
from batch.mongod.server import LOOPBACK, free_port
from stream.errors import StepFailedError

_START_SECONDS = 120.0
_GRACE_SECONDS = 5
_ANSWER_SECONDS = 5


class SparkCluster:
    """A standalone cluster, on the loopback address alone; a context, not thread-safe.

    Workers hand their environment on to the executors that they start: what those need to reach a bucket is
    to be set before.

    Args:
        folder: Of logs, and of what executors write.
        workers: How many; each has one core.
        worker_memory: Of each, as Spark writes it.

    Attributes:
        master: What SPARK_MASTER is to be.
    """

    def __init__(self, folder: Path, *, workers: int = 2, worker_memory: str = "1g") -> None:
        self._folder = folder
        self._workers = workers
        self._worker_memory = worker_memory
        self._stack = ExitStack()
        self._port, self._page_port = free_port(), free_port()
        self.master = f"spark://{LOOPBACK}:{self._port}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(self._master_process())
            for number in range(self._workers):
                stack.enter_context(self._worker_process(number))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_ending: object) -> None:
        self._stack.close()

    def _master_process(self) -> GuardedServer:
        place = ("--port", str(self._port), "--webui-port", str(self._page_port))
        return _Process("master.Master", place, self._folder / "master.log", lambda: self._alive() >= 0)

    def _worker_process(self, number: int) -> GuardedServer:
        room = ("--cores", "1", "--memory", self._worker_memory, "--webui-port", "0")
        place = ("--work-dir", str(self._folder / f"worker-{number}"), self.master)
        log = self._folder / f"worker-{number}.log"
        return _Process("worker.Worker", (*room, *place), log, lambda: self._alive() > number)

    def _alive(self) -> int:
        """Return how many workers the master knows; -1 while it does not answer."""
        try:
            page = requests.get(f"http://{LOOPBACK}:{self._page_port}/json/", timeout=_ANSWER_SECONDS)
            return int(page.json()["aliveworkers"])
        except (requests.RequestException, KeyError):
            return -1


class _Process(GuardedServer):
    """The master, or a worker: a class of Spark's, below `org.apache.spark.deploy`."""

    def __init__(self, name: str, options: tuple[str, ...], log: Path, answers: Callable[[], bool]) -> None:
        super().__init__()
        self._command = (f"org.apache.spark.deploy.{name}", "--host", LOOPBACK, *options)
        self._log = log
        self._answers = answers

    def start(self) -> None:
        """Start it, and wait until the master answers, or knows the worker.

        Raises:
            SettingsError: PySpark, which brings Spark along, is not installed.
            StepFailedError: It does not start in time.
        """
        require_extra()
        spec = find_spec("pyspark")
        home = Path(str(spec.origin)).parent if spec else Path()
        program = str(home / "bin" / "spark-class")
        self._run([program, *self._command], log=self._log, grace_seconds=_GRACE_SECONDS)
        if not self._wait_until(self._answers, seconds=_START_SECONDS):
            raise StepFailedError("Spark's cluster does not start", hint=f"see `{self._log}`")
