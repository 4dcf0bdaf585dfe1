"""CATALOG_URI as a REST catalog: every step against Iceberg's own server, with tables in a bucket."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from batch.lake.catalog import Catalog
from batch.lake.config import LakeConfig
from batch.lake.maintain import LakeMaintenance
from batch.lake.s3_server import S3Server
from batch.lake.session import spark_errors
from batch.purge.target import Target
from batch.shipped import sample_logs
from stream.clock import utc_now
from stream.errors import CatalogRefusedError, CatalogUnreachableError, SettingsError
from stream.settings import MongoSettings
from tests.lake.test_purge import build
from tests.support.lake_marts import BothMarts
from tests.support.laking import Lake, publisher_of, purge_of
from tests.support.landing import delete, upsert
from tests.support.patience import patience
from tests.support.program import Program
from tests.support.rest_catalog import RestCatalog

CREDENTIAL = "ana:do-not-print-me"


@pytest.fixture
def rest(database: str, bucket_url: str, s3_server: S3Server, tmp_path: Path) -> Iterator[RestCatalog]:
    jars = LakeConfig(SecretStr(database), bucket_url).jars_dir
    place = f"{bucket_url}/chosen-by-the-catalog"
    with RestCatalog(tmp_path / "rest", jars, database=database, place=place, s3=s3_server) as server:
        yield server


@pytest.fixture
def rest_lake(rest: RestCatalog, base: Any, bucket_url: str, tmp_path: Path) -> Lake:
    return Lake(tmp_path, rest.uri, bucket=bucket_url, session=base.newSession())


@pytest.fixture
def program(mongo: MongoSettings, rest_lake: Lake, s3_server: S3Server, tmp_path: Path) -> Program:
    return Program.on(
        mongo,
        tmp_path / "data",
        SPARK_MASTER="local[2]",
        SPARK_DRIVER_MEMORY="1500m",
        CATALOG_PROPERTIES=json.dumps({"credential": CREDENTIAL}),
        **rest_lake.settings(),
        **s3_server.environment(),
    )


def landed_sample(program: Program) -> None:
    """Let a worker, which begins at the present, land the sample."""
    program.done("stream", "--until-idle", "0.5")
    program.done("import", str(sample_logs()))
    program.done("stream", "--until-idle", "0.5")


def test_marts_on_a_rest_catalog(program: Program, rest_lake: Lake) -> None:
    """Loaded, built, checked and published, they are DuckDB's, row for row."""
    landed_sample(program)
    said = program.done("load")
    rest_lake.load()  # of DuckDB alone: nothing is left for the other
    both = BothMarts(rest_lake)
    both.build_unchecked()
    assert [] == both.differences()
    [(sessions,)] = rest_lake.rows("select count(*) from lake.marts.dim_sessions")
    assert sessions > 0
    rest_lake.assert_same_raw()

    for command in ("validate", "publish", "doctor", "status"):
        said += program.done(command)
    assert "/chosen-by-the-catalog/raw/documents` can be written" in said
    assert len(both.published()) > 10
    assert CREDENTIAL.partition(":")[2] not in said


def test_upkeep_on_a_rest_catalog(program: Program, rest_lake: Lake) -> None:
    """What is loaded is verified, made again, compacted and purged."""
    rest_lake.land([upsert(1, 10, sessionId="goes"), upsert(2, 11, sessionId="stays")])
    rest_lake.load()
    build(rest_lake)
    publisher_of(rest_lake).publish("20260101", timeout_seconds=5)
    rest_lake.land([upsert(1, 20, sessionId="goes"), delete(2, 21), upsert(3, 22, sessionId="stays")])
    rest_lake.load()
    rest_lake.assert_same_raw()
    program.done("load", "--full-refresh")
    keys = "select _id from lake.raw.conversations order by 1"
    assert [("i:1",), ("i:3",)] == rest_lake.rows(keys)

    upkeep = LakeMaintenance(rest_lake.spark, rest_lake.catalog, utc_now, snapshots_kept=timedelta(0))
    assert any("files of old snapshots removed" in each for each in upkeep.run())
    assert [("i:1",), ("i:3",)] == rest_lake.rows(keys)
    purge = purge_of(rest_lake, lambda: build(rest_lake))
    target = Target("session", "goes")
    purge.run(target).require_complete(target)
    assert [("stays",)] == rest_lake.rows("select session_id from lake.raw.conversations")
    assert [("stays", 1)] == rest_lake.rows("select * from lake.marts.dim_sessions")
    assert 0 == rest_lake.loader().load(timeout_seconds=5).micro_batches


def test_two_loads_at_once(program: Program, rest_lake: Lake) -> None:
    """Nobody keeps the other away: one may have to be run again, and each micro-batch counts once."""
    landed_sample(program)
    both = [program.start("load") for _ in range(2)]
    ended = [each.communicate(timeout=patience(300)) for each in both]
    said = "".join(text for pair in ended for text in pair)
    assert {each.returncode for each in both} <= {0, 1}, said
    assert "Traceback" not in said
    program.done("load")

    rest_lake.load()
    everything = "select * from raw.conversations order by _id"
    assert len(rest_lake.duckdb_rows(everything)) == len(rest_lake.rows(everything))
    counts = "count(*), count(distinct {})"
    for table, key in (
        ("raw.landed", "_file, _pos"),
        ("raw.documents", "_id"),
        ("raw.loads", "load_id"),
        ("raw.micro_batches", "micro_batch_id"),
    ):
        [(rows, keys)] = rest_lake.rows(f"select {counts.format(key)} from lake.{table}")
        assert rows == keys > 0, table
    assert "verdict: same" in program.done("verify")


class Answering(ThreadingHTTPServer):
    """A server that gives one answer to everything.

    Args:
        status: Of HTTP.
    """

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.uri = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        """Refuse in the words of the protocol, which are others where a token is asked for."""
        error: object = {"message": "not today", "type": "Said", "code": self.server.status}
        content = json.dumps({"error": "invalid_client" if "oauth" in self.path else error}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def answering(status: int) -> Iterator[str]:
    """Run such a server; give its URL."""
    with Answering(status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.uri
        server.shutdown()


def config_of(uri: str, **properties: str) -> LakeConfig:
    return LakeConfig(SecretStr(uri), "s3://tests/none", catalog_properties=properties)


@pytest.mark.parametrize("properties", [{}, {"credential": CREDENTIAL}], ids=["open", "with an account"])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_a_catalog_refuses(status: int, properties: dict[str, str]) -> None:
    """A person must act: an account, a right, a warehouse."""
    with answering(status) as uri, pytest.raises(CatalogRefusedError, match="refuses: ") as found:
        Catalog(config_of(uri, **properties)).table("raw.documents")
    assert 2 == found.value.exit_code
    assert CREDENTIAL not in str(found.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_a_catalog_may_do_later(status: int) -> None:
    """Trying again may help."""
    with answering(status) as uri, pytest.raises(CatalogUnreachableError) as found:
        Catalog(config_of(uri)).table("raw.documents")
    assert 1 == found.value.exit_code


def test_a_catalog_that_is_not_there() -> None:
    """As one that is being started again."""
    with answering(200) as uri:
        pass
    with pytest.raises(CatalogUnreachableError, match="does not answer"):
        Catalog(config_of(uri)).table("raw.documents")


def test_signing_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is named."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    signed = {"rest.sigv4-enabled": "true", "rest.signing-region": "us-east-1"}
    with answering(200) as uri, pytest.raises(SettingsError, match="needs the package boto3"):
        Catalog(config_of(uri, **signed)).table("raw.documents")


@pytest.mark.parametrize(("status", "code"), [(401, 2), (503, 1)], ids=["refused", "away"])
def test_a_command_says_so(
    status: int, code: int, tmp_path: Path, bucket_url: str, s3_server: S3Server
) -> None:
    """In one sentence, with the exit code for it."""
    with answering(status) as uri:
        settings = {"WAREHOUSE": "iceberg", "CATALOG_URI": uri, "DATA_URL": bucket_url}
        program = Program(tmp_path, **settings, **s3_server.environment())
        said = program.done("load", code=code)
    assert "the catalog of the Iceberg tables" in said
    assert "Traceback" not in said


def test_spark_is_refused(base: Any) -> None:
    """The same error where Spark is the first to ask."""
    with answering(401) as uri:
        session = base.newSession()
        for name, value in config_of(uri).catalog_settings().items():
            session.conf.set(name, value)
        with pytest.raises(CatalogRefusedError, match="NotAuthorized"), spark_errors("look"):
            session.sql("show namespaces in lake").collect()
