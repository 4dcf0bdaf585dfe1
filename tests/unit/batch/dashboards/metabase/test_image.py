"""The image of Metabase fits what this project writes, and is not built without being told from where."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on the PATH")
DOCKERFILE = (ROOT / "deploy" / "metabase" / "Dockerfile").read_text(encoding="utf-8")


def test_the_driver_brings_the_duckdb_that_wrote_the_file() -> None:
    """A driver with an older DuckDB could not open what a newer one wrote."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    (duckdb,) = (each.partition("==")[2] for each in packages if each.startswith("duckdb=="))
    assert f"{duckdb}." in "".join(re.findall(r"driver[^\n]*?(\d+\.\d+\.\d+\.)\d", DOCKERFILE))


def fetched(folder: Path, **given: str) -> "subprocess.CompletedProcess[str]":
    """Run the part of the build that downloads, with a file that stands for both."""
    (step,) = re.findall(r"RUN (set -eu;.*?)\n\n", DOCKERFILE, flags=re.DOTALL)
    script = step.replace("\\\n", "\n").replace("/jars", "jars")
    jar = folder / "some.jar"
    jar.write_bytes(b"jar")
    addresses = dict.fromkeys(("METABASE_JAR_URL", "DUCKDB_DRIVER_URL"), jar.as_uri())
    checks = {"METABASE_JAR_SHA256": "", "DUCKDB_DRIVER_SHA256": ""}
    environment = {"PATH": "/usr/bin:/bin", **addresses, **checks, **given}
    return subprocess.run(
        ["/bin/sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@needs_curl
@pytest.mark.parametrize("missing", ["METABASE_JAR_URL", "DUCKDB_DRIVER_URL"])
def test_a_build_without_an_address_says_what_to_pass(missing: str, tmp_path: Path) -> None:
    """The argument and the file are named, before anything else happens."""
    ran = fetched(tmp_path, **{missing: ""})
    assert 2 == ran.returncode, ran.stderr
    assert f"--build-arg {missing}=" in ran.stderr


@needs_curl
def test_files_are_fetched_and_checked(tmp_path: Path) -> None:
    """With both addresses the files are there; a checksum that does not fit ends the build."""
    refused = fetched(tmp_path, DUCKDB_DRIVER_SHA256="0" * 64)
    assert 0 != refused.returncode
    assert "FAILED" in refused.stdout
    shutil.rmtree(tmp_path / "jars")
    assert 0 == fetched(tmp_path).returncode
    jars = {each.name for each in (tmp_path / "jars").iterdir()}
    assert {"metabase.jar", "duckdb.metabase-driver.jar"} == jars
