"""The cycle on a real Prefect server; skipped where Prefect is not installed.

pip install -e '.[dev,prefect]' && pytest tests/integration/test_prefect.py
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from batch.mongod.server import free_port
from batch.publish.folder import ServingFolder
from batch.runs.journal import Journal
from batch.shipped import sample_logs
from stream.clock import utc_now
from tests.support.marts import documents_of
from tests.support.paths import ROOT
from tests.support.patience import patience
from tests.support.program import PROGRAM

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("prefect") is None, reason="Prefect is not installed here"),
]

PREFECT = [sys.executable, "-m", "prefect"]


class Server:
    """A Prefect server on a port of its own, and programs that speak to it."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.port = free_port()
        self.folder = folder
        self.environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "COLUMNS": "300",
            **settings,
        }

    @contextmanager
    def started(self, *command: str) -> Iterator[None]:
        """Run a program beside the block."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, cwd=self.folder)
        try:
            yield
        finally:
            process.terminate()
            process.wait(patience())

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, cwd=self.folder
        )

    def log(self) -> str:
        """Read what the programs have told."""
        return (self.folder / "log").read_text(errors="replace")


@pytest.fixture
def server(collection: Collection[dict[str, Any]], mongo_uri: str, tmp_path: Path) -> Iterator[Server]:
    collection.insert_many(documents_of(sample_logs()))
    settings = {
        "MONGO_URI": mongo_uri,
        "MONGO_DB": collection.database.name,
        "DATA_DIR": str(tmp_path / "data"),
        "METRICS_PORT": "0",
        "PIPELINE_TRANSFORM_RETRY_SECONDS": "0.1",
    }
    found = Server(tmp_path, settings)
    with found.started(*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(found.port)):
        deadline = time.monotonic() + patience(180)
        while (asked := found.run(*PREFECT, "work-pool", "ls")).returncode:
            assert "HTTPStatusError" not in asked.stderr, asked.stderr  # it is up, and refuses
            assert time.monotonic() < deadline, asked.stderr + found.log()
        yield found


def test_a_deployment_runs(server: Server, tmp_path: Path) -> None:
    """All four deployments are made; the one that is asked for publishes, and a flow can fail."""
    deployed = server.run(*PROGRAM, "deploy")
    assert 0 == deployed.returncode, deployed.stdout + deployed.stderr
    listed = server.run(*PREFECT, "deployment", "ls").stdout
    for name in ("hourly-analytics", "daily-full-refresh", "adhoc-analytics", "full-backfill"):
        assert name in listed

    serving = ServingFolder(tmp_path / "data" / "serving")
    journal = Journal(tmp_path / "data" / "runs.jsonl", clock=utc_now)
    with server.started(*PREFECT, "worker", "start", "--pool", "claude-analytics"):
        done = server.run(
            *PREFECT,
            "deployment",
            "run",
            "analytics_pipeline/full-backfill",
            "--watch",
            "--watch-timeout",
            "300",
        )
    assert 0 == done.returncode, done.stdout + done.stderr + server.log()[-3000:]
    steps = journal.steps()
    assert ["pipeline", "extract", "load", "transform", "validate", "publish", "maintain"] == [
        step.step for step in steps
    ]
    assert {"succeeded"} == {step.outcome for step in steps}
    assert serving.current_build() == steps[0].run_id

    refused = server.run(*PROGRAM, "pipeline", "--prefect", "--skip-extract", "--select", "no_such_model")
    assert 1 == refused.returncode
    assert "no model matches `no_such_model`" in refused.stderr
    assert serving.current_build() == steps[0].run_id
    runs = json.loads(server.run(*PREFECT, "flow-run", "ls", "-o", "json").stdout)
    assert {"Completed", "Failed"} == {
        run["state"]["name"] for run in runs if run["state"]["name"] != "Scheduled"
    }
