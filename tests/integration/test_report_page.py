"""The report in a real browser: drawn, filtered, told in tables, on every screen."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from batch.dashboards.questions import Question, read_questions
from batch.dashboards.report.write import write_report
from batch.shipped import questions
from tests.support.browser import Page, browsing, chromium
from tests.support.marts import MartsWarehouse

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 7, 12, tzinfo=UTC)
QUESTIONS = {question.name: question for question in read_questions(questions())}
CHARTS = [name for name, question in QUESTIONS.items() if question.display not in {"numbers", "table"}]
DRAWN = "document.documentElement.dataset.ready === 'true'"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Return a browser; skips where there is none."""
    program = chromium()
    if program is None:
        pytest.skip("no chromium on the PATH")
    with browsing(program, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def report(sample_marts: MartsWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of the sample."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    with duckdb.connect(sample_marts.path, read_only=True) as connection:
        write_report(connection, path, now=NOW)
    return path


@pytest.fixture
def page(browser: Page, report: Path) -> Page:
    """Return the report, freshly opened on a desktop."""
    browser.problems.clear()
    browser.requests.clear()
    browser.open(report)
    return browser


def select(page: Page, script: str) -> None:
    """Do something to the filters and wait until everything is drawn anew."""
    page.evaluate(script)
    page.wait_for(DRAWN)


def numbers(page: Page, name: str = "headline") -> list[float]:
    """Return the big numbers of a dashboard."""
    cards = f"[...document.querySelectorAll('[data-question={name}] .number')]"
    found: list[float] = json.loads(
        page.evaluate(f"JSON.stringify({cards}.map((each) => Number(each.dataset.value)))")
    )
    return found


def table(page: Page, name: str) -> dict[str, list[str]]:
    """Return the table behind a chart, or the table itself: first cell of each row, and the other cells."""
    page.evaluate(
        f"document.querySelectorAll('[data-question={name}] details').forEach((each) => each.open = true)"
    )
    cells = f"[...document.querySelectorAll('[data-question={name}] tbody tr')]"
    script = f"JSON.stringify({cells}.map((row) => [...row.children].map((cell) => cell.textContent)))"
    page.wait_for(f"{cells}.length > 0")
    return {row[0]: row[1:] for row in json.loads(page.evaluate(script))}


def answered(
    marts: MartsWarehouse, question: Question, *by: str, where: str = "true"
) -> list[tuple[Any, ...]]:
    """Ask the warehouse what the page should show."""
    return marts.rows(question.answer(*by, where=where))


def test_it_opens_without_a_complaint(page: Page, report: Path) -> None:
    """No error, no warning, and nothing is asked for but the file itself."""
    assert [] == page.problems
    assert {report.as_uri()} == {url for url in page.requests if not url.startswith("data:")}


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "light"), (1440, "dark")])
def test_every_chart_is_drawn(browser: Page, report: Path, width: int, scheme: str) -> None:
    """On phone and desk, by day and by night, each chart has shapes and nothing sticks out."""
    browser.problems.clear()
    browser.open(report, width=width, scheme=scheme)
    script = """JSON.stringify([...document.querySelectorAll('figure')].filter((each) => !each.hidden && !(
        each.querySelector('.chart') ? each.querySelectorAll('.chart svg path').length
        : each.querySelectorAll('tbody tr').length > 0)).map((each) => each.dataset.question))"""
    assert [] == json.loads(browser.evaluate(script))
    assert scheme == browser.evaluate("document.documentElement.dataset.theme")
    assert width == browser.evaluate("document.documentElement.scrollWidth")
    assert [] == browser.problems


@pytest.mark.parametrize("width", [340, 390, 820, 1440])
def test_no_legend_runs_into_its_chart(browser: Page, report: Path, width: int) -> None:
    """However many rows a legend has, every axis label and value stands below it."""
    browser.open(report, width=width)
    script = """(() => {
        const { questions, projects } = JSON.parse(document.getElementById('data').textContent);
        const boxes = (texts) => texts.map((each) => each.getBoundingClientRect());
        return JSON.stringify([...document.querySelectorAll('figure:not([hidden])')].map((figure) => {
            const question = questions[figure.dataset.question];
            const names = question.series === 'project' ? projects.map((each) => each.name)
                : question.series ? question.rows[question.series].values
                : question.measures.map((each) => each.label);
            if (question.series) names.push('other');
            const isName = (text) => names.some((name) => text.endsWith('...')
                ? String(name).startsWith(text.slice(0, -3)) : String(name) === text);
            const texts = [...figure.querySelectorAll('.chart svg text')];
            const legend = boxes(texts.filter((each) => isName(each.textContent)));
            const others = boxes(texts.filter((each) => !isName(each.textContent)));
            const rows = new Set(legend.map((each) => Math.round(each.top))).size;
            const bottom = Math.max(...legend.map((each) => each.bottom));
            return [figure.dataset.question, rows, others.every((each) => each.top >= bottom - 1)];
        }).filter(([name]) => questions[name].display !== 'heatmap'));
    })()"""
    legends = json.loads(browser.evaluate(script))
    assert [] == [name for name, rows, is_clear in legends if rows and not is_clear]
    most_rows = max(rows for _, rows, _ in legends)
    assert most_rows >= (3 if width < 400 else 1)


def test_big_numbers_equal_the_warehouse(page: Page, sample_marts: MartsWarehouse) -> None:
    """Spend, tokens, time, conversations, prompts and lines are those of the SQL."""
    (expected,) = answered(sample_marts, QUESTIONS["headline"])
    assert pytest.approx(numbers(page), abs=1e-3) == [float(each) for each in expected]


def test_filters_change_the_numbers_to_those_of_the_warehouse(
    page: Page, sample_marts: MartsWarehouse
) -> None:
    """A choice of days and then of a project leaves what SQL leaves under the same conditions."""
    select(page, "document.querySelector('[data-days=\"30\"]').click()")
    where = "day > date '2026-11-06' - 30"
    (expected,) = answered(sample_marts, QUESTIONS["headline"], where=where)
    assert pytest.approx(numbers(page), abs=1e-3) == [float(each) for each in expected]
    select(
        page,
        "[...document.querySelectorAll('#projects label')]"
        ".find((each) => each.title.endsWith('tideline')).click()",
    )
    where += " and project like '%/tideline'"
    (expected,) = answered(sample_marts, QUESTIONS["headline"], where=where)
    assert pytest.approx(numbers(page), abs=1e-3) == [float(each) for each in expected]
    assert "tideline" == page.evaluate("document.getElementById('project-choice').textContent")
    calls = answered(sample_marts, QUESTIONS["tools_used"], "tool", where=where)
    assert {tool: f"{succeeded:,}" for tool, succeeded, *_ in calls} == {
        tool: cells[0] for tool, cells in table(page, "tools_used").items()
    }


def test_the_platform_is_told_whatever_is_selected(page: Page, sample_marts: MartsWarehouse) -> None:
    """Runs have other days than conversations, and no projects: the filters leave them alone."""
    (expected,) = answered(sample_marts, QUESTIONS["platform_at_a_glance"])
    assert [float(each) for each in expected] == numbers(page, "platform_at_a_glance")
    select(page, "document.querySelector('[data-days=\"7\"]').click()")
    select(page, "document.querySelector('#projects input').click()")
    assert [float(each) for each in expected] == numbers(page, "platform_at_a_glance")
    steps = answered(sample_marts, QUESTIONS["steps_by_outcome"], "step")
    shown = table(page, "steps_by_outcome")
    assert ["extract", "load", "transform", "validate", "publish", "maintain"] == list(shown)
    assert {step: f"{succeeded:,}" for step, succeeded, *_ in steps} == {
        step: cells[0] for step, cells in shown.items()
    }


def test_dates_typed_by_hand_are_taken(page: Page, sample_marts: MartsWarehouse) -> None:
    """From and to choose days, both included, whichever is typed first."""
    for name, day in (("from", "2026-10-05"), ("to", "2026-10-18")):
        field = f"document.getElementById('{name}')"
        select(page, f"{field}.value = '{day}'; {field}.dispatchEvent(new Event('change'))")
    where = "day between date '2026-10-05' and date '2026-10-18'"
    (expected,) = answered(sample_marts, QUESTIONS["headline"], where=where)
    assert pytest.approx(numbers(page), abs=1e-3) == [float(each) for each in expected]


def test_quantiles_and_quotients_equal_the_warehouse(page: Page, sample_marts: MartsWarehouse) -> None:
    """What cannot be added up is formed in the page as in SQL."""
    expected = answered(sample_marts, QUESTIONS["tool_latency"], "tool")
    shown = table(page, "tool_latency")
    assert {tool for tool, *_ in expected} == set(shown)
    for tool, p95, _, calls in expected:
        assert f"{calls:,}" == shown[tool][2]
        if p95 < 1000:
            assert f"{p95} ms" == shown[tool][0]
    rates = {tool: cells[4] for tool, cells in table(page, "tools_used").items()}
    for tool, *_, rate, _ in answered(sample_marts, QUESTIONS["tools_used"], "tool"):
        expected_rate = "\N{EN DASH}" if rate is None else f"{100 * rate:.1f}".removesuffix(".0") + "%"
        assert expected_rate == rates[tool], tool


def test_each_chart_has_a_table_behind_it(page: Page) -> None:
    """Whoever cannot see the charts reads their figures, under their names."""
    for name in CHARTS:
        assert table(page, name), name
        label = f"document.querySelector('[data-question={name}] table').getAttribute('aria-label')"
        assert QUESTIONS[name].title == page.evaluate(label)


def test_time_runs_without_gaps(page: Page) -> None:
    """A day without any work stands in the table, too."""
    days = (date(2026, 11, 6) - date(2026, 9, 28)).days + 1
    assert days == len(table(page, "conversations_over_time"))


def test_headings_are_in_order(page: Page) -> None:
    """One title, a heading for each dashboard, one for each chart: no level is skipped."""
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map((each) => each.tagName[1]).join('')"
    )
    assert levels.startswith("12")
    assert 1 == levels.count("1")
    assert "13" not in levels
    big = [question for question in QUESTIONS.values() if question.display == "numbers"]
    assert len(QUESTIONS) - len(big) + sum(len(question.measures) for question in big) == levels.count("3")


def test_paper_has_two_columns_that_fit(browser: Page, report: Path) -> None:
    """From a phone as from a desk charts are printed for A4 across, light; afterwards all is as before."""
    for width, scheme in ((390, "dark"), (1440, "light")):
        browser.open(report, width=width, scheme=scheme)
        browser.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert "light" == browser.evaluate("document.documentElement.dataset.theme")
        script = """JSON.stringify([...document.querySelectorAll('figure:not([hidden]) .chart svg')]
            .map((each) => [each.getBoundingClientRect(), each.closest('figure')])
            .filter(([chart, figure]) => chart.right > figure.getBoundingClientRect().right
                || chart.width < figure.clientWidth - 60)
            .map(([, figure]) => figure.dataset.question))"""
        assert [] == json.loads(browser.evaluate(script))
        assert 1030 == browser.evaluate("document.querySelector('main').getBoundingClientRect().width")
        browser.evaluate("dispatchEvent(new Event('afterprint'))")
        browser.wait_for(DRAWN)
        assert scheme == browser.evaluate("document.documentElement.dataset.theme")
        assert width == browser.evaluate("document.documentElement.scrollWidth")


def test_tables_scroll_with_the_page(browser: Page, report: Path) -> None:
    """On a phone no table has a window of its own until all of its rows are asked for."""
    browser.open(report, width=390)
    script = """JSON.stringify([...document.querySelectorAll('.is-table .table:not([hidden])')]
        .filter((each) => each.scrollHeight > each.clientHeight + 1)
        .map((each) => each.getAttribute('aria-label')))"""
    assert [] == json.loads(browser.evaluate(script))
    select(browser, "document.querySelector('[data-question=most_changed_files] .more').click()")
    assert ["Table: Most changed files"] == json.loads(browser.evaluate(script))


def test_long_names_are_short_where_they_are_drawn(page: Page) -> None:
    """A pull request loses its host, a tool is called by server and tool; its table keeps the whole name."""
    assert all("://" not in name for name in table(page, "pull_requests"))
    drawn = page.evaluate("document.querySelector('[data-question=tool_latency] .chart').textContent")
    assert "postgres · query" in drawn
    assert "mcp__postgres__query" in table(page, "tool_latency")


def test_the_switch_changes_the_theme(page: Page) -> None:
    """One click turns light into dark, charts included."""
    script = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(script)
    select(page, "document.getElementById('theme').click()")
    assert "dark" == page.evaluate("document.documentElement.dataset.theme")
    assert before != page.evaluate(script)
    select(page, "document.getElementById('theme').click(); localStorage.clear()")
    assert "light" == page.evaluate("document.documentElement.dataset.theme")


def test_a_report_without_data_says_so(browser: Page, sample_marts: MartsWarehouse, tmp_path: Path) -> None:
    """Before the first conversation nothing is drawn, and nothing breaks."""
    copy = tmp_path / "copy.duckdb"
    shutil.copy(sample_marts.path, copy)
    with duckdb.connect(copy) as connection:
        for (name,) in connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'marts'"
        ).fetchall():
            connection.execute(f"delete from marts.{name}")
        write_report(connection, tmp_path / "empty.html", now=NOW)
    browser.problems.clear()
    browser.open(tmp_path / "empty.html")
    assert [0.0] * len(QUESTIONS["headline"].measures) == numbers(browser)
    assert "no data yet" in browser.evaluate("document.body.innerText")
    assert "Nothing in this selection." in browser.evaluate("document.body.innerText")
    assert [] == browser.problems


def test_hostile_names_stay_text(browser: Page, sample_marts: MartsWarehouse, tmp_path: Path) -> None:
    """A project named like HTML is shown letter by letter, in charts, tips, tables and the menu."""
    hostile = "<img src=x onerror=window.pwned=1>{a|b}<!--</script><script>window.pwned=2"
    copy = tmp_path / "copy.duckdb"
    shutil.copy(sample_marts.path, copy)
    with duckdb.connect(copy) as connection:
        tables = connection.execute(
            "select table_name, column_name from duckdb_columns() where schema_name = 'marts' "
            "and column_name in ('project_id', 'title', 'tool_name', 'branch', 'model', 'file_path')"
        ).fetchall()
        for name, column in tables:
            connection.execute(f"update marts.{name} set {column} = ? || {column}", [hostile])
        write_report(connection, tmp_path / "hostile.html", now=NOW)
    browser.problems.clear()
    browser.open(tmp_path / "hostile.html")
    browser.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    browser.wait_for("document.querySelectorAll('figure details[open] tbody tr').length > 30")
    for x, y in ((300, 450), (1000, 450)):
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert browser.evaluate("window.pwned") is None
    assert 0 == browser.evaluate("document.querySelectorAll('img').length")
    assert "<img src=x" in browser.evaluate("document.body.innerText")
    assert [] == browser.problems
