"""Metrics and status of the cycle, told from the journal."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from batch.pipeline.metrics import BatchMetrics
from batch.pipeline.timetable import Timetable
from batch.publish.folder import ServingFolder
from batch.publish.manifest import Manifest, Source
from batch.runs.journal import STEPS, Journal, StepRun
from batch.runs.lock import PipelineLock
from batch.status.cycle import CycleStatus, look_at_cycle
from stream.clock import utc_now
from stream.errors import WarehouseBusyError

NOW = datetime(2026, 1, 3, 10, 30, tzinfo=UTC)
PREFIX = "claude_analytics_batch"


def step(name: str, hours: float, outcome: str = "succeeded", **more: Any) -> StepRun:
    """Return a step that took a minute and ended some hours ago."""
    ended = NOW - timedelta(hours=hours)
    ended_at = None if outcome == "running" else ended
    run_id = f"run-{100 - hours}"
    return StepRun(run_id, name, "schedule", ended - timedelta(minutes=1), ended_at, outcome, **more)


class Scrape:
    """Metrics, and what Prometheus would read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.age: float | None = None
        self.metrics = BatchMetrics(
            self.registry, build_age_seconds=lambda: self.age, marts_age_seconds=lambda: self.age
        )

    def value(self, name: str, **labels: str) -> float | None:
        """Read one value."""
        return self.registry.get_sample_value(f"{PREFIX}_{name}", labels)


def test_only_what_ends_from_now_on_is_counted() -> None:
    """A scheduler that starts again does not count the past once more; gauges tell it."""
    scrape = Scrape()
    past = [step("load", 3), step("load", 2, "failed")]
    scrape.metrics.observe(past)
    assert 0 == scrape.value("runs_total", step="load", outcome="succeeded")
    assert 60 == scrape.value("step_seconds", step="load")
    last_good = (NOW - timedelta(hours=3)).timestamp()
    assert last_good == scrape.value("last_success_timestamp_seconds", step="load")
    last = (NOW - timedelta(hours=2)).timestamp()
    assert last == scrape.value("last_run_timestamp_seconds", step="load")

    now = [*past, step("load", 1), step("publish", 0, "running")]
    scrape.metrics.observe(now)
    scrape.metrics.observe(now)
    assert 1 == scrape.value("runs_total", step="load", outcome="succeeded")
    assert 0 == scrape.value("runs_total", step="publish", outcome="succeeded")


def test_models_rules_and_runs() -> None:
    """Seconds by model, rules that do not hold by suite, and the share of runs that succeeded."""
    scrape = Scrape()
    scrape.metrics.observe(
        [
            step("transform", 2, details={"model_seconds": {"fct_messages": 1.5}}),
            step("validate", 2, "failed", details={"failed_by_layer": {"gold": 2, "bronze": 0}}),
            step("pipeline", 2, "failed"),
            *(step("pipeline", hours / 100) for hours in range(3)),
        ]
    )
    assert 1.5 == scrape.value("model_seconds", model="fct_messages")
    assert (2, 0) == tuple(scrape.value("expectations_failed", suite=each) for each in ("gold", "bronze"))
    assert 0.75 == scrape.value("success_ratio")


def test_the_age_of_the_build_is_asked_at_each_scrape() -> None:
    """-1 while nothing has been published."""
    scrape = Scrape()
    assert -1 == scrape.value("build_age_seconds")
    scrape.age = 12.5
    assert 12.5 == scrape.value("build_age_seconds")


class Look:
    """A data folder, and the status of its cycle."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "runs.jsonl", clock=lambda: NOW - timedelta(minutes=5))
        self.turn = PipelineLock(folder, "pipeline", clock=utc_now)
        self.scheduling = PipelineLock(folder, "schedule", clock=utc_now)
        self.serving = ServingFolder(folder / "serving")

    def publish(self, hours: float) -> None:
        """Publish an empty build some hours ago."""
        self.serving.begin("build-1")
        at = NOW - timedelta(hours=hours)
        self.serving.finish(
            Manifest(build_id="build-1", created_at=at, tables=(), source=Source(instant=at), dbt={})
        )
        self.serving.show("build-1")

    def now(self) -> CycleStatus:
        """Look."""
        return look_at_cycle(
            self.journal,
            pipeline_lock=self.turn,
            scheduling=self.scheduling,
            serving=self.serving,
            timetable=Timetable("0 * * * *", "0 2 * * *", "UTC"),
            now=NOW,
        )


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Look(tmp_path)


def test_the_status_before_the_first_run(look: Look) -> None:
    """Nothing is wrong yet."""
    assert (
        CycleStatus(
            is_running=False,
            is_scheduled=False,
            next_run_at=None,
            last_runs=(),
            build=None,
            builds=0,
            builds_size_bytes=0,
            problems=(),
        )
        == look.now()
    )


def test_the_status_with_a_scheduler(look: Look) -> None:
    """The next run is known, and a build that two runs have missed is stale."""
    look.publish(hours=1)
    with look.scheduling.taken(timeout_seconds=0):
        found = look.now()
        assert (True, NOW.replace(hour=11, minute=0), ()) == (
            found.is_scheduled,
            found.next_run_at,
            found.problems,
        )
    assert found.build
    assert ("build-1", 3600.0) == (found.build.build_id, found.build.age_seconds)


@pytest.mark.parametrize(
    ("hours", "is_scheduled", "is_stale"),
    [(1.4, True, False), (1.6, True, True), (1.6, False, False), (25, False, False), (27, False, True)],
)
def test_when_a_build_is_stale(look: Look, *, hours: float, is_scheduled: bool, is_stale: bool) -> None:
    """With a scheduler: two runs came due since; without one: more than a day."""
    look.publish(hours)
    with look.scheduling.taken(timeout_seconds=0) if is_scheduled else nullcontext():
        problems = look.now().problems
    assert is_stale == any("the published build is stale" in problem for problem in problems)


def test_a_build_that_a_run_found_up_to_date_is_not_stale(look: Look) -> None:
    """A run that leaves everything out proves as much as one that publishes."""
    look.publish(hours=5)
    run = look.journal.begin("run-2", "pipeline", "schedule")
    left_out = look.journal.begin("run-2", "publish", "schedule")
    look.journal.end(left_out, outcome="skipped", details={"current_build": "build-1"})
    look.journal.end(run, outcome="succeeded")
    with look.scheduling.taken(timeout_seconds=0):
        assert () == look.now().problems


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_failed_is_a_problem(look: Look, name: str) -> None:
    """Whichever it is, with its reason and what to do; a later success clears it."""
    look.journal.end(
        look.journal.begin("run-1", name, "manual"), outcome="failed", error="no", hint="do this"
    )
    look.journal.end(look.journal.begin("run-1", "pipeline", "manual"), outcome="failed", error="no")
    assert (f"the last {name} failed: no; do this",) == look.now().problems
    look.journal.end(look.journal.begin("run-2", name, "manual"), outcome="succeeded")
    assert () == look.now().problems


def test_a_step_that_was_killed_is_a_problem(look: Look) -> None:
    """Nobody wrote down its end: as long as the lock is held it runs, afterwards it was killed."""
    look.journal.begin("run-1", "load", "manual")
    with look.turn.taken(timeout_seconds=0):
        found = look.now()
        assert (True, "running", ()) == (found.is_running, found.last_runs[0].outcome, found.problems)
    found = look.now()
    assert (False, "killed", ("the last load was killed",)) == (
        found.is_running,
        found.last_runs[0].outcome,
        found.problems,
    )


@pytest.mark.fault(14, "a second pipeline run", "it waits, then refuses and names the first")
def test_a_second_run_waits_or_refuses(look: Look) -> None:
    """The message says who is at it."""
    with (
        look.turn.taken(timeout_seconds=0),
        pytest.raises(WarehouseBusyError, match="another run is under way: `") as caught,
        look.turn.taken(timeout_seconds=0.05),
    ):
        pytest.fail("two at once")
    assert "try again when it has finished" in caught.value.hint
