"""The SQL of Metabase's cards: variables, steps of time, names of projects, folds, orders."""

from typing import Any

import duckdb
import pytest

from batch.dashboards.metabase.statements import PROJECT_LIST, number_statement, statement, variables_of
from batch.dashboards.questions import Question, read_questions
from batch.shipped import questions
from tests.support.metabase_templates import substituted


@pytest.fixture
def marts() -> duckdb.DuckDBPyConnection:
    """Return a database with three projects, two of the same name."""
    connection = duckdb.connect()
    connection.execute(
        """
        create schema marts;
        create table marts.dim_projects as
        select * from (values ('/a/shop', 'shop'), ('/b/shop', 'shop'), ('/c/infra', 'infra'))
            as projects (project_id, project_name);
        """
    )
    return connection


def question(display: str, by: str = "tool", **fields: Any) -> Question:
    """Return a question on rows made by hand: 10 tools, tool n called n times, by turns in the projects."""
    query = """
    select
        date '2026-01-01' + cast(range as int) * coalesce(getvariable('gap'), 1) as day,
        ['/a/shop', '/b/shop', '/c/infra'][1 + range % 3] as project,
        'tool ' || range as tool,
        range as calls
    from range(1, 11)
    """
    described = {
        "name": "calls",
        "title": "Calls",
        "answers": "How many?",
        "dashboard": "Overview",
        "position": 1,
        "columns": {"day": "date", "project": "project", "tool": "text", "calls": "count"},
        "measures": [{"label": "Calls", "of": "calls"}],
        "display": display,
        "by": by,
        "query": query,
    }
    return Question.model_validate(described | fields)


def asked(marts: duckdb.DuckDBPyConnection, text: str, **values: str) -> list[tuple[Any, ...]]:
    """Run a card's query as Metabase would."""
    kinds = {"from": "date", "to": "date", "project": "text"}
    return marts.execute(*substituted(text, kinds, values)).fetchall()


def test_without_values_everything_is_shown(marts: duckdb.DuckDBPyConnection) -> None:
    """The largest bar comes first, and no more bars than fit."""
    rows = asked(marts, statement(question("bars", top=3)))
    assert [("tool 10", 10), ("tool 9", 9), ("tool 8", 8)] == rows


def test_days_and_project_choose_rows(marts: duckdb.DuckDBPyConnection) -> None:
    """Both days are included; a project is called by the name that it is shown with."""
    text = statement(question("bars"))
    chosen = asked(marts, text, **{"from": "2026-01-03", "to": "2026-01-05"})
    assert ["tool 4", "tool 3", "tool 2"] == [tool for tool, _ in chosen]
    assert ["tool 8", "tool 5", "tool 2"] == [tool for tool, _ in asked(marts, text, project="infra")]


def test_a_question_without_projects_is_asked_without(marts: duckdb.DuckDBPyConnection) -> None:
    """Where nothing tells projects apart, days alone choose."""
    asked_of_all = question("bars").model_copy(
        update={"columns": {"day": "date", "tool": "text", "calls": "count"}}
    )
    assert ("from", "to") == variables_of(asked_of_all)
    text = statement(asked_of_all)
    assert "project" not in text.replace(asked_of_all.query, "")
    chosen = asked(marts, text, **{"from": "2026-01-03", "to": "2026-01-04"})
    assert ["tool 3", "tool 2"] == [tool for tool, _ in chosen]


def test_projects_of_one_name_are_called_by_their_whole_path(marts: duckdb.DuckDBPyConnection) -> None:
    """Two folders `shop` are two projects, in charts and among the values of the filter."""
    assert [("/a/shop",), ("/b/shop",), ("infra",)] == asked(marts, PROJECT_LIST)
    rows = asked(marts, statement(question("table", series="project")), project="/b/shop")
    assert [("tool 10", "/b/shop", 10), ("tool 7", "/b/shop", 7)] == rows[:2]


@pytest.mark.parametrize(
    ("gap", "first", "steps"),
    [(1, "2026-01-02", 10), (10, "2026-01-05", 10), (60, "2026-03-01", 10), (6, "2026-01-07", 10)],
    ids=["days", "weeks", "months", "still days"],
)
def test_steps_grow_with_the_time_shown(
    marts: duckdb.DuckDBPyConnection, gap: int, first: str, steps: int
) -> None:
    """Up to two months by day, up to 14 months by week from Monday, then by month."""
    marts.execute(f"set variable gap = {gap}")
    rows = asked(marts, statement(question("columns", by="day", series="tool")))
    assert first == str(rows[0][0])
    assert steps == len({day for day, *_ in rows})


def test_a_grain_of_its_own_is_kept(marts: duckdb.DuckDBPyConnection) -> None:
    """A question by month stays one, however little is shown."""
    rows = asked(marts, statement(question("columns", by="day", series="tool", grain="month")))
    assert {"2026-01-01"} == {str(day) for day, *_ in rows}


def test_small_series_become_one(marts: duckdb.DuckDBPyConnection) -> None:
    """Eight series are told apart; the two smallest are `other`, and nothing is lost."""
    rows = asked(marts, statement(question("columns", by="day", series="tool", grain="month")))
    found = {tool: calls for _, tool, calls in rows}
    assert 9 == len(found)
    assert 3 == found["other"]
    assert 55 == sum(found.values())


def test_a_natural_order_is_kept(marts: duckdb.DuckDBPyConnection) -> None:
    """Values that have an order are not sorted by size."""
    order = tuple(f"tool {number}" for number in range(1, 11))
    assert list(order) == [tool for tool, _ in asked(marts, statement(question("bars", order=order)))]


def test_a_big_number_is_one_value(marts: duckdb.DuckDBPyConnection) -> None:
    """One row with one column, under the name of the figure."""
    numbers = question("numbers", by="day", columns={"day": "date", "project": "project", "calls": "count"})
    text = number_statement(numbers, numbers.measures[0])
    assert [(55,)] == asked(marts, text)
    assert [(15,)] == asked(marts, text, project="infra")


def test_hours_lie_side_by_side(marts: duckdb.DuckDBPyConnection) -> None:
    """A heat map is a row for each day of the week, also for those without any work."""
    columns = {"day": "date", "project": "project", "weekday": "weekday", "hour": "hour", "spent": "hours"}
    heat = question(
        "heatmap",
        by="hour",
        series="weekday",
        columns=columns,
        measures=[{"label": "Time", "of": "spent"}],
        query="select date '2026-01-05' as day, '/a/shop' as project, 1 as weekday, 9 as hour, 2.5 as spent",
    )
    rows = asked(marts, statement(heat))
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    assert days == [day for day, *_ in rows]
    assert 2.5 == float(rows[0][1 + 9])
    assert 2.5 == sum(float(hour) for row in rows for hour in row[1:])


def test_no_question_writes_what_metabase_would_take_for_its_own() -> None:
    """Double braces and brackets mean variables there, and a question mark a parameter of the driver."""
    for each in read_questions(questions()):
        for sign in ("{{", "[[", "]]", "?"):
            assert sign not in each.query, each.name
