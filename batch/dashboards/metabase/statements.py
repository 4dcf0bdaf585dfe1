"""A question as a native query of Metabase: filtered by its variables, in steps of time, folded to what fits.

Metabase puts values in for `{{from}}`, `{{to}}` and `{{project}}`, and leaves out a part in `[[…]]` while its
variable is empty. So each query answers for all days and projects until somebody chooses some.
"""

from collections.abc import Sequence

from batch.dashboards.questions import Measure, Question
from stream import sql

FROM, TO, PROJECT = "from", "to", "project"
VARIABLES = (FROM, TO, PROJECT)
HOURS = tuple(range(24))
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SERIES = 8
_REST = "other"
# From how many days on a step is a week, and a month.
_WEEKS_FROM_DAYS, _MONTHS_FROM_DAYS = 62, 430

# A project's last folder, unless another project has the same.
_PROJECTS = """
select
    project_id,
    case when count(*) over (partition by project_name) = 1 then project_name else project_id end as project
from marts.dim_projects
"""

PROJECT_LIST = f"select project from ({_PROJECTS}) as projects order by project"


def variables_of(question: Question) -> tuple[str, ...]:
    """Name the variables that a question's query has: some know no projects."""
    return VARIABLES if question.has_projects else (FROM, TO)


def statement(question: Question) -> str:
    """Write the query of a question's chart or table.

    Returns:
        One row for each point, bar or line of the table, in the order they are shown in. Columns: what tells
        them apart, then each measure under its label. Of a heat map: `day`, then a column for each hour.
    """
    if question.display == "heatmap":
        return _heat_map(question)
    return f"{_limited(question).answer(*_apart(question))}\n{_order(question)}"


def number_statement(question: Question, measure: Measure) -> str:
    """Write the query of one big number: one row, one column."""
    return _chosen(question).model_copy(update={"measures": (measure,)}).answer()


def _apart(question: Question) -> list[str]:
    return [question.by, *([question.series] if question.series else [])]


def _chosen(question: Question) -> Question:
    """Let the variables choose rows, and call projects by their names."""
    days = (
        f"    [[and asked.day >= cast({{{{{FROM}}}}} as date)]]\n"
        f"    [[and asked.day <= cast({{{{{TO}}}}} as date)]]"
    )
    if not question.has_projects:
        return _with_query(
            question, f"select asked.*\nfrom (\n{question.query}\n) as asked\nwhere true\n{days}"
        )
    columns = ", ".join(
        "coalesce(projects.project, asked.project) as project"
        if name == "project"
        else f"asked.{sql.identifier(name)}"
        for name in question.columns
    )
    return _with_query(
        question,
        f"select {columns}\n"
        f"from (\n{question.query}\n) as asked\n"
        f"left join ({_PROJECTS}) as projects on asked.project = projects.project_id\n"
        f"where true\n{days}\n"
        f"    [[and coalesce(projects.project, asked.project) = {{{{{PROJECT}}}}}]]",
    )


def _limited(question: Question) -> Question:
    """Take steps of time, and put the smallest series together."""
    chosen = _chosen(question)
    if question.by == "day":
        chosen = _replaced(chosen, "day", f"cast({_step(question)} as date)")
    if question.display == "columns" and question.series is not None:
        chosen = _folded(chosen, question.series)
    return chosen


def _step(question: Question) -> str:
    if question.grain is not None:
        return f"date_trunc('{question.grain}', day)"
    days = "max(day) over () - min(day) over () + 1"
    return (
        f"case when {days} <= {_WEEKS_FROM_DAYS} then day "
        f"when {days} <= {_MONTHS_FROM_DAYS} then date_trunc('week', day) else date_trunc('month', day) end"
    )


def _folded(question: Question, series: str) -> Question:
    name, weight = sql.identifier(series), sql.identifier(question.measures[0].of)
    ranked = (
        f"select {name}, row_number() over (order by sum({weight}) desc, {name}) as place\n"
        f"from (\n{question.query}\n) as sized\ngroup by {name}"
    )
    largest = f"select {name} from (\n{ranked}\n) as ranked where place <= {_SERIES}"
    return _replaced(question, series, f"case when {name} in (\n{largest}\n) then {name} else '{_REST}' end")


def _heat_map(question: Question) -> str:
    """Lay hours side by side: Metabase has no heat map, but tables whose cells have colours."""
    label, by = sql.identifier(question.measures[0].label), sql.identifier(question.by)
    weekdays = ", ".join(f"({number}, '{name}')" for number, name in enumerate(_WEEKDAYS, start=1))
    hours = ",\n".join(
        f"    coalesce(sum(case when cells.{by} = {hour} then cells.{label} end), 0) as "
        f"{sql.identifier(str(hour))}"
        for hour in HOURS
    )
    cells = _chosen(question).answer(*_apart(question))
    weekday = sql.identifier(question.series or "")
    return (
        f"select\n    weekdays.name as day,\n{hours}\n"
        f"from (values {weekdays}) as weekdays (number, name)\n"
        f"left join (\n{cells}\n) as cells on weekdays.number = cells.{weekday}\n"
        "group by weekdays.number, weekdays.name\norder by weekdays.number"
    )


def _order(question: Question) -> str:
    by, first = sql.identifier(question.by), sql.identifier(question.measures[0].label)
    if question.by == "day":
        return f"order by {by}{_then(question.series)}"
    if question.columns[question.by] == "moment":
        return f"order by {by} desc{_then(question.series)}"
    if question.order:
        return f"order by list_position({sql.array(question.order)}, {by}), {by}"
    limit = f"\nlimit {question.top}" if question.display == "bars" else ""
    return f"order by {first} desc nulls last, {by}{_then(question.series)}{limit}"


def _then(name: str | None) -> str:
    return f", {sql.identifier(name)}" if name else ""


def _replaced(question: Question, name: str, expression: str) -> Question:
    columns: Sequence[str] = [
        f"{expression} as {sql.identifier(each)}" if each == name else sql.identifier(each)
        for each in question.columns
    ]
    return _with_query(question, f"select {', '.join(columns)}\nfrom (\n{question.query}\n) as rows_chosen")


def _with_query(question: Question, query: str) -> Question:
    return question.model_copy(update={"query": query})
