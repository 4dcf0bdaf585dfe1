"""A PostgreSQL for catalogs and one Spark for all tests here; each test has a catalog of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from batch.lake.config import LakeConfig
from batch.lake.postgres_server import PostgresServer
from batch.lake.s3_server import S3Server
from batch.lake.session import Spark, partitions_on
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
def base(postgres: PostgresServer, s3_server: S3Server) -> Iterator[Any]:
    """Start Spark, which takes seconds; it finds the keys of the S3 server in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        # Of one session it is set behind its start, of all others here before it.
        few = {"spark.sql.shuffle.partitions": str(partitions_on(2))}
        spark = Spark(
            LakeConfig(SecretStr(postgres.uri), "s3://tests", "local[2]", driver_memory="1500m", spark=few)
        )
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
