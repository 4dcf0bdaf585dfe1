"""Questions of the dashboards, answered as tables for people."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.table import Table

from batch.cli.printing.tables import duration_text, facts
from batch.dashboards.questions import Question, Unit

_DAYS = 7
_ROWS = 8
_WRITERS: Mapping[Unit, Callable[[float], str]] = {
    "usd": "${:,.2f}".format,
    "tokens": "{:,.0f}".format,
    "lines": "{:,.0f}".format,
    "count": "{:,.0f}".format,
    "number": "{:,.1f}".format,
    "share": "{:.1%}".format,
    "hours": lambda hours: duration_text(hours * 3600),
    "milliseconds": lambda milliseconds: duration_text(milliseconds / 1000),
}


def print_answers(
    connection: duckdb.DuckDBPyConnection, questions: Sequence[Question], console: Console
) -> None:
    """Ask questions of the marts, and print the answers side by side.

    Args:
        connection: To a database with the schema `marts`.
        questions: Asked in this order; of figures over time the last days are shown.
        console: Printed on.
    """
    console.print(Columns([_answer(connection, each) for each in questions], padding=(0, 4)))


def amount_text(value: float | None, unit: Unit) -> str:
    """Write a figure with its unit; a price that nobody knows is no zero."""
    return "unknown" if value is None else _WRITERS[unit](float(value))


def _answer(connection: duckdb.DuckDBPyConnection, question: Question) -> RenderableType:
    if question.display == "numbers":
        (row,) = connection.execute(question.answer()).fetchall()
        table = facts(question.title)
        for measure, text in zip(question.measures, _texts(question, row), strict=True):
            table.add_row(measure.label, text)
        return table
    table = Table(title=question.title, title_justify="left", title_style="bold", box=None)
    table.add_column(question.by, no_wrap=True)
    for measure in question.measures:
        table.add_column(measure.label, justify="right")
    for name, *values in _rows(connection, question):
        table.add_row(str(name), *_texts(question, values))
    return table


def _rows(connection: duckdb.DuckDBPyConnection, question: Question) -> list[tuple[date | str, Any]]:
    answer = question.answer(question.by)
    if question.by == "day":
        found = connection.execute(f"select * from ({answer}) order by 1 desc limit {_DAYS}").fetchall()
        return found[::-1]
    return connection.execute(
        f"select * from ({answer}) order by 2 desc nulls last, 1 limit {_ROWS}"
    ).fetchall()


def _texts(question: Question, values: Sequence[Any]) -> Iterator[str]:
    for measure, value in zip(question.measures, values, strict=True):
        yield amount_text(value, question.unit(measure))
