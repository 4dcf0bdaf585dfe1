"""SPARK_REMOTE: every step through a real Spark Connect server, and no Java beside our process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.lake.s3_server import S3Server
from batch.shipped import sample_logs
from stream.settings import MongoSettings
from tests.support.lake_marts import BothMarts
from tests.support.laking import Lake
from tests.support.objects import copy_landed
from tests.support.program import Program
from tests.support.spark_connect import SparkConnectServer


@pytest.fixture
def connect(bucket_lake: Lake, tmp_path: Path) -> Iterator[SparkConnectServer]:
    with SparkConnectServer(tmp_path / "connect", bucket_lake.config.jars_dir) as server:
        yield server


def test_a_cycle_through_spark_connect(
    mongo: MongoSettings, bucket_lake: Lake, s3_server: S3Server, connect: SparkConnectServer, tmp_path: Path
) -> None:
    """Load, build, check, publish, verify, rebuild, maintain: the marts are DuckDB's, row for row."""
    assert bucket_lake.storage is not None
    program = Program.on(
        mongo,
        tmp_path / "data",
        SPARK_REMOTE=connect.url,
        PATH="",  # no Java, no Maven
        TZ="Asia/Tokyo",
        **bucket_lake.settings(),
        **s3_server.environment(),
    )
    program.done("stream", "--until-idle", "0.5")
    program.done("import", str(sample_logs()))
    program.done("stream", "--until-idle", "0.5")

    assert f"at {connect.url}" in program.done("doctor")
    for command in ("load", "transform", "validate", "publish"):
        program.done(command)
    assert "verdict: same" in program.done("verify")

    copy_landed(bucket_lake.storage, bucket_lake.folder)
    bucket_lake.duckdb.load(timeout_seconds=5)
    both = BothMarts(bucket_lake)
    both.duckdb.build_unchecked()
    assert [] == both.differences()
    bucket_lake.assert_same_raw()
    program.done("load", "--full-refresh")
    program.done("pipeline", "--skip-extract")
    assert "verdict: same" in program.done("verify")
