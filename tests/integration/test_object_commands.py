"""The program with DATA_URL in a bucket: what it does there, and what it says it cannot do."""

from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from batch.doctor.store import examine_store
from batch.lake.s3_server import S3Server
from stream.settings import MongoSettings
from stream.storage.local import LocalStorage
from stream.storage.storage import Storage
from tests.support.objects import assert_nothing_lost_nothing_twice
from tests.support.program import Program

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


@pytest.fixture
def program(mongo: MongoSettings, s3_server: S3Server, bucket: Storage, tmp_path: Path) -> Program:
    """Return the program with settings as a user would make them."""
    return Program.on(mongo, tmp_path / "data", DATA_URL=bucket.url, **s3_server.environment())


def test_the_stream_lands_in_a_bucket_and_goes_on_there(
    program: Program, collection: Documents, bucket: Storage, tmp_path: Path
) -> None:
    """Each run takes what came since; what cannot become a row is a dead letter; DATA_DIR stays empty."""
    program.done("stream", "--until-idle", "0.5")
    collection.insert_many([{"_id": number, "type": "user"} for number in range(50)])
    collection.insert_one({"_id": "bad-1", "message": "no type"})
    said = program.done("stream", "--until-idle", "0.5")
    assert "51 change events read" in said
    collection.delete_one({"_id": 7})
    assert "1 change events read" in program.done("stream", "--until-idle", "0.5")
    assert 49 == assert_nothing_lost_nothing_twice(bucket, collection, tmp_path / "compared")
    assert not (tmp_path / "data" / "landing").exists()
    secret = program.environment["AWS_SECRET_ACCESS_KEY"]
    for stored in bucket.list_after(""):
        assert secret.encode() not in (bucket.get(stored.key) or b"")
    assert secret not in said + program.done("config")


@pytest.mark.parametrize("command", [["load"], ["status"], ["verify"]], ids=lambda command: command[0])
def test_what_needs_a_folder_says_so(program: Program, command: list[str]) -> None:
    """In one sentence, with exit code 2."""
    said = program.done(*command, code=2)
    assert "this command needs landed files in a folder" in said


def test_azure_without_an_account_is_refused(program: Program) -> None:
    """Before anything is asked."""
    settings = {"WAREHOUSE": "iceberg", "CATALOG_URI": "postgresql://nowhere/none", "DATA_URL": "az://logs"}
    assert "no storage account is named" in program.done("load", code=2, **settings)


def test_a_backfill_lands_beside_the_stream(
    program: Program, collection: Documents, bucket: Storage, tmp_path: Path
) -> None:
    """What is there already, and what changes after: each once, the newest version counts."""
    collection.insert_many([{"_id": number, "type": "user"} for number in range(300)])
    program.done("stream", "--until-idle", "0.5")
    collection.update_one({"_id": 3}, {"$set": {"type": "changed"}})
    assert "300" in program.done("backfill")
    collection.delete_one({"_id": 4})
    program.done("stream", "--until-idle", "0.5")
    compared = assert_nothing_lost_nothing_twice(
        bucket, collection, tmp_path / "compared", is_stream_alone=False
    )
    assert 299 == compared


def test_the_doctor_tries_the_store(program: Program) -> None:
    """Each ability it needs; wrong credentials are a line with a fix."""
    said = program.done("doctor")
    assert "objects can be written, read, listed and deleted" in said
    assert "conditional writes: honoured" in said
    wrong = {"AWS_SECRET_ACCESS_KEY": "another-one"}
    refused = program.done("doctor", code=2, **wrong)
    assert "→ check DATA_URL" in refused
    assert "another-one" not in refused


def test_a_store_that_ignores_conditions_is_found_out(tmp_path: Path) -> None:
    """The worker could not be fenced there."""

    class Careless(LocalStorage):
        """Replaces what is there."""

        def create(self, key: str, content: bytes) -> bool:
            """Write in any case."""
            self.put(key, content)
            return True

    assert ["ok", "ok"] == [check.level for check in examine_store(LocalStorage(tmp_path))]
    assert ["ok", "fail"] == [check.level for check in examine_store(Careless(tmp_path))]


def test_a_folder_may_be_named_as_well(mongo: MongoSettings, collection: Documents, tmp_path: Path) -> None:
    """Landing zone and dead letters are there then, the warehouse in DATA_DIR."""
    program = Program.on(mongo, tmp_path / "data", DATA_URL=str(tmp_path / "landed"))
    program.done("stream", "--until-idle", "0.5")
    collection.insert_one({"_id": 1, "type": "user"})
    assert "1 rows loaded" in program.done("stream", "--until-idle", "0.5")
    assert list((tmp_path / "landed" / "landing" / "stream").rglob("*.parquet"))
    assert (tmp_path / "data" / "analytics.duckdb").exists()
