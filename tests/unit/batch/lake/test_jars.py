"""Spark's libraries: fetched once, and used only if they are what was named."""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from batch.lake.jars import AZURE, GOOGLE, ICEBERG, POSTGRESQL, S3, Jar, fetched, needed_jars, require_java
from stream.errors import SettingsError, StepFailedError

CONTENT = b"a library"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())


class Repository:
    """Hands files out, and counts how often it is asked."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.asked = 0

    def __call__(self, jars: Sequence[Jar], folder: Path) -> None:
        """Put files into a folder, as Maven does."""
        self.asked += 1
        for jar in jars:
            (folder / jar.file_name).write_bytes(self.content)


def java(says: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.CompletedProcess(["java"], 0, stdout="", stderr=says)


def test_a_library_is_fetched_once(tmp_path: Path) -> None:
    """The second time it comes from the cache."""
    repository = Repository()

    paths = [fetched([JAR], tmp_path / "jars", fetch=repository) for _ in range(2)]

    assert paths == [[tmp_path / "jars" / "thing-1.0.jar"]] * 2
    assert CONTENT == paths[0][0].read_bytes()
    assert 1 == repository.asked


def test_another_file_is_never_used(tmp_path: Path) -> None:
    """What has another checksum does not appear in the cache."""
    with pytest.raises(StepFailedError, match="checksum"):
        fetched([JAR], tmp_path, fetch=Repository(b"something else"))

    assert [] == list(tmp_path.iterdir())


def test_amazon_is_fetched_for_tables_on_s3_alone() -> None:
    """A folder needs 50 MB of libraries, a bucket 120."""
    assert (ICEBERG, POSTGRESQL) == needed_jars("file")
    assert (ICEBERG, POSTGRESQL, S3) == needed_jars("s3")
    assert (ICEBERG, POSTGRESQL, GOOGLE) == needed_jars("gs")
    assert (ICEBERG, POSTGRESQL, *AZURE) == needed_jars("abfss")


@pytest.mark.parametrize(
    ("says", "version"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('openjdk version "21" 2023-09-19', 21)],
    ids=["17", "21"],
)
def test_java_that_spark_runs_on(says: str, version: int) -> None:
    """Its version is read from what it says."""
    assert version == require_java(lambda *_args, **_options: java(says))


@pytest.mark.parametrize("says", ['java version "1.8.0_292"', 'openjdk version "25"', "nothing"])
def test_java_that_spark_does_not_run_on(says: str) -> None:
    """The message says what to install."""
    with pytest.raises(SettingsError, match="does not run on the Java") as error:
        require_java(lambda *_args, **_options: java(says))
    assert "openjdk-17" in error.value.hint


def test_no_java() -> None:
    """As before."""

    def missing(*_args: object, **_options: object) -> "subprocess.CompletedProcess[str]":
        raise FileNotFoundError

    with pytest.raises(SettingsError, match="no Java here"):
        require_java(missing)
