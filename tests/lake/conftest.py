"""A PostgreSQL for catalogs and one Spark for all tests here; each test has a catalog of its own."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from batch.lake.config import LakeConfig
from batch.lake.jars import OF_CLOUD, fetched, needed_jars
from batch.lake.postgres_server import PostgresServer
from batch.lake.s3_server import S3Server
from batch.lake.session import Spark, partitions_on
from tests.support.azurite import Azurite
from tests.support.google_server import GoogleServer
from tests.support.laking import Lake, new_database

pytest.importorskip("pyspark")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with (
        tempfile.TemporaryDirectory(prefix="lake-tests-") as folder,
        PostgresServer(Path(folder) / "postgres") as server,
    ):
        yield server


@pytest.fixture(scope="session")
def google_account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where Spark looks for the account; it is there once the server runs."""
    return tmp_path_factory.mktemp("account") / "account.json"


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory, google_account: Path) -> Iterator[GoogleServer]:
    with GoogleServer(tmp_path_factory.mktemp("google"), google_account) as server:
        yield server


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with Azurite(tmp_path_factory.mktemp("azure")) as server:
        yield server


@pytest.fixture(scope="session")
def base(postgres: PostgresServer, s3_server: S3Server, google_account: Path) -> Iterator[Any]:
    """Start Spark, which takes seconds; it finds what opens S3 and Google's store in its environment."""
    config = LakeConfig(SecretStr(postgres.uri), "s3://tests", "local[2]", driver_memory="1500m")
    jars = fetched(needed_jars(*OF_CLOUD), config.jars_dir)
    # The parts of one session are set behind its start, of all others here before it.
    parts = str(partitions_on(2))
    more = {"spark.jars": ",".join(map(str, jars)), "spark.sql.shuffle.partitions": parts}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google_account))
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        spark = Spark(replace(config, spark=more))
        yield spark.session()
        spark.stop()


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """Return the URL of an empty database."""
    return new_database(postgres)


@pytest.fixture
def lake(database: str, base: Any, tmp_path: Path) -> Lake:
    """Return an empty lake in a folder, whose Spark shares the process of all others."""
    return Lake(tmp_path, database, session=base.newSession())


@pytest.fixture
def bucket_lake(database: str, base: Any, bucket_url: str, tmp_path: Path) -> Lake:
    """Return an empty lake in a bucket, whose Spark shares the process of all others."""
    return Lake(tmp_path, database, bucket=bucket_url, session=base.newSession())


@pytest.fixture(params=["folder", "bucket"])
def either_lake(request: pytest.FixtureRequest) -> Lake:
    """Return an empty lake in a folder, or in a bucket."""
    lake: Lake = request.getfixturevalue("lake" if request.param == "folder" else "bucket_lake")
    return lake


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that is here; Py4J and PyIceberg leave sockets and connections to the garbage collector."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.lake)
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
