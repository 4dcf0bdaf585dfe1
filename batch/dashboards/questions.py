"""The questions that dashboards answer: each one SQL file that says above its query what it is.

A file begins with a comment that holds TOML (see `Question`); the query below gives one row per day, project
and whatever else it tells apart. Report and dashboards add those rows up: so one query serves every choice of
dates and projects. Questions about the platform itself (`Pipeline Health`) know days, but no projects.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stream import sql
from stream.core.state import problems_of
from stream.errors import SettingsError

Dashboard = Literal[
    "Overview",
    "Spend",
    "Developer Productivity",
    "AI Interaction Patterns",
    "Project Insights",
    "Pipeline Health",
]
Display = Literal["numbers", "columns", "line", "bars", "heatmap", "table"]
Amount = Literal["usd", "tokens", "hours", "milliseconds", "lines", "count"]
Kind = Literal["date", "project", "text", "path", "moment", "weekday", "hour"] | Amount
Unit = Amount | Literal["share", "number"]

DASHBOARDS: tuple[Dashboard, ...] = get_args(Dashboard)
_OF_THE_PLATFORM: Dashboard = "Pipeline Health"
_AMOUNTS = frozenset(get_args(Amount))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measure(_Strict):
    """One figure of a question, and how rows are put together to it.

    Attributes:
        label: Its name for people.
        of: Column that is added up; with `quantile`, the column whose quantile it is.
        per: Column whose sum divides that of `of`.
        quantile: Share of `weight` at or below the figure, 0 to 1.
        weight: How often each row's value of `of` occurred.
        unit: Of the figure; that of `of` unless said.
        is_charted: Whether it is drawn; otherwise it stands in the table only.
        tone: What its colour should tell.
    """

    label: str = Field(min_length=1)
    of: str
    per: str | None = None
    quantile: float | None = Field(None, gt=0, lt=1)
    weight: str | None = None
    unit: Unit | None = None
    is_charted: bool = True
    tone: Literal["good", "bad", "caution", "muted"] | None = None

    @property
    def columns(self) -> list[str]:
        """Every column it is made of."""
        return [each for each in (self.of, self.per, self.weight) if each]

    @model_validator(mode="after")
    def _one_way(self) -> "Measure":
        if (self.quantile is None) != (self.weight is None):
            raise ValueError(f"`{self.label}` needs both `quantile` and `weight`, or neither")
        if self.quantile is not None and self.per is not None:
            raise ValueError(f"`{self.label}` is a quantile and a quotient at once")
        if self.per is not None and self.unit is None:
            raise ValueError(f"`{self.label}` is a quotient: say its `unit`")
        return self


class Question(_Strict):
    """A question, and how its answer is shown.

    Attributes:
        name: Of its file, without the ending.
        title: Heading of its chart.
        answers: The question itself.
        dashboard: It belongs to.
        position: Among the questions of its dashboard, ascending.
        display: `columns` and `line` run over time, `bars` are sorted by the first figure.
        by: Column that the figures are told apart by.
        series: Second such column: stacked in a chart, one more column in a table, rows of a heat map.
        grain: Time that one step of `by = "day"` takes; chosen by the length of time shown unless said.
        top: Bars or rows shown at first.
        order: Values of `by` in their natural order; by size unless said. Moments begin with the newest.
        is_stacked: Whether several figures stand on each other.
        may_be_empty: Whether no rows are good news.
        spans_projects: Whether its figures are of all projects together and cannot be told apart by them.
        note: What a reader must know to read it right.
        columns: Of the query, in order, and what each holds; without a project only in `Pipeline Health`, or
            with `spans_projects`.
        measures: The figures; the first one matters most.
        query: Plain SQL over the schemas `marts` and `ops`.
    """

    name: str
    title: str = Field(min_length=1)
    answers: str = Field(pattern=r"\?$")
    dashboard: Dashboard
    position: int = Field(ge=0)
    display: Display
    by: str
    series: str | None = None
    grain: Literal["day", "week", "month"] | None = None
    top: int = Field(12, ge=1)
    order: tuple[str, ...] = ()
    is_stacked: bool = True
    may_be_empty: bool = False
    spans_projects: bool = False
    note: str = ""
    columns: Mapping[str, Kind]
    measures: tuple[Measure, ...] = Field(min_length=1)
    query: str = Field(min_length=1)

    @property
    def has_projects(self) -> bool:
        """Whether it is about projects, and not about the platform itself."""
        return "project" in self.columns

    @property
    def dimensions(self) -> list[str]:
        """Columns its figures are told apart by, in order."""
        return [name for name, kind in self.columns.items() if kind not in _AMOUNTS]

    @property
    def amounts(self) -> list[str]:
        """Columns its figures are made of, in order."""
        return [name for name, kind in self.columns.items() if kind in _AMOUNTS]

    @model_validator(mode="after")
    def _fits_together(self) -> "Question":
        has_no_project = self.spans_projects or self.dashboard == _OF_THE_PLATFORM
        needed = {"day": "date"} if has_no_project else {"day": "date", "project": "project"}
        for name, kind in needed.items():
            if self.columns.get(name) != kind:
                raise ValueError(f"every question has a column `{name}` of kind `{kind}`")
        told = {*needed, self.by, *([self.series] if self.series else [])}
        if told != set(self.dimensions):
            raise ValueError(f"`by` and `series` name {sorted(told)}, but there is {self.dimensions}")
        used = {column for measure in self.measures for column in measure.columns}
        if used != set(self.amounts):
            raise ValueError(f"the measures use {sorted(used)}, but there is {self.amounts}")
        if self.display in {"columns", "line", "numbers"} and self.by != "day":
            raise ValueError(f"`{self.display}` run over time: `by` must be `day`")
        if self.display == "heatmap" and self.series is None:
            raise ValueError("a heat map needs `series`, its rows")
        return self

    def unit(self, measure: Measure) -> Unit:
        """Return the unit of a figure."""
        return measure.unit or self.columns[measure.of]  # type: ignore[return-value] # it is an amount

    def answer(self, *by: str, where: str = "true") -> str:
        """Write the query for its figures, added up.

        Args:
            by: Columns that tell them apart; none gives one row for everything.
            where: Condition on the columns of the question.

        Returns:
            One row for each combination, first the columns of `by`, then each measure; no order.
        """
        names = [sql.identifier(each) for each in by]
        figures = [self._figure(measure, index) for index, measure in enumerate(self.measures)]
        grouped = f"\ngroup by {', '.join(names)}" if names else ""
        apart = f"partition by {', '.join([*names, '1'])}"
        weighed = [
            f"sum({sql.identifier(measure.weight)}) over ({apart} order by {sql.identifier(measure.of)}) "
            f"as below_{index}, sum({sql.identifier(measure.weight)}) over ({apart}) as all_{index}"
            for index, measure in enumerate(self.measures)
            if measure.weight
        ]
        return (
            f"with answers as (\n{self.query}\n),\n\n"
            f"chosen as (\nselect {', '.join(['*', *weighed])} from answers where {where}\n)\n\n"
            f"select {', '.join([*names, *figures])}\nfrom chosen{grouped}"
        )

    def _figure(self, measure: Measure, index: int) -> str:
        value, label = sql.identifier(measure.of), sql.identifier(measure.label)
        if measure.quantile is not None:
            reached = f"below_{index} >= {measure.quantile} * all_{index}"
            return f"min(case when {reached} then {value} end) as {label}"
        if measure.per is not None:
            return f"sum({value}) * 1.0 / nullif(sum({sql.identifier(measure.per)}), 0) as {label}"
        return f"sum({value}) as {label}"


def parse(name: str, text: str) -> Question:
    """Read a question.

    Args:
        name: Of its file, without the ending.
        text: Of the file: a comment with TOML, then the query.

    Raises:
        SettingsError: It lacks something, or says something that does not fit.
    """
    head, end, query = text.removeprefix("/*").partition("*/")
    try:
        if not text.startswith("/*") or not end:
            raise ValueError("it must begin with a comment that says what it is")  # noqa: TRY301 - one way out
        return Question.model_validate({**tomllib.loads(head), "name": name, "query": query.strip()})
    except ValueError as error:
        reason = problems_of(error) if isinstance(error, ValidationError) else error
        raise SettingsError(
            f"question `{name}` cannot be used: {reason}",
            hint=f"mend `deploy/questions/{name}.sql`; the other files there show how it is written",
        ) from error


def read_questions(folder: Path) -> Sequence[Question]:
    """Read all questions of a folder, in the order of their dashboards and positions.

    Raises:
        SettingsError: One cannot be used, or two claim the same place.
    """
    questions = [parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))]
    questions.sort(key=lambda question: (DASHBOARDS.index(question.dashboard), question.position))
    for one, other in pairwise(questions):
        if (one.dashboard, one.position) == (other.dashboard, other.position):
            raise SettingsError(
                f"questions `{one.name}` and `{other.name}` have the same place in `{one.dashboard}`",
                hint="give one of them another `position`",
            )
    return questions


def by_dashboard(questions: Sequence[Question]) -> Iterator[tuple[Dashboard, list[Question]]]:
    """Return each dashboard that has questions, with them, in order."""
    for dashboard in DASHBOARDS:
        members = [question for question in questions if question.dashboard == dashboard]
        if members:
            yield dashboard, members


def side_by_side(questions: Sequence[Question]) -> Iterator[tuple[Question, bool]]:
    """Return each question of a dashboard, and whether it goes across.

    Two charts stand side by side, tables and numbers go across; of an odd run of charts the first does, too.
    """
    for goes_across, run in groupby(questions, key=lambda question: question.display in {"table", "numbers"}):
        members = list(run)
        for index, question in enumerate(members):
            yield question, goes_across or (index == 0 and len(members) % 2 == 1)
