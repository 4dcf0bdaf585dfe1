"""The scheduler as a process: metrics, one at a time, signals."""

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from batch.mongod.server import free_port
from batch.publish.folder import ServingFolder
from batch.publish.manifest import Manifest, Source
from batch.runs.journal import Journal
from stream.clock import utc_now
from tests.support.patience import patience
from tests.support.program import Program
from tests.support.streaming import wait_until

pytestmark = pytest.mark.integration


class Schedule:
    """A scheduler on an empty data folder, for which nothing is ever due."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self.program = Program(
            folder,
            MONGO_URI="mongodb://127.0.0.1:1",
            MONGO_CONNECT_TIMEOUT_SECONDS="0.1",
            PIPELINE_LOAD_RETRIES="0",
            SCHEDULE_METRICS_PORT=str(self.port),
            SCHEDULE_HOURLY="0 0 1 1 *",
            SCHEDULE_DAILY="0 0 1 1 *",
        )

    @contextmanager
    def running(self, *options: str) -> "Iterator[subprocess.Popen[str]]":
        """Run it beside the block."""
        with self.program.start("schedule", *options) as process:
            try:
                wait_until(lambda: bool(self.metrics()))
                yield process
            finally:
                process.kill()

    def metrics(self) -> dict[str, float]:
        """Read what Prometheus would; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        found = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in found}


@pytest.fixture
def schedule(clean_environment: Path) -> Schedule:
    return Schedule(clean_environment)


def test_metrics_and_the_one_scheduler(schedule: Schedule) -> None:
    """The age of the build is told; a second scheduler is refused; SIGTERM ends it in peace."""
    serving = ServingFolder(schedule.data / "serving")
    serving.begin("build-1")
    serving.finish(
        Manifest(build_id="build-1", created_at=datetime.now(UTC), tables=(), source=Source(), dbt={})
    )
    serving.show("build-1")
    with schedule.running() as process:
        assert 0 <= schedule.metrics()["claude_analytics_batch_build_age_seconds"] < 60
        assert 0 == schedule.metrics()["claude_analytics_dead_letter_queue_size"]
        assert "a scheduler already runs in" in schedule.program.done("schedule", code=2)
        process.send_signal(signal.SIGTERM)
        told_at = time.monotonic()
        _, log = process.communicate(timeout=patience(15))
    assert time.monotonic() - told_at < patience(10)
    assert 128 + signal.SIGTERM == process.returncode, log
    assert "schedule_stopped" in log


def test_a_run_that_fails_is_counted_and_changes_nothing(schedule: Schedule) -> None:
    """The scheduler goes on, tells why in its metrics, and people are told by the command of theirs."""
    hook = schedule.data.parent / "hook.py"
    hook.write_text("import os; open('told', 'w').write(os.environ['ALERT_TEXT'])")
    schedule.program.environment["ALERT_COMMAND"] = f"{sys.executable} {hook}"
    failed = 'claude_analytics_batch_runs_total{outcome="failed",step="extract"}'
    with schedule.running("--run-now") as process:
        wait_until(lambda: schedule.metrics().get(failed) == 1)
        assert 0 == schedule.metrics()["claude_analytics_batch_success_ratio"]
        assert process.poll() is None
    told = (schedule.data.parent / "told").read_text()
    assert "failed at extract (1 failure in a row)" in told
    assert "What to do: check that MongoDB runs" in told
    last = Journal(schedule.data / "runs.jsonl", clock=utc_now).last("extract")
    assert last
    assert ("failed", "schedule") == (last.outcome, last.trigger)


def test_a_run_that_is_killed_is_told_by_the_scheduler(schedule: Schedule) -> None:
    """The run itself could not write down its end, nor tell anybody."""
    schedule.program.environment["PIPELINE_LOAD_RETRIES"] = "3"  # with half a minute to kill it in
    journal = Journal(schedule.data / "runs.jsonl", clock=utc_now)
    killed = 'claude_analytics_batch_runs_total{outcome="killed",step="pipeline"}'
    with schedule.running("--run-now") as process:
        wait_until(lambda: journal.last("extract") is not None)
        (run,) = psutil.Process(process.pid).children()
        run.kill()
        wait_until(lambda: schedule.metrics().get(killed) == 1)
    assert ["killed", "killed"] == [step.outcome for step in journal.steps()]


def test_a_run_ends_with_its_scheduler(schedule: Schedule) -> None:
    """Whoever kills the scheduler need not look for the run."""
    schedule.program.environment["PIPELINE_LOAD_RETRIES"] = "3"
    journal = Journal(schedule.data / "runs.jsonl", clock=utc_now)
    with schedule.running("--run-now") as process:
        wait_until(lambda: journal.last("extract") is not None)
        (run,) = psutil.Process(process.pid).children()
        process.kill()
        wait_until(lambda: not run.is_running() or run.status() == psutil.STATUS_ZOMBIE)
    assert ["stopped", "stopped"] == [step.outcome for step in journal.steps()]
