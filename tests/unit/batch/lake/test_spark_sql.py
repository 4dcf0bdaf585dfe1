"""Text in Spark SQL: nothing in it can end its literal."""

import pytest

from batch.lake.spark_sql import from_duckdb, literal, literals
from stream import sql

NASTY = "it's a \\ 'quote'"


def test_quotes_and_backslashes_are_escaped() -> None:
    """A backslash is itself, not the beginning of something else."""
    assert r"'it\'s a \\ \'quote\''" == literal(NASTY)
    assert "('a', 'b')" == literals(["a", "b"])
    assert "(null)" == literals([])


def test_nothing_is_put_in_place_of_a_name() -> None:
    """Else a key would be read as a setting, or as what the environment holds under that name."""
    assert r"'\u0024{env:HOME} \u0024x'" == literal("${env:HOME} $x")


@pytest.mark.parametrize(
    ("condition", "translated"),
    [
        (f"_id >= {sql.literal(NASTY)}", rf"_id >= {literal(NASTY)}"),
        ("_id >= '' and _id < 'g'", "_id >= '' and _id < 'g'"),
        ("x >= timestamptz '2026-01-01T00:00:00+00:00'", "x >= timestamp '2026-01-01T00:00:00+00:00'"),
    ],
    ids=["text", "empty text", "instant"],
)
def test_conditions_of_duckdb(condition: str, translated: str) -> None:
    """The same comparison, in the other dialect."""
    assert from_duckdb(condition) == translated
