"""A server for tests that speaks as Google Cloud Storage does; Go's module proxy has it, built once.

`fake-gcs-server` keeps the objects; `google_front` says to it in JSON what it does not understand.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from subprocess import run
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from batch.lake.guarded import GuardedServer
from batch.mongod.server import LOOPBACK, free_port
from tests.support.paths import ROOT
from tests.support.patience import patience

VERSION = "1.56.1"
BUCKET = "bucket"
_CACHE = Path.home() / ".cache" / "claude-analytics" / f"fake-gcs-server-{VERSION}"


class GoogleServer(GuardedServer):
    """A server with an empty bucket, all in memory.

    Args:
        folder: Of its log.
        account: File that the credentials of a service account are written to.
    """

    def __init__(self, folder: Path, account: Path) -> None:
        super().__init__()
        self._folder = folder
        self._account = account
        self._port = free_port()
        self._front = _Front(folder)

    def environment(self) -> dict[str, str]:
        """Return what finds it, and the credentials of a service account, which it does not look at."""
        return {
            "GOOGLE_BASE_URL": self._front.endpoint,
            "GOOGLE_APPLICATION_CREDENTIALS": str(self._account),
        }

    def start(self) -> None:
        """Start it, and make the bucket; skips the test where there is no Go."""
        program, front = _program(), self._front.endpoint
        self._folder.mkdir(parents=True, exist_ok=True)
        self._front.before = f"http://{LOOPBACK}:{self._port}"
        self._front.start()
        self._account.write_text(json.dumps(_account(f"{front}/token")))
        words = ("-scheme", "http", "-host", LOOPBACK, "-port", str(self._port), "-backend", "memory")
        named = ("-public-host", urlsplit(front).netloc, "-external-url", front)
        self._run([str(program), *words, *named], log=self._folder / "google.log", grace_seconds=5)
        assert self._wait_until(self._made_bucket, seconds=patience(60)), "fake-gcs-server does not answer"

    def stop(self) -> None:
        """Stop both."""
        self._front.stop()
        super().stop()

    def _made_bucket(self) -> bool:
        url = f"{self._front.endpoint}/storage/v1/b?project=none"
        try:
            return requests.post(url, json={"name": BUCKET}, timeout=20).ok
        except requests.ConnectionError:
            return False


class _Front(GuardedServer):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._port = free_port()
        self.endpoint = f"http://{LOOPBACK}:{self._port}"
        self.before = ""

    def start(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(ROOT))
            words = [sys.executable, "-m", "tests.support.google_front", str(self._port), self.before]
            self._run(words, log=self._folder / "front.log", grace_seconds=5)


def _account(token_uri: str) -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "none",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "tests@none.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }


def _program() -> Path:
    program = _CACHE / "fake-gcs-server"
    if not program.exists():
        if shutil.which("go") is None:
            pytest.skip("there is no Go to build fake-gcs-server")
        _CACHE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=_CACHE.parent) as folder:
            build = ["go", "install", f"github.com/fsouza/fake-gcs-server@v{VERSION}"]
            if run(build, env={**os.environ, "GOBIN": folder}, capture_output=True, check=False).returncode:
                pytest.skip("Go cannot fetch and build fake-gcs-server")
            _CACHE.mkdir(exist_ok=True)
            (Path(folder) / "fake-gcs-server").replace(program)
    return program
