"""Shows the product past one machine, on one: real servers, the usual commands, and a proof at the end.

    python -m tests.tools.lake_demo [FOLDER OF LOGS]

An S3 server, PostgreSQL, a Spark cluster of a master and two workers, and a MongoDB run while it goes on, all
on the loopback address. Afterwards they are stopped and what they kept is removed; the report stays.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb
import requests
from pymongo import MongoClient
from rich.console import Console

from batch import shipped
from batch.dashboards.report.write import REPORT_NAME
from batch.lake.jars import fetched, needed_jars, require_java
from batch.lake.postgres_server import PostgresServer
from batch.lake.s3_server import S3Server
from batch.lake.session import require_extra
from batch.lake.spark_cluster import SparkCluster
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import LOOPBACK, free_port
from stream.errors import AnalyticsError
from tests.support.marts import MARTS
from tests.tools.compare_marts import difference

_FOLDER = Path("data") / "lake-demo"
_PROGRAM = (sys.executable, "-W", "ignore", "-c", "from batch.cli import main; main()")
_BUCKET = "lake"
_PARTITIONS = 2
_LANDED = "claude_analytics_stream_rows_landed_total"
_SPARK_DEFAULTS = """
spark.executor.memory 1500m
spark.sql.shuffle.partitions 4
"""
"""As Spark itself reads them, from a file: for two workers, and a million lines at most."""
_QUIET = """
rootLogger.level = error
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %m%n
"""
_POLL_SECONDS = 0.2
_STREAM_SECONDS = 900.0
_GRACE_SECONDS = 60.0


class Demo:
    """One run of it.

    Args:
        folder: Of everything that it keeps; in the end, and when it begins again, the report alone is left.
        logs: To import.
    """

    def __init__(self, folder: Path, logs: Path, console: Console) -> None:
        self._folder = folder
        self._logs = logs
        self._console = console
        self._stack = ExitStack()
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("AWS_")
        } | {"LOG_LEVEL": "warning", "PYTHONUNBUFFERED": "1", "COLUMNS": "110"}
        self._began = time.monotonic()

    def run(self) -> None:
        """Run it.

        Raises:
            AnalyticsError: A server does not start.
            CalledProcessError: A command failed; what it said has been shown.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        with self._stack:
            self._start_servers()
            self._title("Is everything there?")
            self._command("doctor")
            self._title(f"{_PARTITIONS} stream workers follow while the logs are imported")
            with self._streaming() as ports:
                self._command("import", str(self._logs))
                self._wait_until_landed(ports)
            self._title("The history is read by two processes at once: the same documents, each counts once")
            self._at_once(["backfill"], ["backfill"])
            self._title("Load, build, validate, publish: in Iceberg, by Spark")
            self._command("pipeline", "--skip-extract")
            self._title("Is it all there?")
            self._command("verify")
            self._command("status")
            self._command("report", "--output", str(self._folder / REPORT_NAME))
            self._title("The same documents in DuckDB, and every mart compared")
            other = self._in_duckdb()
            self._command("backfill", environment=other)
            self._command("transform", environment=other)
            self._prove_equal()
        self._clean()

    def _start_servers(self) -> None:
        """Start them, and let the commands know where they are."""
        folder = self._folder / "servers"
        with self._console.status("starting an S3 server …"):
            objects = self._stack.enter_context(S3Server(folder / "s3"))
            objects.make_bucket(_BUCKET)
        self._environment |= objects.environment()
        self._tell(f"an S3 server at {objects.endpoint}")
        with self._console.status("starting PostgreSQL …"):
            catalog = self._stack.enter_context(PostgresServer(folder / "postgres"))
        self._tell("PostgreSQL, for the catalog")
        with self._console.status("starting a MongoDB …"):
            mongo = self._stack.enter_context(EmbeddedMongo(folder / "mongo"))
        self._tell(f"a MongoDB at {mongo.uri}")
        configuration = folder / "configuration"
        configuration.mkdir()
        (configuration / "spark-defaults.conf").write_text(_SPARK_DEFAULTS)
        (configuration / "log4j2.properties").write_text(_QUIET)
        # Executors reach the bucket by the environment of the workers that start them.
        os.environ.update(objects.environment() | {"SPARK_LOCAL_IP": LOOPBACK})
        with self._console.status("starting a Spark cluster …"):
            cluster = self._stack.enter_context(SparkCluster(folder / "spark", worker_memory="2g"))
        self._tell(f"a Spark cluster at {cluster.master}, with two workers")
        self._environment |= {
            "DATA_DIR": str(self._folder / "data"),
            "DATA_URL": f"s3://{_BUCKET}/demo",
            "WAREHOUSE": "iceberg",
            "CATALOG_URI": catalog.uri,
            "SPARK_MASTER": cluster.master,
            "SPARK_LOCAL_IP": LOOPBACK,
            "SPARK_CONF_DIR": str(configuration),
            "MONGO_URI": mongo.uri,
            "STREAM_PARTITIONS": str(_PARTITIONS),
            "STREAM_MAX_AGE_SECONDS": "1",
        }

    @contextmanager
    def _streaming(self) -> Iterator[list[int]]:
        """Run the workers, each with metrics at a port; stop them with SIGTERM, which flushes."""
        # From here on each has a position of its own, so none of what follows is missed.
        for number in range(_PARTITIONS):
            self._command("stream", "--partition", str(number), "--until-idle", "0.1", is_shown=False)
        ports = [free_port() for _ in range(_PARTITIONS)]
        with ExitStack() as stack:
            for number, port in enumerate(ports):
                self._show("stream", "--partition", str(number))
                stack.enter_context(self._background(["stream", "--partition", str(number)], port))
            yield ports

    @contextmanager
    def _background(self, arguments: Sequence[str], port: int) -> Iterator[None]:
        log = self._folder / f"stream-{port}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*_PROGRAM, *arguments],
                env=self._environment | {"METRICS_PORT": str(port)},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def _wait_until_landed(self, ports: Sequence[int]) -> None:
        """Wait until the workers together have landed every document.

        Raises:
            TimeoutError: It takes too long.
        """
        documents = self._documents()
        deadline = time.monotonic() + _STREAM_SECONDS
        with self._console.status("following the change stream …"):
            while (landed := [_landed_rows(port) for port in ports]) and sum(landed) < documents:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{sum(landed):,} of {documents:,} documents have landed")
                time.sleep(_POLL_SECONDS)
        shares = " and ".join(f"{rows:,}" for rows in landed)
        self._tell(f"{documents:,} documents have landed: {shares}")

    def _documents(self) -> int:
        with MongoClient(self._environment["MONGO_URI"]) as client:
            return int(client["claude_logs"]["conversations"].count_documents({}))

    def _at_once(self, *commands: Sequence[str]) -> None:
        """Run commands side by side, and show what each says when it has ended.

        Raises:
            CalledProcessError: One failed.
        """
        for arguments in commands:
            self._show(*arguments)
        running = [
            subprocess.Popen(
                [*_PROGRAM, *arguments],
                env=self._environment | {"BACKFILL_METRICS_PORT": str(free_port())},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for arguments in commands
        ]
        for process in running:
            said, _ = process.communicate()
            self._console.print(said, style="dim", markup=False, end="")
        for process in running:
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, "backfill")

    def _in_duckdb(self) -> dict[str, str]:
        changed = {"WAREHOUSE": "duckdb", "DATA_DIR": str(self._folder / "duckdb")}
        left_out = ("DATA_URL", "STREAM_PARTITIONS")
        return {name: value for name, value in (self._environment | changed).items() if name not in left_out}

    def _prove_equal(self) -> None:
        """Compare all marts, columns, types and rows.

        Raises:
            SystemExit: One differs.
        """
        different = different_marts(
            self._folder / "data" / "serving" / "analytics.duckdb",
            self._folder / "duckdb" / "analytics.duckdb",
        )
        if different:
            self._console.print("[bold red]not equal[/]: " + "; ".join(different), soft_wrap=True)
            raise SystemExit(1)
        seconds = time.monotonic() - self._began
        self._console.print(
            f"\n[bold green]{len(MARTS)} marts of Iceberg equal DuckDB's, row for row and type for type[/] "
            f"(after {seconds:.0f} s)\nreport: {self._folder / REPORT_NAME}",
            soft_wrap=True,
        )

    def _command(
        self, *arguments: str, environment: dict[str, str] | None = None, is_shown: bool = True
    ) -> None:
        if is_shown:
            self._show(*arguments, prefix="WAREHOUSE=duckdb " if environment else "")
        subprocess.run(
            [*_PROGRAM, *arguments],
            env=(environment or self._environment) | ({} if is_shown else {"LOG_LEVEL": "error"}),
            check=True,
            stdout=None if is_shown else subprocess.DEVNULL,
        )

    def _show(self, *arguments: str, prefix: str = "") -> None:
        self._console.print(f"$ {prefix}claude-analytics {' '.join(arguments)}", style="cyan", markup=False)

    def _title(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        self._console.print(f"\n[bold]{text}[/]  [dim]{seconds:.0f} s[/]")

    def _tell(self, text: str) -> None:
        self._console.print(f"  {text}", soft_wrap=True)

    def _clean(self) -> None:
        for path in self._folder.iterdir():
            if path.name == REPORT_NAME:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def different_marts(one: Path, other: Path) -> list[str]:
    """Return a line for each mart of two DuckDB files whose columns, types or rows differ."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        found = {mart: difference(connection, f"other.marts.{mart}", f"one.marts.{mart}") for mart in MARTS}
    return [f"{mart} {text}" for mart, text in found.items() if text]


def _landed_rows(port: int) -> int:
    """Return what a worker has landed, by its metrics; 0 while it does not answer."""
    try:
        page = requests.get(f"http://{LOOPBACK}:{port}/metrics", timeout=5).text
    except requests.RequestException:
        return 0
    lines = [line for line in page.splitlines() if line.startswith(_LANDED)]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)


def main(logs: str | None = None) -> None:
    """Run the demo; exit with 2 where something must be installed first."""
    console = Console(highlight=False)
    try:
        require_extra()
        require_java()
        with console.status("fetching Spark's libraries …"):
            fetched(needed_jars("s3"), Path.home() / ".cache" / "claude-analytics" / "jars")
        folder = Path(logs).expanduser() if logs else shipped.sample_logs()
        Demo(_FOLDER.resolve(), folder.resolve(), console).run()
    except AnalyticsError as error:
        console.print(f"[bold red]error:[/] {error.message}\n  what to do: {error.hint}", soft_wrap=True)
        sys.exit(error.exit_code)
    except subprocess.CalledProcessError as error:
        console.print(
            f"[bold red]stopped[/]: a command ended with exit code {error.returncode}; logs are in {_FOLDER}"
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(*sys.argv[1:])
