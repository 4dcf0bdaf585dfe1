"""The questions and the report, on the marts of the sample logs."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from batch.cli.app import app
from batch.dashboards.questions import Question, read_questions
from batch.dashboards.report.figures import gather
from batch.dashboards.report.write import opened_marts, write_report
from batch.shipped import questions
from stream.errors import LandingNotWritableError, MartsMissingError, WarehouseBusyError
from tests.support.marts import MartsWarehouse

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 7, 12, tzinfo=UTC)
QUESTIONS = {question.name: question for question in read_questions(questions())}
_PYTHON_TYPES = {"date": date, "project": str, "text": str, "path": str, "weekday": int, "hour": int}


@pytest.fixture
def marts(sample_marts: MartsWarehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a connection to the marts of the sample."""
    with duckdb.connect(sample_marts.path, read_only=True) as connection:
        yield connection


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_has_an_answer(question: Question, marts: duckdb.DuckDBPyConnection) -> None:
    """On a real build each query gives the columns it promises, of the kinds it promises, and rows."""
    found = marts.execute(question.query)
    assert list(question.columns) == [column[0] for column in found.description or ()]
    rows = found.fetchall()
    assert rows or question.may_be_empty
    for name, kind in question.columns.items():
        values = [row[list(question.columns).index(name)] for row in rows]
        assert all(isinstance(value, _PYTHON_TYPES.get(kind, object)) for value in values), name
        assert None not in values, name


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_figures_stay_in_their_bounds(question: Question, marts: duckdb.DuckDBPyConnection) -> None:
    """No figure is negative, no share is above one, however the rows are told apart."""
    for by in ((), (question.by,), *([("project",)] if question.has_projects else [])):
        for row in marts.execute(question.answer(*by)).fetchall():
            for measure, figure in zip(question.measures, row[len(by) :], strict=True):
                assert figure is None or figure >= 0, measure.label
                assert question.unit(measure) != "share" or figure is None or figure <= 1, measure.label


def test_questions_about_spend_agree(marts: duckdb.DuckDBPyConnection) -> None:
    """However it is told apart, the spend is the same in all."""
    (total,) = marts.execute("select sum(cost_usd) from marts.fct_api_calls").fetchall()[0]
    names = (
        "headline",
        "spend_over_time",
        "spend_by_week",
        "spend_by_model",
        "spend_by_branch",
        "spend_by_thread",
    )
    for name in names:
        assert pytest.approx(marts.execute(QUESTIONS[name].answer()).fetchall()[0][0]) == total, name


def test_the_month_goes_on_as_the_last_two_weeks_went(marts: duckdb.DuckDBPyConnection) -> None:
    """What is expected is the mean day of the last 14, for each day that the newest month has left."""
    (spent,) = marts.execute(
        "select sum(cost_usd) from marts.fct_api_calls where date_key between '2026-10-24' and '2026-11-06'"
    ).fetchall()[0]
    question = QUESTIONS["spend_of_the_month"]
    found = marts.execute(question.answer(where="part = 'expected'")).fetchall()
    assert pytest.approx(found[0][0]) == spent / 14 * 24


def test_the_cache_saves_what_its_tokens_would_have_cost(marts: duckdb.DuckDBPyConnection) -> None:
    """What calls have cost by their own parts gives the sum that the price list of their days gives."""
    (uncached,) = marts.execute(
        """
        select sum(
            case when calls.is_fast then prices.fast_multiplier else 1 end / 1e6
            * case
                when calls.is_long_context
                    then (calls.total_tokens - calls.output_tokens) * prices.input_long_usd
                        + calls.output_tokens * prices.output_long_usd
                else (calls.total_tokens - calls.output_tokens) * prices.input_usd
                    + calls.output_tokens * prices.output_usd
            end
        )
        from marts.fct_api_calls as calls
        inner join seeds.model_prices as prices
            on calls.model_family = prices.model_family
            and timezone('UTC', calls.created_at)::date
                between prices.valid_from and coalesce(prices.valid_to, date '9999-12-31')
        """
    ).fetchall()[0]
    spent, saved, _ = marts.execute(QUESTIONS["cache_savings"].answer()).fetchall()[0]
    assert pytest.approx(spent + saved) == uncached


@pytest.mark.parametrize(
    ("tokens", "costs", "factors_usd", "uncached"),
    [
        # A million of each kind: writes at 5 and 8, reads at a twentieth of the input's 4.
        ((1, 1, 1, 1, 1), (4.0, 20.0, 5.0, 8.0, 0.2), 0.0, 4 * 4 + 20),
        # A tenth more for the region is so for fresh input as well.
        ((1, 0, 0, 0, 1), (4.0, 0.0, 0.0, 0.0, 0.2), 0.42, 8 * 1.1),
        # A batch halves both.
        ((1, 0, 0, 0, 1), (4.0, 0.0, 0.0, 0.0, 0.2), -2.1, 8 / 2),
        # Without fresh input the price is that of a write, or of a read.
        ((0, 0, 2, 0, 1), (0.0, 0.0, 12.5, 0.0, 0.5), 0.0, 3 * 5),
        ((0, 0, 0, 2, 0), (0.0, 0.0, 0.0, 12.0, 0.0), 0.0, 2 * 3),
        ((0, 0, 0, 0, 3), (0.0, 0.0, 0.0, 0.0, 0.9), 0.0, 3 * 3),
        # Nothing was sent: nothing is saved.
        ((0, 0, 0, 0, 0), (0.0, 0.0, 0.0, 0.0, 0.0), 0.0, 0),
    ],
)
def test_the_cache_saves_at_the_prices_of_the_call(
    tokens: tuple[int, ...], costs: tuple[float, ...], factors_usd: float, uncached: float
) -> None:
    """By hand, in millions of tokens and in dollars; one search for a cent is neither cached nor saved."""
    kinds = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
    row = {
        **{f"{kind}_tokens": each * 1_000_000 for kind, each in zip(kinds, tokens, strict=True)},
        **{f"{kind}_cost_usd": each for kind, each in zip(kinds, costs, strict=True)},
        "geography_cost_usd": max(factors_usd, 0.0),
        "batch_cost_usd": min(factors_usd, 0.0),
        "cost_usd": sum(costs) + factors_usd + 0.01,
    }
    columns = ", ".join(
        f"{value}::{'double' if 'usd' in name else 'bigint'} as {name}" for name, value in row.items()
    )
    with duckdb.connect() as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.fct_api_calls as "
            f"select date '2026-10-08' as date_key, 'p' as project_id, {columns}"
        )
        ((_, _, spent, saved, without),) = connection.execute(QUESTIONS["cache_savings"].query).fetchall()
    assert pytest.approx(uncached + 0.01) == without
    assert pytest.approx(spent + saved) == without


def test_the_report_holds_all_rows_of_all_questions(marts: duckdb.DuckDBPyConnection) -> None:
    """Nothing is left out: the packed rows add up to what the queries give."""
    figures = gather(marts, list(QUESTIONS.values()), now=NOW)
    assert (date(2026, 9, 28), date(2026, 11, 6)) == (figures.first_day, figures.last_day)
    for question in QUESTIONS.values():
        for name in question.amounts:
            (expected,) = marts.execute(
                f"select coalesce(sum({name}), 0) from ({question.query})"
            ).fetchall()[0]
            actual = sum(figures.rows[question.name][name])
            assert float(expected) == pytest.approx(actual, abs=1e-3), (question.name, name)


def test_names_cannot_become_html(sample_marts: MartsWarehouse, tmp_path: Path) -> None:
    """A project and a conversation named like HTML add no element and end no script."""
    hostile = "/home/x/</script><img src=x onerror=alert(1)>"
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(sample_marts.path.read_bytes())
    with duckdb.connect(copy) as connection:
        write_report(connection, tmp_path / "before.html", now=NOW)
        connection.execute("update marts.dim_sessions set title = ?", [hostile])
        tables = connection.execute(
            "select table_name from duckdb_columns() "
            "where schema_name = 'marts' and column_name = 'project_id'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(
                f"update marts.{table} set project_id = ? where project_id like '%tideline'", [hostile]
            )
        write_report(connection, tmp_path / "after.html", now=NOW)
    before, after = ((tmp_path / name).read_text(encoding="utf-8") for name in ("before.html", "after.html"))
    assert "img src=x" in after
    assert "<img src=x" not in after
    for sign in ("<script", "</script", "<img"):
        assert before.count(sign) == after.count(sign), sign


def test_the_report_asks_nothing_of_any_network(marts: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The page's own policy forbids it every connection, and it names no file to fetch."""
    write_report(marts, tmp_path / "report.html", now=NOW)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'; script-src 'sha256-" in text
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    assert [] == re.findall(r"\b(?:src|href)=[\"'](?!#)", markup)
    assert [] == re.findall(r"@import|url\(", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))


def test_the_report_of_the_sample_is_small(marts: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The sample's report, its chart library included, stays below one megabyte."""
    assert write_report(marts, tmp_path / "report.html", now=NOW) < 1_000_000


def test_published_marts_are_read_without_the_lease(sample_marts: MartsWarehouse, tmp_path: Path) -> None:
    """While another process holds the warehouse, a published build is reported all the same."""
    published = tmp_path / "serving.duckdb"
    published.write_bytes(sample_marts.path.read_bytes())
    with sample_marts.warehouse.lock.held(timeout_seconds=5):
        with opened_marts(published, sample_marts.warehouse, timeout_seconds=0.1) as connection:
            write_report(connection, tmp_path / "report.html", now=NOW)
        with (
            pytest.raises(WarehouseBusyError),
            opened_marts(tmp_path / "none.duckdb", sample_marts.warehouse, timeout_seconds=0.1),
        ):
            pass


def test_marts_that_were_never_built_are_named(tmp_path: Path) -> None:
    """An empty database, and one without a column that is asked for, end with what to run."""
    with duckdb.connect() as connection:
        with pytest.raises(MartsMissingError, match="star schema cannot be read") as caught:
            write_report(connection, tmp_path / "report.html", now=NOW)
        assert "claude-analytics transform" in caught.value.hint
        connection.execute("create schema marts")
        connection.execute("create table marts.dim_date as select date '2026-01-01' as date_key")
        connection.execute("create table marts.dim_projects as select 'a' as project_id, 1.0 as cost_usd")
        with pytest.raises(MartsMissingError, match="question `headline` cannot be asked"):
            write_report(connection, tmp_path / "report.html", now=NOW)
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(marts: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Where a file is in the way of the folder, the path is named."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(LandingNotWritableError, match=r"file/report\.html"):
        write_report(marts, tmp_path / "file" / "report.html", now=NOW)


def test_the_command_writes_the_file_it_names(sample_marts: MartsWarehouse, clean_environment: Path) -> None:
    """`report --output` reads the warehouse when nothing is published, and prints where the report is."""
    environment = {
        "DUCKDB_PATH": str(sample_marts.path),
        "DATA_DIR": str(clean_environment),
        "LOG_LEVEL": "warning",
    }
    ran = CliRunner().invoke(app, ["report", "--output", "out/mine.html"], env=environment)
    assert 0 == ran.exit_code, ran.output
    written = clean_environment / "out" / "mine.html"
    assert str(written) in ran.output
    assert "<title>Claude Analytics</title>" in written.read_text(encoding="utf-8")


def test_the_command_says_what_to_do_without_a_warehouse(clean_environment: Path) -> None:
    """Before anything was loaded, `report` names what it looked for."""
    ran = CliRunner().invoke(
        app, ["report"], env={"DATA_DIR": str(clean_environment), "LOG_LEVEL": "warning"}
    )
    assert isinstance(ran.exception, MartsMissingError)
    assert "nothing to report" in ran.exception.message
