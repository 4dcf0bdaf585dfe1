"""Takes a conversation out of the warehouse, and counts what is left of it there and in published builds."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import duckdb

from batch.maintenance.pruning import prune_changed_lines
from batch.purge.target import PURGED, Target
from stream import sql
from stream.warehouse.load import BULK_ROWS, one_row

_RUNS = "schema_name = 'ops' and table_name = 'runs'"
_TOLD = ("error", "hint")
"""Columns of `ops.runs` that may hold an id."""


def has_marts(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the star schema has been built."""
    return bool(_tables(connection, "schema_name = 'marts'"))


def forget(connection: duckdb.DuckDBPyConnection, target: Target, *, now: datetime) -> int:
    """Delete its rows from `raw`, noted like a load that does so, so that marts follow; give how many."""
    source = f"raw.conversations where {target.is_row_of_it}"
    (rows,) = one_row(connection, f"select count(*) from {source}")
    if not rows:
        return 0
    is_bulk = rows >= BULK_ROWS
    connection.begin()
    (load_id,) = one_row(connection, "select coalesce(max(load_id), 0) + 1 from raw.loads")
    load = sql.rows([(load_id, now, 0, 0, rows, is_bulk)])
    connection.execute(f"insert into raw.loads values {load}")
    if not is_bulk:
        connection.execute(
            f"""
            insert into raw.changed_lines
            select distinct
                {load_id}, session_id, source_file, uuid, json_extract_string(message_raw, '$.id')
            from {source}
            """
        )
    connection.execute(f"delete from {source}")
    connection.commit()
    return int(rows)


def forget_notes(connection: duckdb.DuckDBPyConnection, target: Target) -> None:
    """Delete what loads and models have noted about conversations: all marts are up to date, or none is.

    From what failed runs have told, the id alone is taken.
    """
    if has_marts(connection):
        prune_changed_lines(connection)
    else:  # the first build is a whole one
        connection.execute("delete from raw.changed_lines")
    if _tables(connection, "schema_name = 'ops' and table_name = 'model_changes'"):
        connection.execute("delete from ops.model_changes")
    if _tables(connection, _RUNS):
        pattern, blank = sql.literal(target.pattern), sql.literal(rf"\1{PURGED}\2")
        told = ", ".join(f"{column} = regexp_replace({column}, {pattern}, {blank}, 'g')" for column in _TOLD)
        connection.execute(f"update ops.runs set {told}")


def rows_left(connection: duckdb.DuckDBPyConnection, target: Target) -> int:
    """Count its rows in all tables of the warehouse."""
    (raw,) = one_row(connection, f"select count(*) from raw.conversations where {target.is_row_of_it}")
    named = connection.execute(
        "select schema_name, table_name from duckdb_columns() where database_name = current_database() "
        f"and not internal and column_name = '{target.column}' "
        "and (schema_name, table_name) in (select (schema_name, table_name) from duckdb_tables())"
    ).fetchall()
    told = _holding(connection, "ops.runs", _TOLD, target) if _tables(connection, _RUNS) else 0
    return (
        int(raw)
        + told
        + sum(
            _named(connection, f"{sql.identifier(schema)}.{sql.identifier(table)}", target)
            for schema, table in named
            if (schema, table) != ("raw", "conversations")
        )
    )


def mentions(connection: duckdb.DuckDBPyConnection, target: Target) -> int:
    """Count lines of other conversations that hold the id somewhere: forks, and who wrote about it."""
    others = f"(from raw.conversations where not {target.is_row_of_it})"
    return _holding(connection, others, ("source_file", "message_raw", "extra"), target)


def rows_in_builds(builds: Iterable[Path], target: Target) -> int:
    """Count its rows in published builds."""
    found = 0
    with duckdb.connect() as connection:
        for path in (path for build in builds for path in build.glob("*.parquet")):
            table = f"read_parquet({sql.literal(str(path))})"
            columns = {name for name, *_ in connection.execute(f"describe select * from {table}").fetchall()}
            if target.column in columns:
                found += _named(connection, table, target)
    return found


def _holding(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Iterable[str], target: Target
) -> int:
    """Count the rows that hold the id in the text of one of some columns."""
    pattern = sql.literal(target.pattern)
    holds = " or ".join(f"regexp_matches(coalesce({column}, ''), {pattern})" for column in columns)
    (found,) = one_row(connection, f"select count(*) from {table} where {holds}")
    return int(found)


def _named(connection: duckdb.DuckDBPyConnection, table: str, target: Target) -> int:
    where = f"{sql.identifier(target.column)} = {sql.literal(target.id)}"
    (found,) = one_row(connection, f"select count(*) from {table} where {where}")
    return int(found)


def _tables(connection: duckdb.DuckDBPyConnection, condition: str) -> list[tuple[str, ...]]:
    return connection.execute(
        f"select table_name from duckdb_tables() where database_name = current_database() and {condition}"
    ).fetchall()
