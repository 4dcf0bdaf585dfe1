"""Landing zone and tables in a real bucket: the same rows as DuckDB has of the same documents, each once."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from batch.lake.maintain import LakeMaintenance
from batch.lake.s3_server import S3Server
from stream.clock import utc_now
from stream.core.normalise import truncate_marker
from stream.errors import MicroBatchCorruptError
from stream.settings import MongoSettings
from tests.support.laking import Lake
from tests.support.landing import delete, random_changes, upsert
from tests.support.objects import copy_landed
from tests.support.program import Program
from tests.support.s3_proxy import S3Proxy

Documents = Collection[dict[str, Any]]


def test_random_histories_equal_those_of_duckdb(bucket_lake: Lake) -> None:
    """Whatever the order of changes over lanes and loads, and behind a truncate marker, too."""
    chance = random.Random(11)
    version = 100
    for number in range(2):
        for lane in ("stream-1-0of2", "stream-1-1of2", "backfill-1"):
            rows = random_changes(chance, version)
            version += len(rows)
            if number == 1 and lane == "stream-1-1of2":
                rows.insert(15, truncate_marker(source_version=version - 20))
            bucket_lake.land(rows, lane=lane)
        bucket_lake.load()
        bucket_lake.assert_same_raw()


def test_loading_again_changes_nothing(bucket_lake: Lake) -> None:
    """A second load finds nothing to do, and commits nothing; objects are registered where they are."""
    bucket_lake.land([upsert(1, 10), upsert(2, 11)])
    bucket_lake.load()
    documents = bucket_lake.catalog.table("raw.documents")
    landed = bucket_lake.catalog.table("raw.landed")
    assert documents is not None
    assert landed is not None

    assert 0 == bucket_lake.loader().load(timeout_seconds=5).micro_batches
    again = bucket_lake.catalog.table("raw.documents")
    assert again is not None
    assert documents.current_snapshot().snapshot_id == again.current_snapshot().snapshot_id
    assert bucket_lake.storage is not None
    [file] = landed.inspect.files()["file_path"].to_pylist()
    assert file == f"{bucket_lake.storage.url}/landing/stream/000000000000.parquet"
    assert [] == list((bucket_lake.folder).glob("tables"))


@pytest.mark.parametrize("newer", [0, 2], ids=["as far", "not as far yet"])
def test_a_bucket_in_which_somebody_began_again_is_refused(bucket_lake: Lake, newer: int) -> None:
    """An object under the number of one that is registered would never be loaded; it has the same size."""
    storage = bucket_lake.storage
    assert storage is not None
    for number in range(1 + newer):
        bucket_lake.land([upsert(number, 10 + number)])
    bucket_lake.load()
    sizes = [each.size_bytes for each in storage.list_after("landing/stream")]
    for each in list(storage.list_after("landing/stream")):
        storage.delete(each.key)
    bucket_lake.land([upsert(3, 10)])
    assert [each.size_bytes for each in storage.list_after("landing/stream")] == sizes[:1]

    with pytest.raises(MicroBatchCorruptError, match="is another than the one that was registered"):
        bucket_lake.loader().load(timeout_seconds=5)


def test_the_program_streams_loads_verifies_and_repairs_in_a_bucket(
    mongo: MongoSettings,
    collection: Documents,
    bucket_lake: Lake,
    s3_server: S3Server,
    tmp_path: Path,
) -> None:
    """Two partitions, a row that is lost; afterwards all is the same, and no key is anywhere."""
    assert bucket_lake.storage is not None
    keys = s3_server.environment()
    program = Program.on(
        mongo,
        tmp_path / "data",
        SPARK_MASTER="local[2]",
        SPARK_DRIVER_MEMORY="1500m",
        STREAM_PARTITIONS="2",
        **bucket_lake.settings(),
        **keys,
    )
    program.done("stream", "--until-idle", "0.5")
    collection.insert_many([{"_id": number, "type": "user", "sessionId": "s"} for number in range(200)])
    collection.insert_one({"_id": "bad-1", "message": "no type"})
    program.done("stream", "--until-idle", "0.5")
    collection.update_many({"_id": {"$lt": 50}}, {"$set": {"type": "assistant"}})
    collection.delete_many({"_id": {"$gte": 190}})
    program.done("stream", "--until-idle", "0.5")
    said = [" ".join(program.done("load").split())]
    assert ": 190 documents inserted or replaced, 0 deleted" in said[0]
    copy_landed(bucket_lake.storage, bucket_lake.folder)
    bucket_lake.duckdb.load(timeout_seconds=5)
    bucket_lake.assert_same_raw()

    bucket_lake.spark.run("delete from lake.raw.documents where _id = 'i:7'", doing="damage it")
    said.append(program.done("verify", "--repair", "--yes"))
    assert "looked at again: all the same" in said[1]
    assert [(190,)] == bucket_lake.rows("select count(*) from raw.conversations")
    said.append(program.done("doctor"))
    assert f"tables: `{bucket_lake.config.location}` can be written" in said[2]
    for secret in (keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in "".join(said)
        for stored in bucket_lake.storage.list_after(""):
            assert secret.encode() not in (bucket_lake.storage.get(stored.key) or b"")


def test_a_profile_of_aws_opens_log_and_tables(
    bucket_lake: Lake, s3_server: S3Server, tmp_path: Path
) -> None:
    """What reads the log, Spark and PyIceberg find the same keys in its files; the environment has none."""
    bucket_lake.land([upsert(1, 10)])
    (tmp_path / "config").write_text(
        f"[profile logs]\nregion = {s3_server.region}\nendpoint_url = {s3_server.endpoint}\n"
    )
    (tmp_path / "credentials").write_text(
        f"[logs]\naws_access_key_id = {s3_server.access_key}\n"
        f"aws_secret_access_key = {s3_server.secret_key}\n"
    )
    program = Program(
        tmp_path,
        SPARK_MASTER="local[2]",
        SPARK_DRIVER_MEMORY="1500m",
        AWS_PROFILE="logs",
        AWS_CONFIG_FILE=str(tmp_path / "config"),
        AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"),
        **bucket_lake.settings(),
    )
    assert ": 1 documents inserted or replaced" in " ".join(program.done("load").split())
    assert [("i:1",)] == bucket_lake.rows("select _id from raw.conversations")
    # Without MongoDB: the lines of the bucket and of the tables are what counts.
    said = program.done("doctor", code=2)
    assert "profile `logs` (shared-credentials-file)" in said
    assert f"tables: `{bucket_lake.config.location}` can be written" in said
    assert s3_server.secret_key not in said


@pytest.mark.fault(
    2, "nobody reaches the bucket of the Iceberg tables", "`load` exits with 1; the next one goes on"
)
def test_a_bucket_that_nobody_reaches_is_an_error_that_trying_again_mends(
    bucket_lake: Lake, s3_server: S3Server, tmp_path: Path
) -> None:
    """The program says what is wrong, exits with 1, and has changed nothing."""
    bucket_lake.land([upsert(1, 10)])
    bucket_lake.load()
    bucket_lake.land([upsert(1, 20)])
    environment = s3_server.environment()
    with S3Proxy(s3_server.endpoint) as proxy:
        program = Program(
            tmp_path,
            **bucket_lake.settings(),
            **environment | {"AWS_ENDPOINT_URL": proxy.endpoint},
        )
        with proxy.unreachable():
            said = program.done("load", code=1)
    assert "the storage of the Iceberg tables does not answer" in said
    assert environment["AWS_SECRET_ACCESS_KEY"] not in said
    bucket_lake.load()
    bucket_lake.assert_same_raw()


def test_maintenance_in_a_bucket_keeps_what_is_in_use(bucket_lake: Lake) -> None:
    """Old snapshots go; landed objects and files that are young stay, and loads go on."""
    for number in range(3):
        bucket_lake.land([upsert(1, 10 + number), upsert(100 + number, 20), delete(99 + number, 30)])
        bucket_lake.load()
    assert bucket_lake.storage is not None
    young = "tables/raw/documents/data/of-a-commit-under-way.parquet"
    bucket_lake.storage.put(young, b"not named by a snapshot yet")
    upkeep = LakeMaintenance(bucket_lake.spark, bucket_lake.catalog, utc_now, snapshots_kept=timedelta(0))

    upkeep.run()

    assert bucket_lake.storage.get(young) is not None
    assert 3 == len(list(bucket_lake.storage.list_after("landing")))
    assert 0 == bucket_lake.loader().load(timeout_seconds=5).micro_batches
    bucket_lake.land([upsert(1, 40), upsert(500, 41)])
    assert 1 == bucket_lake.load().micro_batches
    bucket_lake.assert_same_raw()
