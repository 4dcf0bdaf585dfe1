"""Values as SQL literals: as parameters they would make DuckDB import pandas, 60 MB and half a second."""

from collections.abc import Iterable, Sequence
from datetime import datetime

Value = str | int | bool | datetime | None


def literal(value: Value) -> str:
    """Write a value as DuckDB reads it; text is quoted, so nothing in it can end the literal."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return f"timestamptz {literal(value.isoformat())}"
    return "'" + value.replace("'", "''") + "'"


def array(values: Iterable[Value]) -> str:
    """Write a list."""
    return f"[{', '.join(literal(value) for value in values)}]"


def rows(values: Iterable[Sequence[Value]]) -> str:
    """Write rows for `values`."""
    return ", ".join(f"({', '.join(literal(value) for value in row)})" for row in values)


def identifier(name: str) -> str:
    """Quote the name of a table, column or schema."""
    return '"' + name.replace('"', '""') + '"'
