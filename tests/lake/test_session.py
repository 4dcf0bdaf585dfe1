"""What a session of Spark on this machine is set to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HIDDEN = "keep-me-"
"""Begins everything that nobody may see."""
LOGGING = f"""
import sys
from pydantic import SecretStr
from batch.lake.config import LakeConfig
from batch.lake.session import Spark
spark = {{
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.dir": sys.argv[1],
}}
azure = "abfss://box@logs.dfs.core.windows.net/tables"
uri, properties = sys.argv[2], {{"credential": "ana:{HIDDEN}c", "header.X-Who": "{HIDDEN}h"}}
config = LakeConfig(
    SecretStr(uri), azure, "local[2]", driver_memory="1g", spark=spark, catalog_properties=properties
)
session = Spark(config)
print(session.rows("select count(*) from range(3)", doing="look"))
session.stop()
"""
PROGRAM = """
import sys
from pathlib import Path
from pydantic import SecretStr
from batch.lake.config import LakeConfig
from batch.lake.session import Spark
spark = Spark(LakeConfig(SecretStr(sys.argv[1]), Path.cwd().as_uri(), "local[2]", driver_memory="1g"))
print(spark.session().conf.get("spark.sql.shuffle.partitions"))
spark.stop()
"""


@pytest.mark.parametrize(("defaults", "expected"), [("", "8"), ("spark.sql.shuffle.partitions 5", "5")])
def test_rows_are_shuffled_into_few_parts(
    database: str, tmp_path: Path, defaults: str, expected: str
) -> None:
    """On one machine 200 would be too many; what `spark-defaults.conf` says counts."""
    (tmp_path / "spark-defaults.conf").write_text(defaults, encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, database],
        cwd=tmp_path,
        env={**os.environ, "SPARK_CONF_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert expected == found.stdout.strip()


@pytest.mark.parametrize(
    ("uri", "opened_by"),
    [
        (f"postgresql://ana:{HIDDEN}p@127.0.0.1/none", "AZURE_STORAGE_ACCOUNT_KEY"),
        ("https://catalog.example", "AZURE_STORAGE_SAS_TOKEN"),
    ],
    ids=["PostgreSQL and a key", "REST and a signature"],
)
def test_an_event_log_holds_no_secret(tmp_path: Path, uri: str, opened_by: str) -> None:
    """Where Spark's history server looks, each job's settings are written down."""
    account = {"AZURE_STORAGE_ACCOUNT_NAME": "logs", opened_by: f"{HIDDEN}a"}
    words = [sys.executable, "-c", LOGGING, str(tmp_path), uri]
    said = subprocess.run(
        words, env={**os.environ, **account}, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert "[(3,)]" == said.strip()
    events = "".join(path.read_text() for path in tmp_path.rglob("events*"))
    assert "SparkListenerJobStart" in events
    assert "spark.sql.catalog.lake" in events
    assert HIDDEN not in events
