"""The reader of Metabase's templates: what it binds, and what it refuses."""

import datetime as dt

import pytest

from tests.support.metabase_templates import TemplateError, substituted, variables

QUERY = (
    "select 1 where true [[and day >= {{from}}]] [[and day between {{ from }} and {{to}}]] "
    "and p = {{project}}"
)
KINDS = {"from": "date", "to": "date", "project": "text"}


def test_values_are_bound_in_the_order_of_the_text() -> None:
    """A variable that occurs twice is bound twice; parts without a value are left out whole."""
    text, bound = substituted(QUERY, KINDS, {"project": "x", "to": "", "from": "2026-01-02"})
    assert ["select", "1", "where", "true", "and", "day", ">=", "?", "and", "p", "=", "?"] == text.split()
    assert [dt.date(2026, 1, 2), "x"] == bound
    assert {"from", "to", "project"} == variables(QUERY)


def test_comments_are_text() -> None:
    """Nothing is bound in them."""
    assert ("-- {{a}}\n/* [[ */ ?", ["x"]) == substituted(
        "-- {{a}}\n/* [[ */ {{b}}", {"b": "text"}, {"b": "x"}
    )


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("select {{", "is no variable"),
        ("select {{a b}}", "is no variable"),
        ("select a}}", "without"),
        ("select [[ {{a}}", "without"),
        ("select [[ [[ {{a}} ]] ]]", "within another"),
        ("select [[1, 2], [3]]", "without a variable"),
        ("select {{a}}", "no value for `a`"),
    ],
)
def test_what_metabase_cannot_read_is_refused(query: str, why: str) -> None:
    """As its own parser does; a list of lists is a trap."""
    with pytest.raises(TemplateError, match=why):
        substituted(query, {}, {})
