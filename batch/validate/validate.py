"""Checks the warehouse before anything is published: Great Expectations, with examples of what fails."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from batch.validate.checkpoint import Gate, Outcome
from batch.validate.project import EXAMPLES
from batch.validate.rules import ROW_COUNT
from batch.validate.suites import SUITES
from stream.errors import ChecksFailedError, StepFailedError
from stream.warehouse.load import one_row
from stream.warehouse.warehouse import Warehouse

LAYERS = tuple(suite.layer for suite in SUITES)
VOLUME_RUNS = 7
_SHOWN_CHARACTERS = 60
NamedValues = Iterable[tuple[str, object]]
"""A row: names of columns and their values."""
_UNCHECKED_FIX = "run `claude-analytics transform`, then validate again; if it stays, please report it"


@dataclass(frozen=True)
class Finding:
    """A rule that does not hold, for people.

    Attributes:
        layer: `bronze`, `silver` or `gold`.
        rule: Its name.
        severity: `critical` or `warning`.
        description: What should hold.
        found: What was found instead, in words.
        examples: Some rows that break it: `_id` and what matters.
        fix: What to do.
    """

    layer: str
    rule: str
    severity: str
    description: str
    found: str
    examples: tuple[str, ...]
    fix: str


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Attributes:
        layers: What was checked.
        checked: Number of rules.
        findings: Rules that do not hold, critical ones first.
        documents: Rows of `raw.conversations`; the volume that later runs compare with.
        seconds: Time it took.
        data_docs: Start page of the Data Docs, None if they were not written.
    """

    layers: tuple[str, ...]
    checked: int
    findings: tuple[Finding, ...]
    documents: int
    seconds: float
    data_docs: Path | None

    @property
    def failures(self) -> tuple[Finding, ...]:
        """Findings that keep the build from being published."""
        return tuple(finding for finding in self.findings if finding.severity == "critical")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that are reported, no more."""
        return tuple(finding for finding in self.findings if finding.severity != "critical")

    def failed_by_layer(self) -> dict[str, int]:
        """Count the rules that do not hold, warnings among them; for `batch_expectations_failed`."""
        return {layer: sum(finding.layer == layer for finding in self.findings) for layer in self.layers}


def validate(
    warehouse: Warehouse,
    gate: Gate,
    *,
    run_id: str,
    timeout_seconds: float,
    layers: Collection[str] = LAYERS,
    least_documents: int = 0,
    build_docs: bool = False,
) -> Validation:
    """Check every rule of some layers. Changes nothing.

    Args:
        warehouse: To check.
        gate: Great Expectations on the same warehouse.
        run_id: Name of the run in the Data Docs.
        timeout_seconds: How long to wait for the warehouse, each time.
        layers: `bronze`, `silver`, `gold`.
        least_documents: See `least_documents`.
        build_docs: Whether to write the Data Docs, too.

    Raises:
        StepFailedError: There is no warehouse, or Great Expectations could not run.
        WarehouseBusyError: Another process holds the warehouse for longer.
        WarehouseCorruptError: The file is damaged.
    """
    started = time.monotonic()
    if not warehouse.path.exists():
        raise StepFailedError(
            f"there is no warehouse at `{warehouse.path}`", hint="run `claude-analytics load` first"
        )
    with warehouse.opened(timeout_seconds=timeout_seconds) as connection:
        (documents,) = one_row(connection, "select count(*) from raw.conversations")
    with warehouse.lock.held(timeout_seconds=timeout_seconds):
        outcomes = gate.run(run_id, layers, {"least_documents": least_documents}, build_docs=build_docs)
    require_checked(outcomes)
    broken = [outcome for outcome in outcomes if not outcome.holds]
    findings: list[Finding] = []
    if broken:
        with warehouse.opened(timeout_seconds=timeout_seconds) as connection:
            findings = [
                finding_of(outcome, least=least_documents, rows_of=lambda query: _examples(query, connection))
                for outcome in broken
            ]
    return Validation(
        layers=tuple(layer for layer in LAYERS if layer in layers),
        checked=len(outcomes),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity != "critical")),
        documents=documents,
        seconds=time.monotonic() - started,
        data_docs=gate.data_docs if build_docs else None,
    )


def require_checked(outcomes: Sequence[Outcome]) -> None:
    """Tell a gate that cannot work from rules that do not hold.

    Raises:
        StepFailedError: Not one rule could be checked.
    """
    problems = {outcome.problem for outcome in outcomes}
    if None not in problems:
        raise StepFailedError(
            f"not one rule could be checked: {'; '.join(sorted(map(str, problems)))[:300]}",
            hint="if the warehouse has no marts yet, run `claude-analytics transform` first; "
            "otherwise please report it",
        )


def failure_of(validation: Validation) -> ChecksFailedError | None:
    """Return the error of a validation, if a critical rule does not hold."""
    if not validation.failures:
        return None
    first, *others = validation.failures
    examples = f", e.g. {first.examples[0]}" if first.examples else ""
    also = f" ({len(others)} more failed)" if others else ""
    return ChecksFailedError(
        f"check `{first.layer}.{first.rule}` failed: {first.found}{examples}{also}; nothing is published",
        hint=first.fix,
    )


def least_documents(history: Sequence[int], *, ratio: float) -> int:
    """Say how many documents there must be at least.

    Args:
        history: Documents at the last successful runs, newest first.
        ratio: Share of the fewest of them that must be there, 0 to 1; 0 asks for nothing.
    """
    return math.ceil(min(history[:VOLUME_RUNS], default=0) * ratio)


def finding_of(outcome: Outcome, *, least: int, rows_of: Callable[[str], Iterable[NamedValues]]) -> Finding:
    """Say of a rule that does not hold what was found, with examples.

    Args:
        outcome: Of that rule.
        least: How many documents there must be at least.
        rows_of: Returns the rows of a query in DuckDB's SQL; some are enough.
    """
    rule = outcome.rule
    query = outcome.suite.broken_rows(rule)
    if outcome.problem is not None:
        found = f"it could not be checked: {outcome.problem}"
    elif rule.type == ROW_COUNT:
        found = f"there are {outcome.observed:,} documents, fewer than {least:,}"
    else:
        found = f"{outcome.rows:,} {'row breaks' if outcome.rows == 1 else 'rows break'} it"
    return Finding(
        layer=outcome.suite.layer,
        rule=rule.name,
        severity=rule.severity,
        description=rule.description,
        found=found,
        examples=tuple(map(_example, rows_of(query))) if query and outcome.problem is None else (),
        fix=rule.fix if outcome.problem is None else _UNCHECKED_FIX,
    )


def _example(row: NamedValues) -> str:
    """Write a row as `name=value` pairs, values cut short: a report is no place for texts."""
    return " ".join(f"{name}={str(value)[:_SHOWN_CHARACTERS]}" for name, value in row)


def _examples(query: str, connection: duckdb.DuckDBPyConnection) -> Iterator[NamedValues]:
    found = connection.execute(f"select * from ({query}) limit {EXAMPLES}")
    names = [column[0] for column in found.description]
    return (zip(names, row, strict=True) for row in found.fetchall())
