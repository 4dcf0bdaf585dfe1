"""A real Prometheus with the shipped configuration, beside a real stream worker and scheduler."""

import json
import math
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pymongo import MongoClient
from pymongo.collection import Collection

from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import free_port
from batch.pipeline.metrics import BatchMetrics
from batch.publish.folder import ServingFolder
from batch.publish.manifest import Manifest, Source
from batch.runs.journal import Journal
from stream.clock import utc_now
from stream.metrics import DiskMetrics, StreamMetrics
from tests.support.patience import patience
from tests.support.platform_runs import platform_runs
from tests.support.program import Program
from tests.support.prometheus import Prometheus, prometheus
from tests.support.streaming import wait_until
from tests.tools.grafana_dashboard import FILE

pytestmark = pytest.mark.integration
PANELS = [panel for panel in json.loads(FILE.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
# The machine may be busy.


@dataclass
class Watched:
    """A platform that Prometheus watches.

    Attributes:
        prometheus: Asked by the tests.
        collection: That the worker follows.
        program: Runs them.
        stream: The worker's process.
    """

    prometheus: Prometheus
    collection: Collection[dict[str, Any]]
    program: Program
    stream: "subprocess.Popen[str]"

    def change_something(self) -> None:
        """Insert a good document and one that has no row, and change one."""
        self.collection.insert_many([{"type": "user"}, {"type": "user", "timestamp": math.nan}])
        self.collection.update_one({"type": "user"}, {"$inc": {"edits": 1}})


@pytest.fixture(scope="module")
def watched(replica_set: EmbeddedMongo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Run worker, scheduler and Prometheus; the folder has runs and a build already."""
    folder = tmp_path_factory.mktemp("watched")
    data = folder / "data"
    _fill(data)
    ports = {"claude-analytics-stream": free_port(), "claude-analytics-schedule": free_port()}
    name = f"test_{uuid.uuid4().hex[:12]}"
    program = Program(
        folder,
        MONGO_URI=replica_set.uri,
        MONGO_DB=name,
        STREAM_MAX_AGE_SECONDS="0.2",
        METRICS_PORT=str(ports["claude-analytics-stream"]),
        SCHEDULE_METRICS_PORT=str(ports["claude-analytics-schedule"]),
        SCHEDULE_HOURLY="0 0 1 1 *",
        SCHEDULE_DAILY="0 0 1 1 *",
    )
    with (
        MongoClient[dict[str, Any]](replica_set.uri) as client,
        prometheus(folder / "prometheus", ports, wait_seconds=1) as server,
        _running("schedule", program),
        _running("stream", program) as stream,
    ):
        found = Watched(server, client[name]["conversations"], program, stream)
        wait_until(lambda: [1, 1] == list(server.query("up").values()))
        # It answers before it follows the collection; what was changed until then is not its business.
        reply = "claude_analytics_stream_last_reply_timestamp_seconds"
        wait_until(lambda: any(value > 0 for value in server.query(reply).values()))
        yield found
        _end(found.stream)
        client.drop_database(name)


def _fill(data: Path) -> None:
    data.mkdir()
    journal = Journal(data / "runs.jsonl", clock=utc_now)
    for step in platform_runs():
        journal._append(step)
    serving = ServingFolder(data / "serving")
    serving.begin("build-1")
    serving.finish(
        Manifest(build_id="build-1", created_at=datetime.now(UTC), tables=(), source=Source(), dbt={})
    )
    serving.show("build-1")


@contextmanager
def _running(command: str, program: Program) -> "Iterator[subprocess.Popen[str]]":
    process = program.start(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    process.communicate(timeout=patience())  # closes its pipes, too


def test_every_metric_arrives(watched: Watched) -> None:
    """Whatever worker and scheduler register is in Prometheus, under its name, with values of this run."""
    registry = CollectorRegistry()
    StreamMetrics(registry)
    DiskMetrics(registry, Path())
    BatchMetrics(registry, build_age_seconds=lambda: 0.0, marts_age_seconds=lambda: 0.0)
    expected = {
        f"{metric.name}_{'total' if metric.type == 'counter' else 'count'}"
        if metric.type in {"counter", "histogram"}
        else metric.name
        for metric in registry.collect()
    }
    assert len(expected) > 25
    watched.change_something()

    def arrived() -> set[str]:
        series = watched.prometheus.query('count by (__name__) ({__name__=~"claude_analytics_.+"})')
        return {json.loads(labels)["__name__"] for labels in series}

    wait_until(lambda: expected <= arrived())
    inserts = 'claude_analytics_stream_events_total{op="insert"}'
    wait_until(lambda: 2 in watched.prometheus.query(inserts).values())


def test_every_panel_has_data(watched: Watched) -> None:
    """Each query of the dashboard is understood, and answered with numbers."""
    empty = list(QUERIES)

    def all_answered() -> bool:
        watched.change_something()
        for each in list(empty):
            if any(not math.isnan(value) for value in watched.prometheus.query(each[1]).values()):
                empty.remove(each)
        return not empty

    try:
        wait_until(all_answered)
    except AssertionError as error:
        raise AssertionError(f"without data: {empty}") from error


def test_a_query_that_is_wrong_is_noticed(watched: Watched) -> None:
    """The comparison itself can fail."""
    with pytest.raises(ValueError, match="parse error"):
        watched.prometheus.query("sum(")
    assert {} == watched.prometheus.query("claude_analytics_no_such_metric")


def test_a_stopped_worker_is_told_and_its_return_too(watched: Watched) -> None:
    """The alert fires while it is gone, with its name and place filled in, and ends when it is back."""
    alert = "ClaudeAnalyticsTargetDown"
    # Other tests fill the oplog of this server so fast that its headroom may well be low.
    quiet = ("TargetDown", "SourceUnreachable", "StreamStalled", "BuildStale", "NoBuild")
    quiet += ("ChecksFailed", "StepFailed", "LoadBehind")
    assert set() == watched.prometheus.firing() & {f"ClaudeAnalytics{name}" for name in quiet}
    _end(watched.stream)
    wait_until(lambda: alert in watched.prometheus.firing())
    (told,) = (
        each for each in watched.prometheus.get("alerts")["alerts"] if each["labels"]["alertname"] == alert
    )
    assert "claude-analytics-stream does not answer" == told["annotations"]["summary"]
    assert watched.program.environment["METRICS_PORT"] in told["annotations"]["description"]
    watched.stream = watched.program.start("stream", stderr=subprocess.DEVNULL)
    wait_until(lambda: alert not in watched.prometheus.firing())


def test_what_needs_a_person_is_told(watched: Watched) -> None:
    """A rejected document is an alert."""
    wait_until(lambda: watched.prometheus.firing() >= {"ClaudeAnalyticsDeadLetters"})
