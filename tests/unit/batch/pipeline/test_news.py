"""Which runs may leave out the build, and since when readers see all that is loaded."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from batch.pipeline.news import (
    CHECKED_ALL,
    WHOLE_RUN_EACH,
    current_at,
    is_up_to_date,
    may_leave_out,
    whole_check,
    without_idle_runs,
)
from batch.pipeline.runner import CURRENT_BUILD, Options
from batch.runs.journal import FAILED, SKIPPED, SUCCEEDED, StepRun

AT = datetime(2026, 11, 3, 12, tzinfo=UTC)
SOON = AT + timedelta(minutes=1)


def run(run_id: str, at: datetime, *, left_out: str | None = None, checked_all: bool = True) -> list[StepRun]:
    """Make the steps of a run that published as the build of its name, or left that out."""
    outcome = SKIPPED if left_out else SUCCEEDED
    details = {CURRENT_BUILD: left_out} if left_out else {"build_id": run_id, "inputs": "same"}

    def step(name: str, outcome: str, **details: object) -> StepRun:
        return StepRun(run_id, name, "schedule", at, at, outcome, details=details)

    return [
        step("pipeline", SUCCEEDED),
        step("load", SUCCEEDED),
        step("transform", outcome, **{CHECKED_ALL: checked_all} if outcome == SUCCEEDED else {}),
        step("validate", outcome),
        step("publish", outcome, **details),
    ]


def up_to_date(steps: list[StepRun], build_id: str | None = "a", now: datetime = SOON) -> bool:
    return is_up_to_date(steps, build_id=build_id, inputs="same", now=now)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(trigger="schedule"), True),
        (Options(trigger="manual"), False),
        (Options(trigger="daily", full_refresh=True), False),
        (Options(trigger="schedule", full_refresh=True), False),
        (Options(trigger="schedule", select=("fct_messages",)), False),
    ],
    ids=["scheduled", "by hand", "nightly", "full refresh", "selected"],
)
def test_only_scheduled_runs_leave_anything_out(*, options: Options, expected: bool) -> None:
    """Whoever begins a run by hand gets all of it, as does the night."""
    assert expected == may_leave_out(options)


def test_after_a_whole_run_nothing_is_to_do() -> None:
    """Runs that left steps out do not matter, until a whole run is due or somebody has removed the build."""
    steps = run("a", AT) + run("b", SOON, left_out="a") + run("c", SOON, left_out="a")
    assert up_to_date(steps)
    assert not up_to_date(steps, now=AT + WHOLE_RUN_EACH)
    assert not up_to_date(steps, build_id=None)


def test_everything_is_checked_once_an_hour() -> None:
    """However many runs with something new there were in between, and also if the last has nothing new."""
    steps = run("a", AT) + run("b", SOON, checked_all=False) + run("c", SOON, left_out="b")
    assert AT == whole_check(steps, SOON)
    asking = StepRun("d", "transform", "schedule", SOON)
    assert AT == whole_check([*steps, asking], SOON)
    assert up_to_date(steps, "b")
    assert whole_check(steps, AT + WHOLE_RUN_EACH) is None
    assert not up_to_date(steps, "b", now=AT + WHOLE_RUN_EACH)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        run("b", SOON, checked_all=False),
        [*run("a", AT), StepRun("b", "transform", "manual", SOON, SOON, FAILED)],
        [StepRun("a", "transform", "schedule", AT, AT, SUCCEEDED)],
    ],
    ids=["nothing yet", "never", "a build has failed since", "by a version that did not say so"],
)
def test_otherwise_everything_is_checked(steps: list[StepRun]) -> None:
    """What a build found broken is looked for again, whoever began it."""
    assert whole_check(steps, SOON) is None


def changed(steps: list[StepRun], name: str, change: Callable[[StepRun], StepRun]) -> list[StepRun]:
    return [change(step) if step.step == name else step for step in steps]


@pytest.mark.parametrize(
    "steps",
    [
        [],
        changed(run("a", AT), "pipeline", lambda step: replace(step, outcome=FAILED)),
        changed(run("a", AT), "publish", lambda step: replace(step, outcome=FAILED)),
        changed(run("a", AT), "publish", lambda step: replace(step, details=step.details | {"inputs": ""})),
        run("a", AT)[1:],
        [*run("a", AT), StepRun("b", "transform", "manual", SOON, SOON, SUCCEEDED)],
        [*run("a", AT), StepRun("b", "validate", "manual", SOON, SOON, FAILED)],
        [*run("a", AT), *run("b", SOON)],
    ],
    ids=[
        "nothing yet",
        "run failed",
        "publish failed",
        "project changed",
        "published by hand",
        "built by hand since",
        "validated by hand since",
        "rolled back",
    ],
)
def test_otherwise_everything_is_done(steps: list[StepRun]) -> None:
    """In doubt a run is whole."""
    assert not up_to_date(steps)


def test_marts_are_as_old_as_the_last_proof() -> None:
    """A run that found nothing new proves that the build is current; one of another build does not."""
    steps = run("a", AT) + run("b", SOON, left_out="a")
    assert SOON == current_at(steps, "a")
    assert AT == current_at(steps[:5], "a")
    assert current_at(steps, "c") is None


def test_runs_without_anything_to_do_are_not_copied() -> None:
    """All of their steps are left out, and none of another run."""
    whole = run("a", AT)
    assert whole == without_idle_runs(whole + run("b", SOON, left_out="a"))
