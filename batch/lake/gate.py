"""The checks before publishing, asked in Spark: the same rules as in DuckDB, one query each."""

import re
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from batch.lake.config import CATALOG
from batch.lake.session import Spark, spark_errors
from batch.lake.spark_sql import from_duckdb
from batch.validate.checkpoint import Outcome
from batch.validate.project import EXAMPLES
from batch.validate.rules import ROW_COUNT, Rule, Suite
from batch.validate.validate import NamedValues, Validation, finding_of, require_checked
from stream.errors import StepFailedError

_SCHEMAS = re.compile(r"(?<![\w.])(raw|ops|staging|intermediate|marts)\.(?=\w)")
_IDENTIFIER = re.compile(r'"((?:[^"]|"")*)"')


def for_spark(query: str) -> str:
    """Return a query of the rules for Spark: names in three parts, its literals, its quotes."""
    named = _SCHEMAS.sub(rf"{CATALOG}.\1.", from_duckdb(query))
    return _IDENTIFIER.sub(lambda found: f"`{found[1]}`", named)


def validate(
    spark: Spark,
    suites: Sequence[Suite],
    layers: Collection[str],
    *,
    least: int,
    write_docs: Callable[[Sequence[Outcome]], Path] | None = None,
) -> Validation:
    """Check every rule of some layers. Changes nothing.

    Args:
        spark: Asked.
        suites: All there are.
        layers: `bronze`, `silver`, `gold`.
        least: How many documents there must be at least.
        write_docs: Writes the Data Docs of what was found; they are not written without.

    Raises:
        StepFailedError: Spark cannot be asked at all, or not one rule could be checked.
    """
    began = time.monotonic()
    doing = "check the rules"
    [(documents,)] = spark.rows(f"select count(*) from {CATALOG}.raw.conversations", doing=doing)
    chosen = [suite for suite in suites if suite.layer in layers]
    outcomes = [
        _ask(spark, suite, rule, documents=int(documents), least=least)
        for suite in chosen
        for rule in suite.rules
    ]
    require_checked(outcomes)
    findings = [
        finding_of(each, least=least, rows_of=lambda query: _examples(spark, query))
        for each in outcomes
        if not each.holds
    ]
    return Validation(
        layers=tuple(suite.layer for suite in chosen),
        checked=len(outcomes),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity != "critical")),
        documents=int(documents),
        seconds=time.monotonic() - began,
        data_docs=write_docs(outcomes) if write_docs else None,
    )


def _ask(spark: Spark, suite: Suite, rule: Rule, *, documents: int, least: int) -> Outcome:
    if rule.type == ROW_COUNT:
        return Outcome(suite, rule, documents >= least, observed=documents)
    query = suite.broken_rows(rule)
    if query is None:
        return Outcome(suite, rule, holds=False, problem="Spark has no query for it")
    try:
        [(rows,)] = spark.rows(f"select count(*) from ({for_spark(query)})", doing=f"check `{rule.name}`")
    except StepFailedError as error:
        return Outcome(suite, rule, holds=False, problem=error.message)
    return Outcome(suite, rule, not rows, rows=int(rows))


def _examples(spark: Spark, query: str) -> list[NamedValues]:
    frame = spark.run(f"select * from ({for_spark(query)}) limit {EXAMPLES}", doing="look for examples")
    with spark_errors("look for examples"):
        # As texts: Python has no instant outside of the years 1 to 9999, and documents may.
        rows = frame.selectExpr(
            *(f"cast(`{name}` as string) as `{name}`" for name in frame.columns)
        ).collect()
    return [row.asDict().items() for row in rows]
