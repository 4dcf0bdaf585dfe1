"""Every question's rows, asked once and packed small, for a page that adds them up itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import duckdb

from batch.dashboards.questions import Question
from stream import sql
from stream.errors import MartsMissingError

_ROW_LIMIT = 20_000
_DAY = "day"
_REST = "other"
_UNKNOWN = "unknown"
_FIRST_DAY = date(2020, 1, 1)
"""Before Claude Code was there."""


@dataclass(frozen=True)
class Figures:
    """What a report shows.

    Attributes:
        questions: All that were asked, in order.
        rows: For each question's name its rows, packed (see `pack`).
        projects: Ids, the dearest first; rows name a project by its place here.
        project_names: A short name for each, unlike all others.
        first_day: The earliest day that can be right (see `_bounds`); None if there are no rows. What a wrong
            clock dated before it is shown on it.
        last_day: The latest such day; what is dated after it is shown on it.
        made_at: When the questions were asked.
        own_days: For each question about the platform the first and last day of its rows: they have nothing
            to do with those of the conversations.
    """

    questions: Sequence[Question]
    rows: Mapping[str, Mapping[str, Any]]
    projects: Sequence[str]
    project_names: Sequence[str]
    first_day: date | None
    last_day: date | None
    made_at: datetime
    own_days: Mapping[str, tuple[date, date]] = field(default_factory=dict)


def gather(connection: duckdb.DuckDBPyConnection, questions: Sequence[Question], *, now: datetime) -> Figures:
    """Ask every question.

    Args:
        connection: To a database that has the schema `marts`.
        questions: To ask.
        now: Shown as the time of the report.

    Raises:
        MartsMissingError: The marts, or columns of them, are not there.
    """
    bounds, projects = _bounds(connection, now.date())
    places = {project: place for place, project in enumerate(projects)}
    rows, own_days = {}, {}
    for question in questions:
        found = _ask(connection, question)
        first_day, last_day = bounds
        if not question.has_projects and not question.spans_projects:
            at = list(question.columns).index("day")
            days = [row[at] for row in found]
            first_day, last_day = min(days, default=first_day), max(days, default=last_day)
            if days:
                own_days[question.name] = (min(days), max(days))
        rows[question.name] = pack(
            question,
            found,
            first_day=first_day or date.min,
            last_day=last_day or date.max,
            project_places=places,
        )
    return Figures(
        questions=questions,
        rows=rows,
        projects=projects,
        project_names=short_names(projects),
        first_day=bounds[0],
        last_day=bounds[1],
        made_at=now,
        own_days=own_days,
    )


def pack(
    question: Question,
    rows: Iterable[Sequence[Any]],
    *,
    first_day: date,
    last_day: date = date.max,
    project_places: Mapping[str, int],
    row_limit: int = _ROW_LIMIT,
) -> dict[str, Any]:
    """Pack rows by column: days as numbers, each text once.

    Past the row limit the values that weigh least become one, `other`, until the rows fit or ten are left.

    Args:
        question: Says what the columns are.
        rows: As its query gives them.
        first_day: Day 0; so are the days before it.
        last_day: The last day; what is later is on it.
        project_places: A number for each project.
        row_limit: Rows from which values are put together.

    Returns:
        `day`, and `project` if there are any, as lists of numbers, each other dimension as
        `{"values": […], "at": […]}`, each amount as a list of numbers.
    """
    names = list(question.columns)
    table = [dict(zip(names, row, strict=True)) for row in rows]
    texts = [name for name in question.dimensions if question.columns[name] in {"text", "path"}]
    for keep in (1000, 200, 50, 10):
        if len(table) <= row_limit or not texts:
            break
        for name in texts:
            table = _fold(question, table, name, keep)
    packed: dict[str, Any] = {
        "day": [(min(max(row["day"], first_day), last_day) - first_day).days for row in table]
    }
    if question.has_projects:
        packed["project"] = [project_places[row["project"]] for row in table]
    for name in question.dimensions:
        if name not in packed:
            packed[name] = _indexed([_UNKNOWN if row[name] is None else row[name] for row in table])
    for name in question.amounts:
        packed[name] = [_number(row[name]) for row in table]
    return packed


def short_names(projects: Sequence[str]) -> list[str]:
    """Return each project the shortest end of its path that no other project shares."""
    parts = [project.replace("\\", "/").rstrip("/").split("/") for project in projects]
    names = []
    for index, mine in enumerate(parts):
        others = parts[:index] + parts[index + 1 :]
        for length in count(1):
            if length >= len(mine) or all(other[-length:] != mine[-length:] for other in others):
                names.append("/".join(mine[-length:]) or projects[index])
                break
    return names


def _bounds(
    connection: duckdb.DuckDBPyConnection, today: date
) -> tuple[tuple[date | None, date | None], list[str]]:
    """Return the first and last day that a right clock can have told, and the projects, dearest first.

    One line of the year 9999 must not stretch every chart. Where no day fits, all of them count.
    """
    try:
        days = [
            day for (day,) in connection.execute("select date_key from marts.dim_date order by 1").fetchall()
        ]
        projects = connection.execute(
            "select project_id from marts.dim_projects order by cost_usd desc nulls last, project_id"
        ).fetchall()
    except duckdb.Error as error:
        raise _missing("the star schema cannot be read", error) from error
    fitting = [day for day in days if _FIRST_DAY <= day <= today + timedelta(days=1)]
    first_day, last_day = (fitting[0], fitting[-1]) if fitting else _ends(days)
    return (first_day, last_day), [project for (project,) in projects]


def _ends(days: Sequence[date]) -> tuple[date | None, date | None]:
    """Return the last day and, if it is no more than a year before it, the first."""
    if not days:
        return None, None
    return max(days[0], days[-1] - timedelta(days=min(365, (days[-1] - date.min).days))), days[-1]


def _ask(connection: duckdb.DuckDBPyConnection, question: Question) -> list[tuple[Any, ...]]:
    columns = ", ".join(
        f"{_within_years('day')} as day" if name == _DAY else sql.identifier(name)
        for name in question.columns
    )
    try:
        return connection.execute(f"select {columns} from (\n{question.query}\n) order by all").fetchall()
    except duckdb.Error as error:
        raise _missing(f"question `{question.name}` cannot be asked", error) from error


def _within_years(day: str) -> str:
    """Return SQL for the day, or for the nearest one that a calendar here has: years are 1 to 9999.

    A line of the first day of year 1 is of the year before in a zone west of Greenwich.
    """
    first, last = f"date '{date.min.isoformat()}'", f"date '{date.max.isoformat()}'"
    return f"case when {day} < {first} then {first} when {day} > {last} then {last} else {day} end"


def _missing(what: str, error: duckdb.Error) -> MartsMissingError:
    return MartsMissingError(
        f"{what}: {str(error).splitlines()[0]}",
        hint="build the star schema with `claude-analytics transform`, or all that is published with "
        "`claude-analytics pipeline`, then try again",
    )


def _fold(question: Question, table: list[dict[str, Any]], name: str, keep: int) -> list[dict[str, Any]]:
    weight = question.measures[0].weight or question.measures[0].of
    totals: dict[Any, float] = {}
    for row in table:
        totals[row[name]] = totals.get(row[name], 0) + _number(row[weight])
    totals.pop(_REST, None)
    kept = {_REST} | set(sorted(totals, key=lambda value: (-totals[value], str(value)))[:keep])
    # A value whose quantile is asked tells rows apart, too.
    values = {measure.of for measure in question.measures if measure.quantile is not None}
    keys = [
        each
        for each in (*question.dimensions, *question.amounts)
        if each not in question.amounts or each in values
    ]
    folded: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in table:
        changed = row if row[name] in kept else {**row, name: _REST}
        key = tuple(changed[each] for each in keys)
        if key not in folded:
            folded[key] = dict(changed)
            continue
        for amount in question.amounts:
            if amount not in values:
                folded[key][amount] = _number(folded[key][amount]) + _number(changed[amount])
    return list(folded.values())


def _indexed(values: Sequence[Any]) -> dict[str, list[Any]]:
    places: dict[Any, int] = {}
    at = [places.setdefault(value, len(places)) for value in values]
    return {"values": list(places), "at": at}


def _number(value: Any) -> float:  # noqa: ANN401 - whatever number type the database gives
    """Return a number that is short in JSON: whole ones without a point, others to a millionth."""
    if value is None:
        return 0
    rounded = round(float(value), 6)
    return int(rounded) if rounded.is_integer() else rounded
