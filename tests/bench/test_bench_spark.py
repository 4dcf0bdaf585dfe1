"""What Spark needs for a million lines, with one executor and two: `make lake-bench` prints it."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import psutil
import pyarrow as pa
import pytest

from batch import shipped
from batch.lake.build import TARGET, lent_to_dbt
from batch.lake.postgres_server import PostgresServer
from batch.lake.session import Spark
from batch.lake.spark_cluster import SparkCluster
from batch.transform.dbt_project import DbtProject
from stream.clock import utc_now
from stream.core.schema import LANDING_SCHEMA, RAW_CONVERSATIONS_COLUMNS
from stream.landing.footer import footer_of
from tests.bench.figures import FIGURES
from tests.bench.test_bench_dbt import COPIED
from tests.support.laking import Lake, new_database
from tests.support.landing import lane_of
from tests.support.marts import MartsWarehouse, documents_of
from tests.support.paths import SHARED

# Py4J and PyIceberg leave sockets to the garbage collector.
pytestmark = [
    pytest.mark.bench,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
pytest.importorskip("pyspark")

LINES = int(os.environ.get("BENCH_SPARK_LINES", "1000000"))
ROUNDS = int(os.environ.get("BENCH_SPARK_ROUNDS", "1"))
"""Of the full refreshes, which take minutes each."""
NEW_LINES = (1_000, 10_000)
ROWS_A_MICRO_BATCH = 40_000
_MODELS = ("build", "--exclude-resource-types", "test", "unit_test", "--no-write-json")
_SETTINGS = {"spark.executor.memory": "2500m", "spark.sql.shuffle.partitions": "16"}
_COLUMNS = ", ".join(f'{COPIED.get(name, name)} as "{name}"' for name in RAW_CONVERSATIONS_COLUMNS)
_LANDED = {
    "op": "'upsert'",
    "source_version": "{version} + row_number() over ()",
    "message_id": "json_extract_string(message_raw, '$.id')",
    "message_raw": "message_raw::varchar",
    "extra": "extra::varchar",
}
_ARRIVING = """
    with known as (select {columns} from logs.raw.conversations cross join (select 0 as copy) as copies)
    select * replace (
        left(_id, 8) || right(md5(_id || '{number}'), 16) as _id,
        uuid || '-{number}' as uuid,
        timestamp + interval 1 hour as timestamp,
        replace(message_raw::varchar, '"id":"msg_', '"id":"msg_{number}_')::json as message_raw
    )
    from known
    where session_id in (
        select session_id from known where session_id is not null
        group by session_id having count(*) between 50 and 300
        order by md5(session_id || '{number}') limit {sessions}
    )
    limit {lines}
    """
"""Some conversations of the first copy go on: about ten for a thousand lines."""


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of processors: those of executors and driver, and of this process."""

    wall: float
    spark: float
    ours: float


def took(work: Callable[[], object]) -> Took:
    """Do it, and return what it took; executors must be there before and after."""
    began, spark, ours = time.perf_counter(), _spark_seconds(), time.process_time()
    work()
    return Took(time.perf_counter() - began, _spark_seconds() - spark, time.process_time() - ours)


def _spark_seconds() -> float:
    """Return the processor time of all Java processes below this one."""
    children = psutil.Process().children(recursive=True)
    return sum(sum(each.cpu_times()[:2]) for each in children if each.name() == "java")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    with SparkCluster(tmp_path_factory.mktemp("spark"), workers=2, worker_memory="3g") as cluster:
        yield cluster


class Million:
    """A lake whose lines are copies of the real logs, or of the sample where there are none.

    Args:
        folder: Of everything.
        uri: An empty database for the catalog.
        master: Of the cluster.
    """

    def __init__(self, folder: Path, uri: str, master: str) -> None:
        self._master = master
        self.lake = Lake(folder, uri)
        logs = MartsWarehouse(folder / "logs")
        shared = SHARED / "claude" / "projects"
        logs.change(documents_of(shared if shared.is_dir() else shipped.sample_logs()))
        self._logs = logs.path
        [(self._own,)] = logs.rows("select count(*) from raw.conversations")
        self._project = DbtProject(warehouse=folder / "none.duckdb", data_dir=folder / "dbt", target=TARGET)
        self._version = 0

    def use_executors(self, number: int) -> None:
        """Begin again with another number of executors, one core each."""
        self.lake.spark.stop()
        chosen = _SETTINGS | {"spark.cores.max": str(number)}
        self.lake.config = replace(self.lake.config, spark_master=self._master, spark=chosen)
        self.lake.spark = Spark(self.lake.config)
        frame = self.lake.spark.session().range(0, 1_000, 1, number)
        frame.selectExpr("sum(id)").collect()  # executors are there

    def land(self) -> int:
        """Land all lines; return how many."""
        copies = LINES // self._own
        return self._land(
            f"select {_COLUMNS} from logs.raw.conversations cross join range({copies}) as copies (copy)"
        )

    def land_more(self, lines: int, number: int) -> int:
        """Land about so many lines more; return how many."""
        return self._land(
            _ARRIVING.format(columns=_COLUMNS, number=number, sessions=lines // 100, lines=lines)
        )

    def _land(self, query: str) -> int:
        lane, landed = lane_of(self.lake.folder), 0
        lane.folder.mkdir(parents=True, exist_ok=True)
        columns = ", ".join(
            f"{_LANDED.get(name, name)} as {name}".format(version=self._version)
            for name in LANDING_SCHEMA.names
        )
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach '{self._logs}' as logs (read_only)")
            found = connection.execute(f"select {columns} from ({query})")
            for batch in found.to_arrow_reader(ROWS_A_MICRO_BATCH):
                table = pa.Table.from_batches([batch]).cast(LANDING_SCHEMA)
                newest = lane.newest()
                named = lane.new_name(newest.sequence + 1 if newest else 0)
                lane.land(named, table, footer_of(named.id, table, landed_at=utc_now()))
                landed += table.num_rows
        self._version += landed
        return landed

    def load(self) -> None:
        """Load what has landed."""
        self.lake.loader().load(timeout_seconds=5)

    def build(self, *, full_refresh: bool = False) -> None:
        """Build the models without their checks.

        Raises:
            RuntimeError: One failed.
        """
        command = [*_MODELS, *(["--full-refresh"] if full_refresh else [])]
        with lent_to_dbt(self.lake.spark.session()):
            results = self._project.invoke(self._project.arguments(*command)).results
        failed = [each.message for each in results if each.status.value not in {"success", "pass"}]
        if failed:
            raise RuntimeError(failed)


def test_a_full_refresh_with_one_executor_and_two(cluster: SparkCluster, tmp_path: Path) -> None:
    """A bulk load and full refreshes of all lines, then loads and builds of some more."""
    with PostgresServer(tmp_path / "postgres") as postgres:
        million = Million(tmp_path, new_database(postgres), cluster.master)
        lines = million.land()
        ratios = []
        for number in range(ROUNDS):
            walls = []
            for executors in (2, 1):
                million.use_executors(executors)
                if not number and executors == 2:
                    _note(f"load of {lines:,} lines, two executors", took(million.load), lines)
                found = took(lambda: million.build(full_refresh=True))
                _note(f"full refresh of {lines:,} lines, executors: {executors}", found, lines)
                walls.append(found.wall)
            ratios.append(walls[1] / walls[0])
        FIGURES.add("full refresh, one executor / two", "≥ 1.50", ratios, digits=2)
        for number, more in enumerate(NEW_LINES):
            landed = million.land_more(more, number)
            _note(f"load of {landed:,} more", took(million.load), landed)
            _note(f"build after {landed:,} more", took(million.build), landed)
        _note("build after nothing", took(million.build))
        million.lake.spark.stop()


def _note(what: str, found: Took, lines: int | None = None) -> None:
    """Take in what was measured at once: what is measured behind it may be broken off."""
    FIGURES.add(what, "", [found.wall], "s")
    FIGURES.add("  Spark's processors", "", [found.spark], "s")
    if lines and lines >= LINES // 2:
        FIGURES.add("  the same for a million lines", "", [found.spark * 1_000_000 / lines], "s", digits=0)
    FIGURES.add("  our own process", "", [found.ours], "s")
