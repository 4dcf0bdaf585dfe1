"""Building in Spark asks for its adapter first, and lends dbt a session that stays as it is."""

import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from batch.lake.build import build, lent_to_dbt
from batch.lake.config import LakeConfig
from batch.lake.session import Spark
from batch.transform.dbt_project import DbtProject
from stream.errors import SettingsError


class Settings(dict[str, str]):
    """Settings of a session."""

    set = dict.__setitem__
    unset = dict.__delitem__


class Session:
    """A session that has nothing but settings."""

    def __init__(self) -> None:
        self.conf = Settings()


def test_a_missing_adapter_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Spark is started, and with what to run."""
    monkeypatch.setitem(sys.modules, "dbt.adapters.spark", None)
    spark = Spark(LakeConfig(SecretStr("postgresql://nowhere"), "file:///nowhere"))
    with pytest.raises(SettingsError, match="needs the package dbt-spark") as found:
        build(spark, DbtProject(warehouse=tmp_path / "none.duckdb", data_dir=tmp_path))
    assert "claude-analytics[lake]" in found.value.hint


def test_dbt_gets_the_session_as_it_is() -> None:
    """What dbt-spark would set is not set, and what a build needs is taken back."""
    adapter: Any = pytest.importorskip("dbt.adapters.spark.session")
    own, session = adapter.SparkSession, Session()
    with lent_to_dbt(session):
        builder = adapter.SparkSession.builder.enableHiveSupport().config("spark.sql.ansi.enabled", "false")
        assert builder.getOrCreate() is session
        assert "spark.sql.ansi.enabled" not in session.conf
        assert session.conf != {}
    assert {} == session.conf
    assert adapter.SparkSession is own
