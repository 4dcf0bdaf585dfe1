"""Days of the report lie within the years a calendar here has."""

from datetime import date

import duckdb
import pytest

from batch.dashboards.report.figures import _within_years


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("date '0001-01-01' - 1", date.min),
        ("date '9999-12-31' + 1", date.max),
        ("date '2026-01-03'", date(2026, 1, 3)),
        ("null::date", None),
    ],
    ids=["west of Greenwich in year 1", "east of it in 9999", "any day", "no day"],
)
def test_a_day_is_one_that_a_calendar_has(day: str, expected: date | None) -> None:
    """A line of year 1 is of the year before in a zone west of Greenwich: shown on the first day there is."""
    assert [(expected,)] == duckdb.sql(f"select {_within_years('day')} from (select {day} as day)").fetchall()
