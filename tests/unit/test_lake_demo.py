"""The proof at the end of `make lake-demo` can fail."""

from pathlib import Path

import duckdb

from tests.support.marts import MARTS
from tests.tools.lake_demo import different_marts


def marts_in(path: Path, changes: dict[str, str]) -> Path:
    """Make a file with all marts; those named are made by a query of their own."""
    with duckdb.connect(path) as connection:
        connection.execute("create schema marts")
        for mart in MARTS:
            query = changes.get(mart, "select 1::bigint as number")
            connection.execute(f"create table marts.{mart} as {query}")
    return path


def test_the_same_marts_do_not_differ(tmp_path: Path) -> None:
    """Nothing is named."""
    files = [marts_in(tmp_path / name, {}) for name in ("one.duckdb", "other.duckdb")]

    assert [] == different_marts(*files)


def test_each_kind_of_difference_is_named(tmp_path: Path) -> None:
    """Another type, another value, a row that is there twice."""
    changes = {
        "dim_date": "select 1::integer as number",
        "dim_tools": "select 2::bigint as number",
        "fct_messages": "select unnest([1, 1])::bigint as number",
    }

    found = different_marts(
        marts_in(tmp_path / "one.duckdb", changes), marts_in(tmp_path / "other.duckdb", {})
    )

    assert [
        "dim_date has other columns: [('number', 'BIGINT'), ('number', 'INTEGER')]",
        "dim_tools lost 1 rows and gained 1",
        "fct_messages lost 0 rows and gained 1",
    ] == found
