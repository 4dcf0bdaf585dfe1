"""What dbt is told."""

import json
from pathlib import Path

import duckdb
import pytest

from batch.transform.dbt_project import DbtProject


def project(tmp_path: Path, **settings: object) -> DbtProject:
    return DbtProject(warehouse=tmp_path / "a.duckdb", data_dir=tmp_path / "data", **settings)  # type: ignore[arg-type]


def test_the_project_lies_in_the_checkout(tmp_path: Path) -> None:
    """Without an installed copy the repository's own folder is used."""
    assert (project(tmp_path).project_dir / "dbt_project.yml").is_file()


def test_everything_that_dbt_writes_is_under_the_data_folder(tmp_path: Path) -> None:
    """An installed wheel cannot be written to."""
    environment = project(
        tmp_path,
        threads=3,
        reporting_timezone="Asia/Tokyo",
        project_aliases={"/b": "/shop", "/a": "/shop"},
        usage_week_start_hour=33,
    ).environment()
    assert {
        "DUCKDB_PATH": str(tmp_path / "a.duckdb"),
        "DUCKDB_CATALOG": "a",
        "DUCKDB_THREADS": "3",
        "DUCKDB_MEMORY_LIMIT": "1GB",
        "REPORTING_TIMEZONE": "Asia/Tokyo",
        "PROJECT_ALIASES": '{"/a": "/shop", "/b": "/shop"}',
        "USAGE_WEEK_START_HOUR": "33",
        "DBT_TARGET_PATH": str(tmp_path / "data" / "dbt" / "target"),
        "DBT_LOG_PATH": str(tmp_path / "data" / "dbt" / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    } == environment


def test_dbt_has_as_many_threads_as_the_loader(tmp_path: Path) -> None:
    """As DuckDB takes by itself, unless set: the profile needs a number, the loader none."""
    with duckdb.connect() as connection:
        (expected,) = connection.execute("select current_setting('threads')").fetchall()
    assert project(tmp_path).environment()["DUCKDB_THREADS"] == str(expected[0])


@pytest.mark.parametrize(
    "name", ["analytics.duckdb", "main.duckdb", "a.b.duckdb", ".c.duckdb", "my-data.duckdb"]
)
def test_a_database_is_called_as_duckdb_calls_it(tmp_path: Path, name: str) -> None:
    """Views name the database they were made in: whoever opens the file must know it by the same name."""
    connection = duckdb.connect(tmp_path / name)
    [(expected,)] = connection.execute("select current_database()").fetchall()
    connection.close()
    environment = DbtProject(warehouse=tmp_path / name, data_dir=tmp_path).environment()
    assert expected == environment["DUCKDB_CATALOG"]


def test_a_changed_macro_changes_what_dbt_is_told(tmp_path: Path) -> None:
    """Models made with another macro must be rebuilt; only its checksum can tell them."""
    folder = tmp_path / "dbt"
    (folder / "macros").mkdir(parents=True)
    macro = folder / "macros" / "rule.sql"
    macro.write_text("one")
    before = project(tmp_path, folder=folder).arguments("build")
    macro.write_text("another")
    after = project(tmp_path, folder=folder).arguments("build")
    assert "build" == before[0]
    assert str(folder) in before
    checksums = [json.loads(each[each.index("--vars") + 1])["macros_checksum"] for each in (before, after)]
    assert checksums[0] != checksums[1]
