"""The Procfile, as `honcho start` runs it."""

import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo.collection import Collection

from batch.mongod.server import free_port
from batch.settings import BackfillSettings, PipelineSettings
from stream.clock import utc_now
from stream.settings import MetricsSettings, MongoSettings
from tests.support.paths import ROOT
from tests.support.patience import patience
from tests.support.publishing import Shop
from tests.support.streaming import stream_lane, wait_until

pytestmark = pytest.mark.integration


class Crew:
    """Both processes, and the two ports that they serve metrics at."""

    def __init__(self, folder: Path, mongo: MongoSettings) -> None:
        self.ports = {"stream": free_port(), "schedule": free_port()}
        self._log = folder.parent / "log"
        settings = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "MONGO_URI": mongo.uri.get_secret_value(),
            "MONGO_DB": mongo.database,
            "DATA_DIR": str(folder),
            "METRICS_PORT": str(self.ports["stream"]),
            "SCHEDULE_METRICS_PORT": str(self.ports["schedule"]),
            "SCHEDULE_HOURLY": "0 0 29 2 *",
            "SCHEDULE_DAILY": "0 0 29 2 *",
        }
        with self._log.open("wb") as log:
            self.honcho = psutil.Popen(
                [sys.executable, "-m", "honcho", "start", "-f", ROOT / "Procfile"],
                cwd=folder.parent,
                env=os.environ | settings,
                stdout=log,
                stderr=log,
            )

    def metrics(self, name: str) -> str:
        """Read what a process tells Prometheus; nothing while it does not answer."""
        try:
            url = f"http://127.0.0.1:{self.ports[name]}/metrics"
            with urllib.request.urlopen(url, timeout=60) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def everybody(self) -> list[psutil.Process]:
        """Return honcho and all below it."""
        return [self.honcho, *self.honcho.children(recursive=True)]

    def log(self) -> str:
        """Read what all have said."""
        return self._log.read_text(errors="replace")


@pytest.fixture
def crew(mongo: MongoSettings, tmp_path: Path) -> Iterator[Crew]:
    folder = tmp_path / "data"
    folder.mkdir()
    crew = Crew(folder, mongo)
    yield crew
    for process in crew.everybody() if crew.honcho.is_running() else []:
        process.kill()
    crew.honcho.wait(patience())


def test_the_procfile(crew: Crew, collection: Collection[dict[str, Any]], tmp_path: Path) -> None:
    """All come up side by side; a document is in the live views within seconds; SIGTERM ends all in peace."""
    shop = Shop(tmp_path / "data")
    wait_until(lambda: stream_lane(shop.folder).position() is not None)
    wait_until(lambda: "stream_events_total" in crew.metrics("stream"))
    wait_until(lambda: "batch_runs_total" in crew.metrics("schedule"))
    collection.insert_one(document("first"))
    wait_until(lambda: bool(stream_lane(shop.folder).micro_batches()))
    # The views come with the first build.
    shop.build(1)
    shop.publish(1)

    begun = time.monotonic()
    collection.insert_one(document("second"))
    wait_until(lambda: ("second",) in shop.ask("select session_id from live.documents"))
    print(f"in the live views after {time.monotonic() - begun:.1f} s")  # noqa: T201 - for whoever measures

    everybody = crew.everybody()
    crew.honcho.send_signal(signal.SIGTERM)
    crew.honcho.wait(patience())
    _, alive = psutil.wait_procs(everybody, timeout=patience())
    assert [] == alive, crew.log()
    assert "stream_stopped" in crew.log()
    assert "schedule_stopped" in crew.log()
    assert "Traceback" not in crew.log()
    for port in crew.ports.values():
        socket.create_server(("127.0.0.1", port)).close()


def document(session: str) -> dict[str, Any]:
    return {"type": "user", "sessionId": session, "timestamp": utc_now(), "message": "hello"}


def test_no_two_processes_want_one_port(clean_environment: Path) -> None:
    """Stream, backfill and scheduler run on one machine with their defaults."""
    ports = [MetricsSettings().port, BackfillSettings().metrics_port, PipelineSettings().metrics_port]
    assert len(set(ports)) == len(ports)


def test_the_procfile_names_commands_of_the_program() -> None:
    """Nothing else is needed on the PATH."""
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    assert [("stream", "claude-analytics stream"), ("schedule", "claude-analytics schedule")] == [
        tuple(line.split(": ")) for line in lines
    ]
