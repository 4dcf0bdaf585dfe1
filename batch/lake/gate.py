"""The checks before publishing, asked in Spark: the same rules as in DuckDB, one query each."""

import re
import time
from collections.abc import Collection, Sequence

from batch.lake.config import CATALOG
from batch.lake.session import Spark
from batch.lake.spark_sql import from_duckdb
from batch.validate.project import EXAMPLES
from batch.validate.rules import ROW_COUNT, Rule, Suite
from batch.validate.validate import Finding, Validation
from stream.errors import StepFailedError

_SCHEMAS = re.compile(r"(?<![\w.])(raw|ops|staging|intermediate|marts)\.(?=\w)")
_IDENTIFIER = re.compile(r'"((?:[^"]|"")*)"')
_SHOWN_CHARACTERS = 60
_UNCHECKED_FIX = "run `claude-analytics transform`, then validate again; if it stays, please report it"


def for_spark(query: str) -> str:
    """Return a query of the rules for Spark: names in three parts, its literals, its quotes."""
    named = _SCHEMAS.sub(rf"{CATALOG}.\1.", from_duckdb(query))
    return _IDENTIFIER.sub(lambda found: f"`{found[1]}`", named)


def validate(spark: Spark, suites: Sequence[Suite], layers: Collection[str], *, least: int) -> Validation:
    """Check every rule of some layers. Changes nothing.

    Args:
        spark: Asked.
        suites: All there are.
        layers: `bronze`, `silver`, `gold`.
        least: How many documents there must be at least.

    Raises:
        StepFailedError: Spark cannot be asked at all.
    """
    began = time.monotonic()
    doing = "check the rules"
    [(documents,)] = spark.rows(f"select count(*) from {CATALOG}.raw.conversations", doing=doing)
    chosen = [suite for suite in suites if suite.layer in layers]
    findings = [
        finding
        for suite in chosen
        for rule in suite.rules
        if (finding := _look(spark, suite, rule, documents=int(documents), least=least)) is not None
    ]
    return Validation(
        layers=tuple(suite.layer for suite in chosen),
        checked=sum(len(suite.rules) for suite in chosen),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity != "critical")),
        documents=int(documents),
        seconds=time.monotonic() - began,
        data_docs=None,
    )


def _look(spark: Spark, suite: Suite, rule: Rule, *, documents: int, least: int) -> Finding | None:
    if rule.type == ROW_COUNT:
        enough = documents >= least
        return (
            None
            if enough
            else _finding(suite, rule, f"there are {documents:,} documents, fewer than {least:,}")
        )
    query = suite.broken_rows(rule)
    if query is None:
        return _finding(suite, rule, "it could not be checked: Spark has no query for it", fix=_UNCHECKED_FIX)
    try:
        found = for_spark(query)
        [(rows,)] = spark.rows(f"select count(*) from ({found})", doing=f"check `{rule.name}`")
        if not rows:
            return None
        examples = _examples(spark, found)
    except StepFailedError as error:
        return _finding(suite, rule, f"it could not be checked: {error.message}", fix=_UNCHECKED_FIX)
    what = "row breaks" if rows == 1 else "rows break"
    return _finding(suite, rule, f"{rows:,} {what} it", examples=examples)


def _examples(spark: Spark, query: str) -> tuple[str, ...]:
    """Write some rows as `name=value` pairs, values cut short: a report is no place for texts."""
    frame = spark.run(f"select * from ({query}) limit {EXAMPLES}", doing="look for examples")
    return tuple(
        " ".join(f"{name}={str(value)[:_SHOWN_CHARACTERS]}" for name, value in row.asDict().items())
        for row in frame.collect()
    )


def _finding(
    suite: Suite, rule: Rule, found: str, *, examples: tuple[str, ...] = (), fix: str | None = None
) -> Finding:
    return Finding(
        layer=suite.layer,
        rule=rule.name,
        severity=rule.severity,
        description=rule.description,
        found=found,
        examples=examples,
        fix=fix or rule.fix,
    )
