"""Questions as code: what their files must say, and the SQL that adds their rows up."""

from pathlib import Path

import duckdb
import pytest

from batch.dashboards.questions import DASHBOARDS, Question, by_dashboard, parse, read_questions
from batch.runs.ops_tables import PUBLISHED
from batch.shipped import questions
from stream.errors import SettingsError

HEAD = """
title = "Errors by tool"
answers = "Which tools fail?"
dashboard = "AI Interaction Patterns"
position = 1
display = "bars"
by = "tool"

[columns]
day = "date"
project = "project"
tool = "text"
calls = "count"
failed = "count"

[[measures]]
label = "Failed"
of = "failed"

[[measures]]
label = "Failure rate"
of = "failed"
per = "calls"
unit = "share"
"""
ROWS = """
select * from (values
    (date '2026-01-01', 'a', 'Bash', 10, 1), (date '2026-01-02', 'a', 'Bash', 10, 3),
    (date '2026-01-02', 'b', 'Read', 5, 0), (date '2026-01-02', 'b', 'None', 0, 0)
) as rows (day, project, tool, calls, failed)
"""


def written(head: str = HEAD, query: str = ROWS) -> str:
    """Return the text of a file."""
    return f"/*{head}*/\n{query}"


def test_a_file_is_a_comment_and_a_query() -> None:
    """Front matter and SQL come out of one file."""
    question = parse("errors", written())
    assert ("errors", "Which tools fail?", "bars") == (question.name, question.answers, question.display)
    assert ROWS.strip() == question.query
    assert ["day", "project", "tool"] == question.dimensions
    assert ["calls", "failed"] == question.amounts
    assert ["count", "share"] == [question.unit(measure) for measure in question.measures]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("/*", "", "must begin with a comment"),
        ("position = 1", "position = ", "Invalid value"),
        ("position = 1", "place = 1", "Extra inputs are not permitted"),
        ('answers = "Which tools fail?"', 'answers = "Tools"', "String should match"),
        ('dashboard = "AI Interaction Patterns"', 'dashboard = "Misc"', "dashboard: Input should be"),
        ('tool = "text"', 'tool = "colour"', "columns.tool"),
        ('day = "date"\n', "", "every question has a column `day`"),
        ('project = "project"', 'project = "text"', "every question has a column `project`"),
        ('by = "tool"', 'by = "model"', "`by` and `series` name"),
        ('calls = "count"', 'calls = "count"\nspare = "count"', "the measures use"),
        ('display = "bars"', 'display = "line"', "`by` must be `day`"),
        ('display = "bars"', 'display = "heatmap"', "needs `series`"),
        ('unit = "share"', "", "say its `unit`"),
        ('per = "calls"\nunit = "share"', "quantile = 0.5", "needs both `quantile` and `weight`"),
        ('per = "calls"', 'per = "calls"\nquantile = 0.5\nweight = "calls"', "a quantile and a quotient"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(old: str, new: str, reason: str) -> None:
    """Whatever is missing, unknown or contradictory is named, with the file to mend."""
    with pytest.raises(SettingsError) as caught:
        parse("errors", written().replace(old, new, 1))
    assert "`errors`" in caught.value.message
    assert reason in caught.value.message
    assert "deploy/questions/errors.sql" in caught.value.hint


def test_sums_and_quotients_are_formed_over_all_rows() -> None:
    """A rate is a sum over a sum, no mean of rates, none without a divisor; conditions choose rows before."""
    question = parse("errors", written())
    answer = question.answer("tool")
    assert {("Bash", 4, 0.2), ("Read", 0, 0.0), ("None", 0, None)} == set(duckdb.sql(answer).fetchall())
    chosen = question.answer(where="day >= date '2026-01-02' and project = 'a'")
    assert [(3, 0.3)] == duckdb.sql(chosen).fetchall()


def test_a_quantile_counts_each_value_as_often_as_it_occurred() -> None:
    """Half of 100 calls took at most 10 ms, though most of the different values are larger."""
    head = HEAD.replace('failed = "count"', 'failed = "milliseconds"').replace(
        'of = "failed"\nper = "calls"\nunit = "share"', 'of = "failed"\nquantile = 0.5\nweight = "calls"'
    )
    rows = """
    select * from (values
        (date '2026-01-01', 'a', 'Bash', 60, 10), (date '2026-01-02', 'b', 'Bash', 20, 50),
        (date '2026-01-02', 'a', 'Bash', 20, 90)
    ) as rows (day, project, tool, calls, failed)
    """
    assert [("Bash", 150, 10)] == duckdb.sql(parse("latency", written(head, rows)).answer("tool")).fetchall()


def test_questions_come_in_the_order_of_their_dashboards(tmp_path: Path) -> None:
    """Dashboards have a fixed order; within one the position decides."""
    for name, dashboard, position in (("a", "Spend", 1), ("b", "Overview", 2), ("c", "Overview", 1)):
        head = HEAD.replace("AI Interaction Patterns", dashboard).replace(
            "position = 1", f"position = {position}"
        )
        (tmp_path / f"{name}.sql").write_text(written(head), encoding="utf-8")
    read = read_questions(tmp_path)
    assert ["c", "b", "a"] == [question.name for question in read]
    assert [("Overview", 2), ("Spend", 1)] == [(name, len(members)) for name, members in by_dashboard(read)]


def test_two_questions_cannot_have_one_place(tmp_path: Path) -> None:
    """A place taken twice is an error that names both."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.sql").write_text(written(), encoding="utf-8")
    with pytest.raises(SettingsError, match="`a` and `b` have the same place"):
        read_questions(tmp_path)


@pytest.fixture(scope="module")
def shipped() -> list[Question]:
    """Return the questions that ship with the program."""
    return list(read_questions(questions()))


def test_every_dashboard_has_questions(shipped: list[Question]) -> None:
    """At least twenty fill all dashboards; a reader can name a chart by its title."""
    assert list(DASHBOARDS) == [name for name, _ in by_dashboard(shipped)]
    assert 20 <= len(shipped) == len({question.title for question in shipped})


def test_questions_read_only_what_is_published(shipped: list[Question]) -> None:
    """Of projects the marts tell, of the platform `ops`: so queries run on the views that readers open."""
    for question in shipped:
        tables = duckdb.get_table_names(question.query, qualified=True)
        assert tables, question.name
        schema = "marts" if question.has_projects or question.spans_projects else "ops"
        assert {schema} == {table.split(".")[0] for table in tables}, question.name
        assert schema == "marts" or {table.split(".")[1] for table in tables} <= set(PUBLISHED), question.name


def test_only_questions_about_the_platform_or_all_projects_may_know_none() -> None:
    """Everywhere else a filter by project must find something to filter by."""
    head = HEAD.replace('project = "project"\n', "")
    with pytest.raises(SettingsError, match="a column `project` of kind `project`"):
        parse("errors", written(head))
    of_platform = head.replace("AI Interaction Patterns", "Pipeline Health")
    for may in (of_platform, f"spans_projects = true{head}"):
        question = parse("errors", written(may))
        assert (False, ["day", "tool"]) == (question.has_projects, question.dimensions)
