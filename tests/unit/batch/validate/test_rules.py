"""The rules of the gate as they are written down, and what follows from what they find."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch.pipeline.steps import judged, may_publish
from batch.runs.journal import StepRun
from batch.validate.project import warehouse_url
from batch.validate.suites import SUITES
from batch.validate.validate import LAYERS, Finding, Validation, failure_of, least_documents

RULES = [(suite, rule) for suite in SUITES for rule in suite.rules]


def test_rules_have_names_of_their_own() -> None:
    """A finding names its rule by layer and name."""
    names = [(suite.layer, rule.name) for suite, rule in RULES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("suite", "rule"), RULES, ids=lambda each: getattr(each, "name", ""))
def test_every_rule_says_what_must_hold_and_what_to_do(suite: object, rule: object) -> None:
    """People read both when it does not."""
    description, fix = getattr(rule, "description", ""), getattr(rule, "fix", "")
    assert description.endswith(".")
    assert fix
    assert not fix.endswith(".")


def test_the_warehouse_is_opened_read_only() -> None:
    """Threads are left to DuckDB unless they are set."""
    assert "duckdb+gate:////data/w.duckdb?access_mode=read_only&memory_limit=1GB" in warehouse_url(
        "/data/w.duckdb", threads=None, memory_limit="1GB"
    )
    assert "&threads=3" in warehouse_url("/data/w.duckdb", threads=3, memory_limit="1GB")


@pytest.mark.parametrize(
    ("history", "ratio", "expected"),
    [
        ([], 0.5, 0),
        ([100], 0.5, 50),
        ([101], 0.5, 51),
        ([100, 80, 120], 0.5, 40),
        ([100] * 7 + [2], 0.5, 50),
        ([100], 0, 0),
        ([100], 1, 100),
    ],
    ids=str,
)
def test_the_least_volume(history: list[int], ratio: float, expected: int) -> None:
    """A share of the fewest documents of the last seven runs; nothing without history."""
    assert expected == least_documents(history, ratio=ratio)


def validation(*findings: Finding) -> Validation:
    return Validation(LAYERS, 10, findings, 1234, 1.0, Path("index.html"))


CRITICAL = Finding("gold", "adds_up", "critical", "It adds up.", "2 rows break it", ("_id=1",), "build anew")
WARNING = Finding("bronze", "fresh", "warning", "It is fresh.", "1 row breaks it", (), "look")


def test_warnings_let_a_build_pass() -> None:
    """They are counted and told, no more."""
    result = judged(validation(WARNING))
    assert result.error is None
    assert ("9 of 10 checks hold", 1234) == (result.summary, result.rows)
    assert {"bronze": 1, "silver": 0, "gold": 0} == result.details["failed_by_layer"]


def test_a_critical_rule_closes_the_gate() -> None:
    """The error names rule, number, an example and what to do; exit code 2."""
    error = failure_of(validation(CRITICAL, CRITICAL, WARNING))
    assert error
    assert (
        "check `gold.adds_up` failed: 2 rows break it, e.g. _id=1 (1 more failed); nothing is published"
        == error.message
    )
    assert ("build anew", 2) == (error.hint, error.exit_code)
    assert failure_of(validation(WARNING)) is None


def step(name: str, minute: int, outcome: str = "succeeded", layers: tuple[str, ...] = LAYERS) -> StepRun:
    at = datetime(2026, 1, 3, 10, tzinfo=UTC) + timedelta(minutes=minute)
    return StepRun("run", name, "manual", at, at, outcome, error="no", details={"layers": list(layers)})


BUILT_LATER = "the marts were built after the last validation"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], "nothing has been validated yet"),
        ([step("transform", 1)], "nothing has been validated yet"),
        ([step("transform", 1), step("validate", 2)], None),
        ([step("validate", 2)], None),
        ([step("validate", 1), step("transform", 2)], BUILT_LATER),
        ([step("validate", 1), step("transform", 2, "skipped")], None),
        ([step("validate", 1), step("transform", 2, "failed")], BUILT_LATER),
        ([step("validate", 2, "failed")], "the last validation failed: no"),
        ([step("validate", 2, layers=("gold",))], "the last validation was of some layers only"),
    ],
)
def test_what_may_be_published(steps: list[StepRun], expected: str | None) -> None:
    """Only marts that a whole validation has seen as they are, and passed."""
    assert expected == may_publish(steps)
