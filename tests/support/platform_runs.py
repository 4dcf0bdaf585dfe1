"""Runs of the pipeline as a journal would tell them: some days, with everything that can go wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from batch.runs.journal import FAILED, KILLED, PIPELINE, STEPS, SUCCEEDED, TRANSFORM, VALIDATE, StepRun

FIRST_RUN_AT = datetime(2026, 11, 2, tzinfo=UTC)
RUNS = 60
_SECONDS = {"extract": 3, "load": 2, "transform": 14, "validate": 4, "publish": 1, "maintain": 0.2}


def platform_runs() -> list[StepRun]:
    """Return `RUNS` runs, two hours apart: the 20th fails at validation, the 40th is killed in its build."""
    return [step for number in range(RUNS) for step in _steps(number)]


_FINDING = {
    "rule": "silver.valid_timestamps",
    "severity": "warning",
    "description": "No line was written before Claude Code existed, or in the future.",
    "found": "1 row breaks it",
    "example": "_id=1 written_at=1970-01-01",
}


def _steps(number: int) -> Iterator[StepRun]:
    run_id, at = f"run-{number:03}", FIRST_RUN_AT + timedelta(hours=2 * number)
    begun, outcome = at, SUCCEEDED
    for step in STEPS:
        details = {
            TRANSFORM: {"model_seconds": {"stg_messages": 0.2, "fct_messages": 3.5}},
            VALIDATE: {
                "failed_by_layer": {"bronze": 0, "silver": 0, "gold": int(number % 20 == 0)},
                "findings": [_FINDING],
            },
        }
        outcome = {(20, "validate"): FAILED, (40, "transform"): KILLED}.get((number, step), SUCCEEDED)
        ended = at + timedelta(seconds=_SECONDS[step] * (1 + number % 7 / 10))
        yield StepRun(
            run_id,
            step,
            "schedule",
            at,
            ended,
            outcome,
            rows=1000 + number,
            attempts=1 + (number % 30 == 7),
            error="" if outcome == SUCCEEDED else f"{step} could not be done",
            details=details.get(step, {}),
        )
        at = ended
        if outcome != SUCCEEDED:
            break
    yield StepRun(run_id, PIPELINE, "schedule", begun, at, outcome)
