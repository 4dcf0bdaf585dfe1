"""`doctor` on the Iceberg warehouse: what is there, and what is not, each with its fix."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from batch.lake import checks
from tests.support.laking import Lake


class RunningSpark:
    """The Spark of these tests in place of one that has to start; it is not to be stopped."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def __call__(self, _config: Any) -> "RunningSpark":
        """Return itself, as the class of Spark would."""
        return self

    def session(self) -> Any:
        """Return the session."""
        return self._lake.spark.session()

    def rows(self, query: str, *, doing: str) -> Any:
        """Ask it."""
        return self._lake.spark.rows(query, doing=doing)

    def stop(self) -> None:
        """Do nothing."""


def test_a_lake_that_works(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line is ok: packages, Java, libraries, catalog with its schema version, storage, Spark."""
    monkeypatch.setattr(checks, "Spark", RunningSpark(lake))
    lake.loader().prepare()

    found = {check.name: check for check in checks.examine(lake.config)}

    assert {"ok"} == {check.level for check in found.values()}
    assert "schema version 1" in found["catalog"].text
    assert "0 executors beside the driver" in found["Spark"].text
    assert [] == [path.name for path in (lake.folder / "tables").iterdir() if path.name.startswith(".probe")]


def test_a_lake_that_does_not(lake: Lake, tmp_path: Path) -> None:
    """What is in the way has a line each, and Spark is not started."""
    (tmp_path / "file").touch()
    config = replace(
        lake.config,
        catalog_uri=SecretStr("postgresql://ana:secret@127.0.0.1:1/none"),
        location=f"file://{tmp_path}/file/tables",
        jars_dir=tmp_path / "no-jars",
    )

    found = {check.name: check for check in checks.examine(config)}

    assert {
        "packages": "ok",
        "Java": "ok",
        "Spark's libraries": "warn",
        "catalog": "fail",
        "tables": "fail",
    } == {name: check.level for name, check in found.items()}
    assert "secret" not in str(found)
    assert all(check.fix for check in found.values() if check.level != "ok")
