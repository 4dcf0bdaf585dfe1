"""Every step wherever tables may be: named by a REST catalog, in Azure, in Google Cloud Storage."""

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from batch.lake.config import LakeConfig
from batch.lake.maintain import LakeMaintenance, note_look
from batch.lake.s3_server import S3Server
from batch.purge.target import Target
from batch.shipped import sample_logs
from stream.clock import utc_now
from stream.settings import MongoSettings
from tests.lake.test_purge import build
from tests.support.azurite import CONTAINER, Azurite
from tests.support.google_server import BUCKET, GoogleServer
from tests.support.lake_marts import BothMarts
from tests.support.laking import Lake, publisher_of, purge_of
from tests.support.landing import delete, upsert
from tests.support.patience import patience
from tests.support.program import Program
from tests.support.rest_catalog import RestCatalog

CREDENTIAL = "ana:do-not-print-me"


@dataclass(frozen=True)
class Place:
    """Where tables are.

    Attributes:
        catalog_uri: Of their catalog.
        bucket: URL of an empty place.
        settings: What else the program is told.
        secrets: What it must never say.
        tables: Begins the URLs of tables.
        lists_paths: Whether its server does, as looking for orphan files needs it.
    """

    catalog_uri: str
    bucket: str
    settings: dict[str, str]
    secrets: tuple[str, ...]
    tables: str
    lists_paths: bool = True


@pytest.fixture
def rest(database: str, bucket_url: str, s3_server: S3Server, tmp_path: Path) -> Iterator[Place]:
    jars = LakeConfig(SecretStr(database), bucket_url).jars_dir
    place = f"{bucket_url}/chosen-by-the-catalog"
    with RestCatalog(tmp_path / "rest", jars, database=database, place=place, s3=s3_server) as server:
        properties = {"CATALOG_PROPERTIES": json.dumps({"credential": CREDENTIAL})}
        secret = CREDENTIAL.partition(":")[2]
        yield Place(server.uri, bucket_url, properties | s3_server.environment(), (secret,), place)


@pytest.fixture
def azure(database: str, azurite: Azurite) -> Place:
    folder = uuid.uuid4().hex[:12]
    tables = f"abfss://{CONTAINER}@logs.dfs.core.windows.net/{folder}/tables"
    return Place(
        database,
        f"az://{CONTAINER}/{folder}",
        azurite.environment(),
        (azurite.key,),
        tables,
        lists_paths=False,
    )


@pytest.fixture
def google_cloud(database: str, google: GoogleServer) -> Place:
    bucket = f"gs://{BUCKET}/{uuid.uuid4().hex[:12]}"
    return Place(database, bucket, google.environment(), ("PRIVATE KEY",), f"{bucket}/tables")


@pytest.fixture(params=["rest", "azure", "google_cloud"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    place: Place = request.getfixturevalue(request.param)
    for name, value in place.settings.items():
        monkeypatch.setenv(name, value)
    return place


@pytest.fixture
def lake(place: Place, base: Any, tmp_path: Path) -> Lake:
    return Lake(tmp_path, place.catalog_uri, bucket=place.bucket, session=base.newSession())


@pytest.fixture
def program(mongo: MongoSettings, place: Place, lake: Lake, tmp_path: Path) -> Program:
    return Program.on(
        mongo,
        tmp_path / "data",
        SPARK_MASTER="local[2]",
        SPARK_DRIVER_MEMORY="1500m",
        **lake.settings(),
        **place.settings,
    )


def landed_sample(program: Program) -> None:
    """Let a worker, which begins at the present, land the sample."""
    program.done("stream", "--until-idle", "0.5")
    program.done("import", str(sample_logs()))
    program.done("stream", "--until-idle", "0.5")


def test_marts_are_those_of_duckdb(program: Program, lake: Lake, place: Place) -> None:
    """Loaded, built, checked and published, they are DuckDB's, row for row."""
    landed_sample(program)
    said = program.done("load")
    lake.load()  # of DuckDB alone: nothing is left for the other
    both = BothMarts(lake)
    both.build_unchecked()
    assert [] == both.differences()
    [(sessions,)] = lake.rows("select count(*) from lake.marts.dim_sessions")
    assert sessions > 0
    lake.assert_same_raw()

    for command in ("validate", "publish", "doctor", "status"):
        said += program.done(command)
    assert "credentials: from " in said
    assert f"tables: `{place.tables}" in said
    assert len(both.published()) > 10
    assert not any(secret in said for secret in place.secrets)


def test_upkeep(program: Program, lake: Lake, place: Place) -> None:
    """What is loaded is verified, made again, compacted and purged."""
    lake.land([upsert(1, 10, sessionId="goes"), upsert(2, 11, sessionId="stays")])
    lake.load()
    build(lake)
    publisher_of(lake).publish("20260101", timeout_seconds=5)
    lake.land([upsert(1, 20, sessionId="goes"), delete(2, 21), upsert(3, 22, sessionId="stays")])
    lake.load()
    lake.assert_same_raw()
    program.done("load", "--full-refresh")
    keys = "select _id from lake.raw.conversations order by 1"
    assert [("i:1",), ("i:3",)] == lake.rows(keys)

    if not place.lists_paths:
        note_look(lake.catalog, utc_now())
    upkeep = LakeMaintenance(lake.spark, lake.catalog, utc_now, snapshots_kept=timedelta(0))
    assert any("files of old snapshots removed" in each for each in upkeep.run())
    assert [("i:1",), ("i:3",)] == lake.rows(keys)
    purge = purge_of(lake, lambda: build(lake))
    target = Target("session", "goes")
    purge.run(target).require_complete(target)
    assert [("stays",)] == lake.rows("select session_id from lake.raw.conversations")
    assert [("stays", 1)] == lake.rows("select * from lake.marts.dim_sessions")
    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches


def test_a_wrong_key_of_azure(azure: Place, mongo: MongoSettings, tmp_path: Path) -> None:
    """Log and tables are both refused, in words that show no key."""
    wrong = base64.b64encode(b"not the secret one, but as long!").decode()
    settings = {"DATA_URL": azure.bucket, "WAREHOUSE": "iceberg", "CATALOG_URI": azure.catalog_uri}
    settings |= azure.settings | {"AZURE_STORAGE_ACCOUNT_KEY": wrong}
    program = Program.on(mongo, tmp_path, SPARK_MASTER="local[2]", **settings)
    said = program.done("doctor", code=2)
    assert "cannot write `doctor" in said
    assert "the storage of the Iceberg tables refuses: " in said
    assert wrong not in said
    assert "Traceback" not in said


def test_two_loads_at_once(program: Program, lake: Lake) -> None:
    """Nobody keeps the other away: one may have to be run again, and each micro-batch counts once."""
    landed_sample(program)
    both = [program.start("load") for _ in range(2)]
    ended = [each.communicate(timeout=patience(300)) for each in both]
    said = "".join(text for pair in ended for text in pair)
    assert {each.returncode for each in both} <= {0, 1}, said
    assert "Traceback" not in said
    program.done("load")

    lake.load()
    everything = "select * from raw.conversations order by _id"
    assert len(lake.duckdb_rows(everything)) == len(lake.rows(everything))
    counts = "count(*), count(distinct {})"
    for table, key in (
        ("raw.landed", "_file, _pos"),
        ("raw.documents", "_id"),
        ("raw.loads", "load_id"),
        ("raw.micro_batches", "micro_batch_id"),
    ):
        [(rows, keys)] = lake.rows(f"select {counts.format(key)} from lake.{table}")
        assert rows == keys > 0, table
    assert "verdict: same" in program.done("verify")
