"""The platform on containers, from a copy of the checkout: what an operator types, and what it shows."""

import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tests.containers.images import Images, jars, prepare
from tests.support.paths import ROOT

PROJECT = "claude-analytics"
_CTRL_C_SECONDS = 60
_ATTEMPTS = 3
# Characters of a command line or a mount.
_SHOWN = 200
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NAMES = Path("/run/containers/networks/aardvark-dns")
_COPIED = (
    *(
        "Makefile",
        "pyproject.toml",
        "hatch_build.py",
        "constraints.txt",
        "prefect.yaml",
        "README.md",
        "LICENSE",
        ".dockerignore",
    ),
    *("stream", "batch", "dbt", "deploy"),
)


class CommandFailed(AssertionError):  # noqa: N818 - a failed assertion of a test
    """A command ended otherwise than it should."""


def run(command: list[str], *, expected: int | None = 0, into: BinaryIO | None = None, **options: Any) -> str:
    """Run a command to its end and give what it printed.

    Args:
        command: To run.
        expected: Exit code; None for any.
        into: File that its standard output goes to; what it prints besides is given.
        options: Of `subprocess.run`.

    Raises:
        CommandFailed: It ended with another exit code; its output is in the message.
    """
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    if into is not None:
        streams = {"stdout": into, "stderr": subprocess.PIPE}
    done = subprocess.run(command, text=True, check=False, **streams, **options)
    # Compose gives what it runs a terminal, which has colours.
    printed = _COLOURS.sub("", done.stdout if into is None else done.stderr)
    if expected is not None and done.returncode != expected:
        raise CommandFailed(f"{' '.join(command)} ended with {done.returncode}:\n{printed[-6000:]}")
    return printed


class Platform:
    """Containers, volumes and networks of one project.

    Attributes:
        folder: The copy of the checkout.
        home: Of the engine.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        os.environ["ENGINE_HOME"] = str(home)
        shutil.rmtree(home / "done", ignore_errors=True)
        home.mkdir(parents=True, exist_ok=True)
        prepare(home)
        self._engine = home / "engine"
        self._engine.write_text(
            f"#!/bin/sh\nexport ENGINE_HOME={home} PYTHONPATH={ROOT}\n"
            f'exec {sys.executable} {ROOT}/tests/containers/engine.py "$@"\n'
        )
        self._engine.chmod(0o755)

    def make_images(self) -> None:
        """Make what is not built by compose."""
        began = time.monotonic()
        Images(self.home, run).make()
        sys.stdout.write(f"\nimages of others: made in {time.monotonic() - began:.0f} s\n")

    def copy_checkout(self) -> None:
        """Copy what the containers are made of; what an operator left in the checkout stays out."""
        self.folder.mkdir(exist_ok=True)
        # The users of containers are others, and folders are mounted from here.
        self.folder.chmod(0o755)
        left = shutil.ignore_patterns("__pycache__", "target", "logs", "secrets", ".env")
        for name in _COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.folder / name, ignore=left, dirs_exist_ok=True)
            else:
                shutil.copy(ROOT / name, self.folder / name)

    def build(self, *services: str) -> None:
        """Build the images of services, so that `make up` finds them built."""
        began = time.monotonic()
        self.compose("--profile", "prefect", "--profile", "lake", "build", *services)
        sys.stdout.write(f"\nimages of {', '.join(services)}: built in {time.monotonic() - began:.0f} s\n")

    def make(self, *arguments: str, expected: int | None = 0, **options: Any) -> str:
        """Type `make …` in the checkout."""
        return run(self._make(*arguments), expected=expected, cwd=self.folder, **options)

    def _make(self, *arguments: str) -> list[str]:
        # What was given to the make that runs the tests (ARGS=…) is not for this one.
        own = ["env", "--unset=MAKEFLAGS", "--unset=MAKEOVERRIDES", "--unset=ARGS", "--unset=LOGS"]
        return [*own, "make", "--no-print-directory", f"DOCKER={self._engine}", *arguments]

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Iterator[str]]:
        """Type `make …`, read the lines that it prints, end it with Ctrl-C."""
        process = subprocess.Popen(
            self._make(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            start_new_session=True,
        )
        try:
            yield iter(process.stdout or ())
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=_CTRL_C_SECONDS)

    def engine(self, *arguments: str, expected: int | None = 0) -> str:
        """Ask the engine itself."""
        return run([str(self._engine), *arguments], expected=expected)

    def once(self, *arguments: str, expected: int | None = 0) -> str:
        """Run a command of the program in a container of its own, as the RUNBOOK says."""
        compose = [str(self._engine), "compose", "--file", "deploy/docker-compose.yml", "--profile", "manual"]
        return run(
            [*compose, "run", "--rm", "--no-deps", "analytics-worker", *arguments],
            expected=expected,
            cwd=self.folder,
        )

    def compose(self, *arguments: str, expected: int | None = 0) -> str:
        """Ask compose, as the RUNBOOK does."""
        command = [str(self._engine), "compose", "--file", "deploy/docker-compose.yml", *arguments]
        return run(command, expected=expected, cwd=self.folder)

    def containers(self) -> dict[str, dict[str, Any]]:
        """Describe the containers of the project, by service."""
        names = self.engine(
            "ps", "--all", "--filter", f"label=com.docker.compose.project={PROJECT}", "--format", "{{.Names}}"
        ).split()
        described = json.loads(self.engine("inspect", *names)) if names else []
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in described}

    def container(self, service: str) -> str:
        """Name the container of a service."""
        return str(self.containers()[service]["Name"])

    def is_healthy(self, service: str) -> bool:
        """Whether its health check, run now, says so."""
        name = self.containers().get(service, {}).get("Name")
        if name is None:
            return False
        checked = [str(self._engine), "healthcheck", "run", name]
        return subprocess.run(checked, capture_output=True, check=False).returncode == 0

    def exec(self, service: str, *command: str, expected: int | None = 0) -> str:
        """Run a command inside a container."""
        return self.engine("exec", self.container(service), *command, expected=expected)

    def log(self, service: str) -> str:
        """Return what a service has printed."""
        return self.engine("logs", self.container(service))

    def mongo(self, script: str) -> str:
        """Let mongosh run a script on the collection's database."""
        return self.exec("mongo", "mongosh", "--quiet", "mongodb://mongo:27017/claude_logs", "--eval", script)

    def insert(
        self, session: str, number: int, *, when: str = "new Date(Date.UTC(2026, 9, 5, 9, 0, place))"
    ) -> None:
        """Insert documents of one session, of a time in the words of mongosh, into the collection."""
        self.mongo(
            f"""db.conversations.insertMany(Array.from({{length: {number}}}, (_, place) => ({{
                type: "user", uuid: "{session}-" + place, sessionId: "{session}", projectId: "-home-dev-box",
                timestamp: {when}.toISOString(), cwd: "/home/dev/box",
                message: {{role: "user", content: "line " + place}}, sourceFile: "{session}.jsonl",
                ingestedAt: new Date()}})))"""
        )

    def remove(self) -> None:
        """Remove all containers, volumes and networks; images stay."""
        # Each with those that depend on it: `--all` leaves some of them. External: of a broken build.
        for _ in range(_ATTEMPTS):
            for each in self.engine("ps", "--all", "--external", "--quiet").split():
                self.engine("rm", "--force", "--depend", "--time", "2", each, expected=None)
        self.engine("volume", "prune", "--force", expected=None)
        self.engine("network", "prune", "--force", expected=None)
        _forget_names()

    def leftovers(self) -> list[str]:
        """Name what `remove` should have ended or unmounted: processes, mounts."""
        monitors = [each for each in _command_lines() if "conmon" in each.split(" ")[0]]
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        return [each[:_SHOWN] for each in monitors + mounts if str(self.home) in each]


def _command_lines() -> list[str]:
    """Return those of all processes."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def _forget_names() -> None:
    """Drop the names of containers that were killed together with their monitors.

    Podman keeps names per network in one folder for all homes. A file that is left there names the gateway of
    a network that is gone, so in the next network of that name nobody finds anybody.
    """
    running = "\n".join(_command_lines())
    left = False
    for file in _NAMES.glob(f"{PROJECT}_*"):
        containers = [line.split(" ")[0] for line in file.read_text(encoding="utf-8").splitlines()[1:]]
        if not any(each in running for each in containers):
            file.unlink()
            left = True
    server = _NAMES / "aardvark.pid"
    if left and server.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(server.read_text(encoding="utf-8")), signal.SIGHUP)


def fetched(url: str) -> tuple[int, str]:
    """Fetch an address; gives status and body, 0 and the cause if nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - ours
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


@contextmanager
def downloads(folder: Path) -> Iterator[str]:
    """Serve the two files of Metabase's image, as its releases would; gives the address."""
    list(jars(folder))
    handler = functools.partial(_Quiet, directory=str(folder))
    with _serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as port:
        yield f"http://127.0.0.1:{port}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Say nothing."""


class Receiver:
    """Where alerts go.

    Attributes:
        port: It listens at, on all addresses.
        received: Bodies, in order.
    """

    def __init__(self) -> None:
        self.port = 0
        self.received: list[dict[str, Any]] = []

    def names(self, status: str) -> set[str]:
        """Name the alerts that came as `firing` or `resolved`."""
        alerts = [alert for body in self.received for alert in body["alerts"]]
        return {alert["labels"]["alertname"] for alert in alerts if alert["status"] == status}


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listen for alerts of Alertmanager."""
    found = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
            """Say nothing."""

    # Containers come by the bridge's address.
    with _serving(http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)) as port:  # noqa: S104
        found.port = port
        yield found


@contextmanager
def _serving(server: http.server.ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
