"""Values as literals of Spark SQL, where a backslash escapes; and conditions written for DuckDB."""

import re
from collections.abc import Iterable

_TEXT = re.compile(r"'((?:[^']|'')*)'")
"""A text literal as `stream.sql` writes it."""


def literal(text: str) -> str:
    """Write a text as Spark reads it; nothing in it can end the literal.

    Before it parses a statement, Spark puts values of settings and of the environment in place of `${name}`.
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("$", "\\u0024")
    return f"'{escaped}'"


def literals(texts: Iterable[str]) -> str:
    """Write a list for `in`; one that nothing equals if there are none."""
    return f"({', '.join(map(literal, texts)) or 'null'})"


def from_duckdb(condition: str) -> str:
    """Return a condition of comparisons, as `stream.sql` makes its literals, for Spark."""
    translated = _TEXT.sub(lambda found: literal(found[1].replace("''", "'")), condition)
    return translated.replace("timestamptz '", "timestamp '")
