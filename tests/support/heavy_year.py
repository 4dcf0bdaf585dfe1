"""A year of somebody who works with Claude Code all day, made of the sample's marts repeated and renamed."""

from pathlib import Path

import duckdb

from batch.runs import ops_tables

# Six weeks of sample, so that weekdays stay; twenty times as much work as in the sample.
PERIODS, DAYS, COPIES, PROJECTS = 9, 42, 20, 4
# A copy is other conversations, branches and files, not more of the same.
_NAMES = {"session_id", "title", "git_branch", "branch", "file_path", "pull_request_urls"}
_UNTOUCHED = {"dim_models", "dim_tools", "agg_hourly_activity", "agg_tool_efficiency", "agg_daily_summary"}


def make_heavy_year(marts: Path, target: Path) -> None:
    """Write the marts of that year, and what the platform tells about itself.

    Args:
        marts: DuckDB file with the marts of the sample.
        target: New DuckDB file.
    """
    with duckdb.connect(target) as connection:
        connection.execute(f"attach '{marts}' as sample (read_only)")
        connection.execute("create schema marts")
        tables = connection.execute(
            "select table_name from duckdb_tables() where database_name = 'sample' and schema_name = 'marts'"
        ).fetchall()
        for (name,) in tables:
            connection.execute(f"create table marts.{name} as {_repeated(connection, name)}")
        connection.execute(
            "create schema raw; create table raw.micro_batches as from sample.raw.micro_batches"
        )
        ops_tables.prepare(connection)
        for name in ("runs", "checks", "published_build"):
            connection.execute(f"insert into ops.{name} from sample.ops.{name}")


def _repeated(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    if name in _UNTOUCHED:
        return f"from sample.marts.{name}"
    columns = connection.execute(
        "select column_name, data_type from duckdb_columns() "
        "where database_name = 'sample' and schema_name = 'marts' and table_name = ? order by column_index",
        [name],
    ).fetchall()
    chosen = ", ".join(f"{_renamed(column, kind)} as {column}" for column, kind in columns)
    copies = {"dim_date": 1, "dim_projects": PROJECTS}.get(name, COPIES)
    periods = 1 if name == "dim_projects" else PERIODS
    distinct = "distinct " if name == "dim_date" else ""
    return (
        f"select {distinct}{chosen} from sample.marts.{name} as rows_of_sample "
        f"cross join range({periods}) as periods (period) cross join range({copies}) as copies (copy)"
    )


def _renamed(column: str, kind: str) -> str:
    if kind in {"DATE", "TIMESTAMP WITH TIME ZONE"}:
        return f"cast({column} - to_days({DAYS} * cast(period as integer)) as {kind})"
    if column == "project_id":
        return f"{column} || case copy % {PROJECTS} when 0 then '' else '-' || copy % {PROJECTS} end"
    if column in _NAMES or column.endswith("_key"):
        return f"{column} || ' ' || period || '.' || copy" if kind == "VARCHAR" else column
    return column
