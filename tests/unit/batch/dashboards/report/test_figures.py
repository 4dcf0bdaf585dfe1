"""How a report's rows are packed, names shortened, and text kept from becoming HTML."""

import json
from datetime import UTC, date, datetime

import pytest

from batch.dashboards.questions import Question, parse
from batch.dashboards.report.figures import Figures, pack, short_names
from batch.dashboards.report.page import embedded_json, render

FIRST_DAY = date(2026, 1, 1)
QUESTION = """/*
title = "Calls <by> tool"
answers = "Which & how?"
dashboard = "Spend"
position = 1
display = "bars"
by = "tool"
note = "Watch <this>."
[columns]
day = "date"
project = "project"
tool = "text"
calls = "count"
[[measures]]
label = "Calls"
of = "calls"
*/
select 1
"""


@pytest.fixture
def question() -> Question:
    """Return a question with one text dimension."""
    return parse("calls", QUESTION)


def packed(question: Question, *rows: tuple[object, ...], row_limit: int = 100) -> dict[str, object]:
    """Pack rows of two projects, `a` and `b`."""
    return pack(question, rows, first_day=FIRST_DAY, project_places={"a": 0, "b": 1}, row_limit=row_limit)


def test_rows_are_packed_by_column(question: Question) -> None:
    """Days become numbers, each text is there once, whole numbers have no point."""
    rows = [
        (date(2026, 1, 3), "b", "Bash", 2.0),
        (date(2026, 1, 1), "a", None, 0.12345678),
        (date(2026, 1, 1), "a", "Bash", None),
    ]
    expected = {
        "day": [2, 0, 0],
        "project": [1, 0, 0],
        "tool": {"values": ["Bash", "unknown"], "at": [0, 1, 0]},
        "calls": [2, 0.123457, 0],
    }
    assert expected == packed(question, *rows)
    assert "2,0.123457,0" in json.dumps(packed(question, *rows)["calls"], separators=(",", ":"))


def test_too_many_rows_keep_the_heaviest_names(question: Question) -> None:
    """Past the limit rare names become `other`: the sum stays, day and project stay."""
    rows = [(FIRST_DAY, "ab"[number % 2], f"tool {number}", number) for number in range(1, 101)]
    found = packed(question, *rows, row_limit=30)
    tools = found["tool"]
    assert isinstance(tools, dict)
    assert {f"tool {number}" for number in range(91, 101)} | {"other"} == set(tools["values"])
    assert sum(range(1, 101)) == sum(found["calls"])  # type: ignore[call-overload]
    assert 12 == len(found["day"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("projects", "expected"),
    [
        (["/home/ana/shop", "/home/ana/blog"], ["shop", "blog"]),
        (["/home/ana/shop", "/home/kim/shop", "/x/blog"], ["ana/shop", "kim/shop", "blog"]),
        (["C:\\Users\\kim\\shop", "C:/Users/kim/blog/"], ["shop", "blog"]),
        (["/shop", "shop"], ["/shop", "shop"]),
        (["", "-encoded-name"], ["", "-encoded-name"]),
    ],
    ids=["last part", "same last part", "windows", "one is the other's end", "no path"],
)
def test_projects_have_short_names_of_their_own(projects: list[str], expected: list[str]) -> None:
    """A project is called by as much of its path's end as tells it from the others."""
    assert expected == short_names(projects)


@pytest.mark.parametrize("text", ["</script><script>", "<!--", "&lt;", "\u2028\u2029", "\ud800 half", "ö 💬"])
def test_embedded_json_says_the_same_and_holds_no_markup(text: str) -> None:
    """Nothing inside a `<script>` can end it, and what is read back is what was written."""
    written = embedded_json({text: [text]})
    assert {text: [text]} == json.loads(written)
    assert not set(written) & set("<>&\u2028\u2029")
    assert written.encode("utf-8")


def test_what_a_question_says_is_escaped(question: Question) -> None:
    """Titles and notes are text in the page's own markup, too."""
    page = render(figures(question))
    assert "Calls &lt;by&gt; tool" in page
    assert "Which &amp; how?" in page
    assert "Watch &lt;this&gt;." in page
    assert "<by>" not in page


def test_a_report_without_any_rows_is_a_page(question: Question) -> None:
    """Before the first conversation the report says that there is nothing yet."""
    assert "no data yet" in render(figures(question))


def figures(question: Question) -> Figures:
    """Return the figures of an empty database."""
    return Figures(
        questions=[question],
        rows={question.name: packed(question)},
        projects=[],
        project_names=[],
        first_day=None,
        last_day=None,
        made_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
