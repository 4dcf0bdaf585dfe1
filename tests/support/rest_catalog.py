"""A real Iceberg REST catalog on this machine: the one that Iceberg's own project tests its clients with."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from subprocess import run

import pyspark
import pytest
import requests

from batch.lake.guarded import GuardedServer
from batch.lake.jars import POSTGRESQL, fetched
from batch.lake.s3_server import S3Server
from batch.mongod.server import LOOPBACK, free_port
from tests.support.patience import patience

VERSION = "1.10.1"
"""The newest of which Maven Central has this server."""
_SHA256 = "183199f8df4cdffb00c38e5f716b082db05a5448762c01634dcfdf4a59ac6419"
"""Of the list of its libraries, each with its own checksum, as `sha256sum` writes it."""
_LIBRARIES = (
    ("org.apache.iceberg", "iceberg-open-api", VERSION, "test-fixtures"),
    ("org.apache.iceberg", "iceberg-core", VERSION, "tests"),
    ("org.apache.iceberg", "iceberg-core", VERSION, ""),
    ("org.apache.iceberg", "iceberg-aws", VERSION, ""),
    ("org.apache.iceberg", "iceberg-aws-bundle", VERSION, ""),
    ("org.eclipse.jetty", "jetty-servlet", "11.0.26", ""),
    ("org.slf4j", "slf4j-nop", "2.0.17", ""),
)


class RestCatalog(GuardedServer):
    """A server whose tables are in a bucket, and whose own notes are in PostgreSQL.

    Args:
        folder: Of its log.
        jars: Cache of Spark's libraries; those of the server are kept in a folder of it.
        database: URL of an empty database.
        place: URL of the folder of all tables.
        s3: Where that is.

    Attributes:
        uri: What CATALOG_URI is to be.
    """

    def __init__(self, folder: Path, jars: Path, *, database: str, place: str, s3: S3Server) -> None:
        super().__init__()
        self._folder = folder
        self._jars = jars
        self._port = free_port()
        account, _, self._database = database.removeprefix("postgresql://").partition("@")
        self.uri = f"http://{LOOPBACK}:{self._port}"
        self._settings = {
            "CATALOG_CATALOG__IMPL": "org.apache.iceberg.jdbc.JdbcCatalog",
            "CATALOG_URI": f"jdbc:postgresql://{self._database}",
            "CATALOG_JDBC_USER": account,
            "CATALOG_JDBC_SCHEMA__VERSION": "V1",
            "CATALOG_WAREHOUSE": place,
            "CATALOG_IO__IMPL": "org.apache.iceberg.aws.s3.S3FileIO",
            "CATALOG_S3_ENDPOINT": s3.endpoint,
            "CATALOG_S3_PATH__STYLE__ACCESS": "true",
            "CATALOG_CLIENT_REGION": s3.region,
            "CATALOG_REST_PORT": str(self._port),
            **s3.environment(),
        }

    def start(self) -> None:
        """Start it, and wait until it answers; fails the test if it does not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "catalog.log"
        hadoop = (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-*.jar")
        libraries = [*_fetched(self._jars / f"rest-catalog-{VERSION}"), *hadoop]
        libraries += fetched([POSTGRESQL], self._jars)
        command = ["java", "-Xmx400m", "-cp", os.pathsep.join(map(str, libraries))]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._settings.items():
                patch.setenv(name, value)
            self._run([*command, "org.apache.iceberg.rest.RESTCatalogServer"], log=log, grace_seconds=5)
        if not self._wait_until(self._answers, seconds=patience(120)):
            pytest.fail(f"the REST catalog does not start: {log.read_text(errors='replace')[-2000:]}")

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.uri}/v1/config", timeout=5).ok
        except requests.RequestException:
            return False


def _fetched(folder: Path) -> list[Path]:
    """Return the libraries of the server and those that they need, fetched by Maven if they are not there."""
    if not folder.exists():
        if shutil.which("mvn") is None:
            pytest.skip("there is no Maven to fetch the REST catalog")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as name:
            project, target = Path(name) / "pom.xml", Path(name) / "jars"
            project.write_text(_project(), encoding="utf-8")
            goal = ("dependency:copy-dependencies", f"-DoutputDirectory={target}")
            run(["mvn", "--batch-mode", "--quiet", "--file", str(project), *goal], check=True)  # noqa: S607
            assert _SHA256 == _checksum(target)
            target.rename(folder)
    return sorted(folder.glob("*.jar"))


def _checksum(folder: Path) -> str:
    lines = (
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.glob("*.jar"))
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _project() -> str:
    dependencies = "".join(
        "<dependency>"
        + "".join(f"<{name}>{value}</{name}>" for name, value in each.items())
        + "</dependency>"
        for each in map(_dependency, _LIBRARIES)
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>local</groupId><artifactId>catalog</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )


def _dependency(library: tuple[str, str, str, str]) -> Mapping[str, str]:
    names = ("groupId", "artifactId", "version", "classifier")
    return {name: value for name, value in zip(names, library, strict=True) if value}
