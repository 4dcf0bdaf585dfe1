"""Whether a run has anything to build, or what readers see holds all that is loaded already. Pure.

Marts depend on nothing but `raw`, the project and the settings, not on the clock. Only some rules of the
validation do, as does what `ops` says of runs. And checks of views over the whole history take longer than a
frequent run should. So once an hour a run does everything, and asks everything.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from batch.pipeline.runner import CURRENT_BUILD, Options
from batch.pipeline.timetable import HOURLY
from batch.runs.journal import (
    PIPELINE,
    PUBLISH,
    RUNNING,
    SKIPPED,
    SUCCEEDED,
    TRANSFORM,
    VALIDATE,
    StepRun,
    last_of,
)

WHOLE_RUN_EACH = timedelta(minutes=50)
"""A little less than an hour, so that runs which are hourly are all whole."""
CHECKED_ALL = "checked_all"
"""Detail of a build: whether it asked every check of the project."""


def may_leave_out(options: Options) -> bool:
    """Whether a run may leave steps out at all: one that a person began does everything."""
    return options == Options(trigger=HOURLY)


def whole_check(steps: Sequence[StepRun], now: datetime) -> datetime | None:
    """Return when a build last asked every check; None if an hour ago, or if a build has failed since.

    Args:
        steps: Of all runs, oldest first.
        now: The time.
    """
    newest = last_of(steps, TRANSFORM, that=lambda step: step.outcome not in {SKIPPED, RUNNING})
    checked = last_of(
        steps,
        TRANSFORM,
        that=lambda step: step.outcome == SUCCEEDED and bool(step.details.get(CHECKED_ALL)),
    )
    if newest is None or newest.outcome != SUCCEEDED or checked is None:
        return None
    return checked.started_at if now - checked.started_at < WHOLE_RUN_EACH else None


def is_up_to_date(steps: Sequence[StepRun], *, build_id: str | None, inputs: str, now: datetime) -> bool:
    """Whether a build came out of a run with the same project and settings, and nothing since.

    Not if everything was last checked an hour ago.

    Args:
        steps: Of all runs, oldest first.
        build_id: The build that readers see.
        inputs: What the marts depend on beside `raw`; as noted with the build.
        now: The time.
    """
    published = last_of(steps, PUBLISH)
    if published is None or build_id is None:
        return False
    expected = (SUCCEEDED, build_id, inputs)
    noted = (published.outcome, published.details.get("build_id"), published.details.get("inputs"))
    run = last_of(steps, PIPELINE, that=lambda step: step.run_id == published.run_id)
    newest = [last_of(steps, step) for step in (TRANSFORM, VALIDATE)]
    return (
        noted == expected
        and run is not None
        and run.outcome == SUCCEEDED
        and all(step is not None and step.run_id == published.run_id for step in newest)
        and whole_check(steps, now) is not None
    )


def without_idle_runs(steps: Sequence[StepRun]) -> list[StepRun]:
    """Return the steps of runs that had something to do: with a run each minute, the others are the most."""
    idle = {step.run_id for step in steps if CURRENT_BUILD in step.details}
    return [step for step in steps if step.run_id not in idle]


def current_at(steps: Sequence[StepRun], build_id: str) -> datetime | None:
    """Return when a build last held all that was loaded: the start of the last run that proved it."""
    runs = {
        step.run_id
        for step in steps
        if step.step == PUBLISH
        and (
            (step.outcome == SUCCEEDED and step.details.get("build_id") == build_id)
            or (step.outcome == SKIPPED and step.details.get(CURRENT_BUILD) == build_id)
        )
    }
    run = last_of(steps, PIPELINE, that=lambda step: step.run_id in runs)
    return run.started_at if run else None
