"""What a session of Spark on this machine is set to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
