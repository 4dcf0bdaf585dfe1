"""What a build's outcome means, told to a person."""

from pathlib import Path

import pytest

from batch.transform.transform import BuildResult, BuiltNode, raise_failures
from stream.errors import ChecksFailedError, StepFailedError

COMPILED = Path("target/compiled/fct_messages.sql")


def node(
    name: str, status: str, *, kind: str = "model", message: str = "", sql: Path | None = None
) -> BuiltNode:
    return BuiltNode(name, kind, status, 0.5, message, sql)


def test_a_build_without_failures_raises_nothing() -> None:
    """Success, warnings and skipped nodes are no error by themselves."""
    raise_failures([node("a", "success"), node("b", "pass"), node("c", "warn"), node("d", "no-op")])


def test_a_broken_model_is_named_with_its_cause_and_its_sql() -> None:
    """The heading of dbt is left out: the sentence that follows says why."""
    message = 'Runtime Error in model fct_messages (models/fct_messages.sql)\n  Binder Error: no column "x".'
    nodes = [node("fct_messages", "error", message=message, sql=COMPILED), node("dim_sessions", "skipped")]
    with pytest.raises(StepFailedError) as raised:
        raise_failures(nodes)
    assert 'model `fct_messages` failed: Binder Error: no column "x" (1 skipped)' == raised.value.message
    assert raised.value.hint == f"see the SQL that ran: `{COMPILED}`"
    assert 1 == raised.value.exit_code


def test_a_failed_check_is_data_that_a_person_must_look_at() -> None:
    """The hint tells how to get at the rows."""
    message = "Got 3 results, configured to fail if != 0"
    nodes = [node("unique_x", "fail", kind="test", message=message, sql=COMPILED), node("b", "fail")]
    with pytest.raises(ChecksFailedError) as raised:
        raise_failures(nodes)
    assert raised.value.message == f"check `unique_x` failed: {message} (1 more failed)"
    assert (
        raised.value.hint
        == f"see the SQL that ran: `{COMPILED}`; that query gives the rows that break the rule"
    )
    assert 2 == raised.value.exit_code


def test_a_broken_node_goes_before_a_failed_check() -> None:
    """What could not be built at all is the first thing to mend."""
    nodes = [node("check", "fail", kind="test"), node("model", "runtime error")]
    with pytest.raises(StepFailedError) as raised:
        raise_failures(nodes)
    assert "model `model` failed: no reason given" == raised.value.message
    assert "see dbt's log" == raised.value.hint


def test_a_result_tells_models_and_warnings() -> None:
    """Metrics take the models, people the warnings."""
    model, check = node("model", "success"), node("check", "warn", kind="test")
    result = BuildResult((model, check), seconds=1)
    assert (model,) == result.models
    assert (check,) == result.warnings
