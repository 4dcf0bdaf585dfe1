"""A Spark session on the lake's catalog; Spark's errors in our words."""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from batch.lake.config import LakeConfig
from batch.lake.jars import fetched, needed_jars, require_java
from stream.errors import AnalyticsError, CatalogRefusedError, SettingsError, StepFailedError
from stream.logs import logger
from stream.stop import interruptible

Session = Any
"""A `pyspark.sql.SparkSession`; not imported unless one is opened."""

_APPLICATION = "claude-analytics"
_LONG_WAIT_SECONDS = 30.0
"""For executors; a cluster that has some to give needs less to start them."""
_LOUD_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
"""PySpark's: they print each error with its statement and plan, in which values of rows may be."""
_PARTITIONS = "spark.sql.shuffle.partitions"
_LEAST_PARTITIONS = 8
"""On one machine. Of a small load or build, Spark's own 200 cost more processor time than the rows."""
_REFUSALS = ("NotAuthorizedException", "iceberg.exceptions.ForbiddenException")
"""Of Iceberg's client of REST catalogs: kinds of errors that trying again does not help."""
EXTRA_HINT = "run `pip install 'claude-analytics[lake]'`"


def is_local(config: LakeConfig) -> bool:
    """Tell whether Spark's tasks run in this process."""
    return config.spark_remote is None and config.spark_master.partition("[")[0] == "local"


def require_extra() -> None:
    """Check that the packages of this warehouse are installed.

    Raises:
        SettingsError: They are not.
    """
    missing = [name for name in ("pyspark", "pyiceberg") if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"WAREHOUSE=iceberg needs the packages {' and '.join(missing)}, which are not installed",
            hint=EXTRA_HINT,
        )


class Spark:
    """One session a process, started when it is first asked for; Spark ends with this process.

    Args:
        config: Where it runs, and where the tables are.
    """

    def __init__(self, config: LakeConfig) -> None:
        self.config = config
        self._session: Session | None = None
        # In this process no cluster has to give anything.
        self.has_executors = is_local(config)

    def session(self) -> Session:
        """Return the session, all settings of the catalog made.

        Raises:
            SettingsError: A package, Java or Maven is missing.
            StepFailedError: Spark does not start.
        """
        if self._session is None:
            self._session = _opened(self.config)
        return self._session

    def wait_for_executors(self) -> None:
        """Wait until the cluster gives some to this session, however long others keep them.

        Done before a lock is taken: on a cluster whose executors all belong to a process that waits for that
        lock, whoever held it without executors would wait for ever, and so would the other.

        Raises:
            StepFailedError: There is no Spark.
        """
        if not self.has_executors:
            warning = threading.Timer(_LONG_WAIT_SECONDS, self._warn_of_wait)
            warning.daemon = True
            warning.start()
            try:
                self.rows("select sum(id) from range(1)", doing="wait for Spark's executors")
            finally:
                warning.cancel()
            self.has_executors = True

    def _warn_of_wait(self) -> None:
        logger("spark").warning(
            "executors_awaited",
            master=self.config.spark_remote or self.config.spark_master,
            hint="another application has them all, or no worker runs; it goes on as soon as there are some",
        )

    def run(self, statement: str, *, doing: str) -> Session:
        """Run one statement; return the frame of its rows.

        Args:
            statement: Spark SQL, names in three parts.
            doing: What for, in the words of an error.

        Raises:
            StepFailedError: It failed.
        """
        session = self.session()
        with spark_errors(doing):
            return session.sql(statement)

    def rows(self, query: str, *, doing: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query whose result is small. Raises as `run`."""
        frame = self.run(query, doing=doing)
        with spark_errors(doing):
            return [tuple(row) for row in frame.collect()]

    @contextmanager
    def ended_by_signals(self) -> Iterator[None]:
        """Let a signal end the statements of this block, each of which then fails; see `stream.stop`."""
        with interruptible(self._cancel):
            yield

    def _cancel(self) -> None:
        session = self._session
        if session is None:
            return
        with suppress(Exception):  # it has gone
            if self.config.spark_remote:
                session.interruptAll()
            else:
                session.sparkContext.cancelAllJobs()

    def stop(self) -> None:
        """End it before the process ends."""
        if self._session is not None:
            self._session.stop()
            self._session = None
            self.has_executors = is_local(self.config)


def _opened(config: LakeConfig) -> Session:
    require_extra()
    _silence()
    jars: list[str] = []
    if config.spark_remote is None:
        require_java()
        jars = [str(path) for path in fetched(needed_jars(config.scheme), config.jars_dir)]
    with spark_errors("start Spark"):
        session = _connected(config) if config.spark_remote else _started(config, jars)
        for name, value in config.catalog_settings().items():
            session.conf.set(name, value)
        if is_local(config) and not session.sparkContext.getConf().contains(_PARTITIONS):
            session.conf.set(_PARTITIONS, partitions_on(session.sparkContext.defaultParallelism))
    return session


def partitions_on(cores: int) -> int:
    """Return into how many parts Spark shuffles rows on one machine."""
    return max(_LEAST_PARTITIONS, cores)


def _silence() -> None:
    from pyspark.logger import PySparkLogger  # noqa: PLC0415 - see the package's docstring

    for name in _LOUD_LOGGERS:
        PySparkLogger.getLogger(name).disabled = True


def _started(config: LakeConfig, jars: list[str]) -> Session:
    from pyspark.sql import SparkSession  # noqa: PLC0415 - see the package's docstring

    if address := own_address(config.spark_master):
        os.environ.setdefault("SPARK_LOCAL_IP", address)
    builder = SparkSession.builder.appName(_APPLICATION).master(config.spark_master)
    for name, value in {"spark.jars": ",".join(jars), **config.session_settings()}.items():
        builder = builder.config(name, value)
    with _own_signals():
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def own_address(master: str) -> str | None:
    """Return the address of this machine by which it reaches a cluster's master: executors call back there.

    In several networks, Spark itself would name one that may lead nowhere from the cluster.

    Args:
        master: As SPARK_MASTER names it.

    Returns:
        None where Spark runs in this process, or the master's name leads nowhere.
    """
    # Of several masters any will do.
    place = urlsplit(master.partition(",")[0])
    if place.scheme != "spark" or place.hostname is None:
        return None
    with suppress(OSError):
        family, kind, _, _, target = socket.getaddrinfo(
            place.hostname, place.port or 7077, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind) as probe:
            # Nothing is sent: the kernel only chooses the way.
            probe.connect(target)
            return str(probe.getsockname()[0])
    return None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put the handler of Ctrl-C back, which PySpark replaces by one that leaves with another exit code."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handler)


def _connected(config: LakeConfig) -> Session:
    from pyspark.sql import SparkSession  # noqa: PLC0415 - see the package's docstring

    return SparkSession.builder.remote(config.spark_remote).appName(_APPLICATION).getOrCreate()


@contextmanager
def spark_errors(doing: str) -> Iterator[None]:
    """Raise what Spark raises as an error of ours.

    Args:
        doing: What for.

    Raises:
        CatalogRefusedError: A REST catalog refuses Spark's credentials.
        StepFailedError: Spark refused, or has gone.
    """
    from py4j.protocol import Py4JError  # noqa: PLC0415 - see the package's docstring
    from pyspark.errors import PySparkException  # noqa: PLC0415 - see the package's docstring

    try:
        yield
    except AnalyticsError:
        raise
    except (Py4JError, PySparkException, ConnectionError, RuntimeError) as error:
        said = first_line(error)
        if any(word in said for word in _REFUSALS):
            raise CatalogRefusedError.with_words(said) from error
        raise StepFailedError(
            f"cannot {doing}: {said}",
            hint="what has landed is not lost, and nothing half-done is visible; check Spark, the catalog "
            "and the storage of the tables with `claude-analytics doctor`, then try again",
        ) from error


def first_line(error: BaseException) -> str:
    """Return the line of an error that says what happened, without Java's trace."""
    java = getattr(error, "java_exception", None)
    text = str(java.toString()) if java is not None else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def snapshot_properties(session: Session, properties: Mapping[str, str]) -> Iterator[None]:
    """Write properties into the summaries of the snapshots that are committed meanwhile.

    Args:
        session: Whose commits.
        properties: By name.
    """
    names = {f"spark.sql.iceberg.snapshot-property.{name}": value for name, value in properties.items()}
    for name, value in names.items():
        session.conf.set(name, value)
    try:
        yield
    finally:
        for name in names:
            session.conf.unset(name)
