"""What a rule is: an expectation of Great Expectations, and what to tell people about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stream import sql

Severity = Literal["critical", "warning"]

BETWEEN = "expect_column_values_to_be_between"
ROW_COUNT = "expect_table_row_count_to_be_between"
ROWS = "unexpected_rows_expectation"


@dataclass(frozen=True)
class Rule:
    """One expectation.

    Attributes:
        name: Unique within its suite.
        description: What must hold, one sentence; the title in Data Docs.
        fix: What to do when it does not.
        type: The expectation's type as Great Expectations calls it.
        arguments: Its arguments; `{"$PARAMETER": name}` is given when it runs.
        severity: `critical` keeps a build from being published, `warning` is only reported.
    """

    name: str
    description: str
    fix: str
    type: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "critical"

    @property
    def query(self) -> str | None:
        """The query that gives the rows which break the rule; None if it is no rule of that kind."""
        query: str | None = self.arguments.get("unexpected_rows_query")
        return query


@dataclass(frozen=True)
class Suite:
    """Rules for one table, or for several that are looked at together.

    Attributes:
        name: `<layer>_expectations`.
        layer: `bronze`, `silver` or `gold`.
        schema: Of the table that the rules on columns are about.
        table: Its name.
        id_column: Names a row of it in the report.
        rules: In the order in which they are reported.
    """

    name: str
    layer: str
    schema: str
    table: str
    id_column: str
    rules: tuple[Rule, ...]

    def broken_rows(self, rule: Rule) -> str | None:
        """Return the query for the rows that break a rule; None if it is not about rows."""
        if rule.query is not None:
            return rule.query
        column = sql.identifier(rule.arguments.get("column", ""))
        names = dict.fromkeys([f"{sql.identifier(self.id_column)} as _id", column])
        selected = f"select {', '.join(names)} from {self.schema}.{self.table} where"
        if rule.type == BETWEEN:
            low, high = rule.arguments["min_value"], rule.arguments["max_value"]
            return f"{selected} {column} not between {low} and {high}"
        return None


def no_rows(name: str, description: str, query: str, *, fix: str, severity: Severity = "critical") -> Rule:
    """Make a rule that holds if a query gives no rows; its rows are the examples in the report."""
    return Rule(name, description, fix, ROWS, {"unexpected_rows_query": _lines(query)}, severity)


def _lines(query: str) -> str:
    """Write a query on one line: Great Expectations keeps it in JSON."""
    return " ".join(query.split())
