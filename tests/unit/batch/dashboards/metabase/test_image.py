"""The image of Metabase fits what this project writes, and is not built without being told from where."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DOCKERFILE = (ROOT / "deploy" / "metabase" / "Dockerfile").read_text(encoding="utf-8")


def test_the_driver_brings_the_duckdb_that_wrote_the_file() -> None:
    """A driver with an older DuckDB could not open what a newer one wrote."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    (duckdb,) = (each.partition("==")[2] for each in packages if each.startswith("duckdb=="))
    assert f"{duckdb}." in "".join(re.findall(r"driver[^\n]*?(\d+\.\d+\.\d+\.)\d", DOCKERFILE))


def fetching() -> str:
    """Return the part of the build that downloads, as the shell sees it."""
    (step,) = re.findall(r"RUN (set -eu;.*?)\n\n", DOCKERFILE, flags=re.DOTALL)
    return step.replace("\\\n", "\n").replace("/jars", "jars")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on the PATH")
@pytest.mark.parametrize("missing", ["METABASE_JAR_URL", "DUCKDB_DRIVER_URL"])
def test_a_build_without_an_address_says_what_to_pass(missing: str, tmp_path: Path) -> None:
    """The argument and the file are named, before anything else happens."""
    jar = tmp_path / "some.jar"
    jar.write_bytes(b"jar")
    arguments = dict.fromkeys(("METABASE_JAR_URL", "DUCKDB_DRIVER_URL"), jar.as_uri())
    checks = {"METABASE_JAR_SHA256": "", "DUCKDB_DRIVER_SHA256": ""}
    given = {**arguments, **checks, missing: "", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        ["/bin/sh", "-c", fetching()], cwd=tmp_path, env=given, capture_output=True, text=True, check=False
    )
    assert 2 == ran.returncode, ran.stderr
    assert f"--build-arg {missing}=" in ran.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on the PATH")
def test_files_are_fetched_and_checked(tmp_path: Path) -> None:
    """With both addresses the files are there; a checksum that does not fit ends the build."""
    jar = tmp_path / "some.jar"
    jar.write_bytes(b"jar")
    given = {
        "METABASE_JAR_URL": jar.as_uri(),
        "DUCKDB_DRIVER_URL": jar.as_uri(),
        "METABASE_JAR_SHA256": "",
        "DUCKDB_DRIVER_SHA256": "0" * 64,
        "PATH": "/usr/bin:/bin",
    }
    run = ["/bin/sh", "-c", fetching()]
    refused = subprocess.run(run, cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
    assert 0 != refused.returncode
    assert "FAILED" in refused.stdout
    (tmp_path / "jars" / "metabase.jar").unlink()
    for each in (tmp_path / "jars").iterdir():
        each.unlink()
    (tmp_path / "jars").rmdir()
    subprocess.run(
        run, cwd=tmp_path, env=given | {"DUCKDB_DRIVER_SHA256": ""}, capture_output=True, check=True
    )
    assert {"metabase.jar", "duckdb.metabase-driver.jar"} == {
        each.name for each in (tmp_path / "jars").iterdir()
    }
