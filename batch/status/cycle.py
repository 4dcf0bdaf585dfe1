"""How the cycle is doing: the last run of each step, the next run, the build that readers see."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from batch.pipeline.news import current_at
from batch.pipeline.timetable import Timetable
from batch.publish.folder import ServingFolder
from batch.runs.journal import FAILED, KILLED, PIPELINE, RUNNING, SKIPPED, STEPS, Journal, StepRun
from batch.runs.lock import PipelineLock
from stream.errors import AnalyticsError

_MISSED_RUNS = 2
_STALE_WITHOUT_SCHEDULE = timedelta(hours=26)


@dataclass(frozen=True)
class Build:
    """The build that readers see.

    Attributes:
        build_id: Its id.
        created_at: When it was made.
        age_seconds: How long ago that is.
        rows: In all of its tables.
        source_at: Server time up to which the source is in it; None if unknown.
    """

    build_id: str
    created_at: datetime
    age_seconds: float
    rows: int
    source_at: datetime | None


@dataclass(frozen=True)
class CycleStatus:
    """One look at the cycle.

    Attributes:
        is_running: Whether a run, or one of its steps alone, is under way.
        is_scheduled: Whether a scheduler runs on this folder.
        next_run_at: When it runs the pipeline next.
        last_runs: The newest run of each step that has ever run.
        build: What readers see; None before the first publish.
        builds: Builds kept.
        builds_size_bytes: Their size.
        problems: What is stale or failed, and what to do.
    """

    is_running: bool
    is_scheduled: bool
    next_run_at: datetime | None
    last_runs: tuple[StepRun, ...]
    build: Build | None
    builds: int
    builds_size_bytes: int
    problems: tuple[str, ...]


def look_at_cycle(
    journal: Journal,
    *,
    pipeline_lock: PipelineLock,
    scheduling: PipelineLock,
    serving: ServingFolder,
    timetable: Timetable,
    now: datetime,
) -> CycleStatus:
    """Gather the status of the cycle; what cannot be found out becomes a problem, never an error."""
    problems: list[str] = []
    is_running, is_scheduled = pipeline_lock.is_taken, scheduling.is_taken
    steps = journal.steps()
    last_runs = _last_runs(steps, is_running=is_running)
    build: Build | None = None
    size_bytes = 0
    try:
        build = _build(serving, now)
        size_bytes = serving.size_bytes()
    except AnalyticsError as error:
        problems.append(f"{error.message}; {error.hint}")
    problems += _failures(last_runs)
    stale = _staleness(build, steps, timetable, now) if is_scheduled else _age_alone(build)
    if stale is not None:
        problems.append(stale)
    due = timetable.next_after(now) if is_scheduled else None
    return CycleStatus(
        is_running=is_running,
        is_scheduled=is_scheduled,
        next_run_at=due.at if due else None,
        last_runs=last_runs,
        build=build,
        builds=len(serving.builds()),
        builds_size_bytes=size_bytes,
        problems=tuple(problems),
    )


def _last_runs(steps: Sequence[StepRun], *, is_running: bool) -> tuple[StepRun, ...]:
    newest = {step.step: step for step in steps if step.outcome != SKIPPED}
    found = [newest[name] for name in (*STEPS, PIPELINE) if name in newest]
    if is_running:
        return tuple(found)
    # Nobody is left who could see it end.
    return tuple(
        replace(step, outcome=KILLED, error="the process was killed") if step.outcome == RUNNING else step
        for step in found
    )


def _build(serving: ServingFolder, now: datetime) -> Build | None:
    build_id = serving.current_build()
    if build_id is None:
        return None
    manifest = serving.manifest(build_id)
    age_seconds = (now - manifest.created_at).total_seconds()
    return Build(build_id, manifest.created_at, age_seconds, manifest.rows, manifest.source.instant)


def _failures(last_runs: Sequence[StepRun]) -> list[str]:
    return [
        f"the last {step.step} {'was killed' if step.outcome == KILLED else f'failed: {step.error}'}"
        + (f"; {step.hint}" if step.hint else "")
        for step in last_runs
        if step.outcome in {FAILED, KILLED} and step.step != PIPELINE
    ]


def _staleness(
    build: Build | None, steps: Sequence[StepRun], timetable: Timetable, now: datetime
) -> str | None:
    """Say that runs came due, and none of them has made a new build or found this one up to date."""
    if build is None:
        return None
    missed, at = 0, max(build.created_at, current_at(steps, build.build_id) or build.created_at)
    while missed < _MISSED_RUNS:
        due = timetable.next_after(at)
        if due is None or due.at > now:
            return None
        missed, at = missed + 1, due.at
    return f"the published build is stale: no run has published since {build.created_at:%Y-%m-%d %H:%M} UTC"


def _age_alone(build: Build | None) -> str | None:
    if build is None or build.age_seconds < _STALE_WITHOUT_SCHEDULE.total_seconds():
        return None
    return (
        f"the published build is stale: it is of {build.created_at:%Y-%m-%d %H:%M} UTC; "
        "run `claude-analytics pipeline`, or `claude-analytics schedule` for ever"
    )
