"""What the Kubernetes manifests start, started here: their words and settings, another source and bucket."""

from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from batch.lake.s3_server import S3Server
from stream.settings import MongoSettings
from stream.storage.storage import Storage
from tests.support.kubernetes import CONTAINERS, settings_of
from tests.support.objects import assert_nothing_lost_nothing_twice
from tests.support.program import Program

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


@pytest.fixture
def program(mongo: MongoSettings, s3_server: S3Server, bucket: Storage, tmp_path: Path) -> Program:
    """Return the program with the settings of the manifests; secrets are files, as pods have them mounted."""
    secrets = {"mongo_uri": mongo.uri.get_secret_value(), "catalog_uri": "postgresql://lake@catalog/lake"}
    settings = settings_of("ConfigMap")
    for name, value in secrets.items():
        (tmp_path / name).write_text(value, encoding="utf-8")
        assert f"/run/secrets/claude-analytics/{name}" == settings[f"{name.upper()}_FILE"]
        settings[f"{name.upper()}_FILE"] = str(tmp_path / name)
    source = {"MONGO_DB": mongo.database, "MONGO_COLLECTION": mongo.collection}
    return Program(tmp_path, **settings | source | s3_server.environment() | {"DATA_URL": bucket.url})


def test_pods_of_the_stream_share_it(
    program: Program, collection: Documents, bucket: Storage, tmp_path: Path
) -> None:
    """Each takes the partition of its number; a new pod has an empty folder and goes on in the bucket."""
    stream = CONTAINERS["stream"]
    replicas = range(stream.workload["spec"]["replicas"])

    def run_pods(round_: str) -> None:
        for number in replicas:
            folder = tmp_path / f"pod-{number}-{round_}"
            program.done(*stream.arguments(number), "--until-idle", "0.5", DATA_DIR=str(folder))

    run_pods("first")
    collection.insert_many([{"_id": number, "type": "user"} for number in range(60)])
    run_pods("second")
    collection.delete_one({"_id": 7})
    run_pods("third")
    assert 59 == assert_nothing_lost_nothing_twice(bucket, collection, tmp_path / "compared")
    lanes = {stored.key.split("/")[1] for stored in bucket.list_after("landing/")}
    assert len(replicas) == len(lanes)


def test_pods_of_the_backfill_share_one_plan(
    program: Program, collection: Documents, bucket: Storage, tmp_path: Path
) -> None:
    """As many as the job runs at a time end with 0, and all documents are there once."""
    stream, backfill = CONTAINERS["stream"], CONTAINERS["backfill"]
    for number in range(stream.workload["spec"]["replicas"]):
        program.done(*stream.arguments(number), "--until-idle", "0.5")
    collection.insert_many([{"_id": number, "type": "user", "text": "x" * 500} for number in range(400)])
    pods = [
        program.start(
            *backfill.arguments(), DATA_DIR=str(tmp_path / f"pod-{number}"), BACKFILL_RANGE_BYTES="40000"
        )
        for number in range(backfill.workload["spec"]["parallelism"])
    ]
    said = [pod.communicate() for pod in pods]
    assert [0] * len(pods) == [pod.returncode for pod in pods], said
    compared = assert_nothing_lost_nothing_twice(
        bucket, collection, tmp_path / "compared", is_stream_alone=False
    )
    assert 400 == compared


@pytest.mark.parametrize("name", ["stream", "schedule", "backfill"])
def test_the_program_knows_the_words(program: Program, name: str) -> None:
    """Command and options are there."""
    assert "Usage:" in program.done(*CONTAINERS[name].arguments(), "--help")
