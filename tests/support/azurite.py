"""Azurite, Microsoft's own server for tests of Azure's storage; npm fetches it once."""

import base64
import hashlib
import hmac
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run

import pytest
import requests

from batch.lake.guarded import GuardedServer
from batch.mongod.server import LOOPBACK, free_port
from tests.support.patience import patience

VERSION = "3.35.0"
CONTAINER = "bucket"
_ACCOUNT = "logs"
_CACHE = Path.home() / ".cache" / "claude-analytics" / f"azurite-{VERSION}"


class Azurite(GuardedServer):
    """A server with one account and an empty container, all in memory.

    Args:
        folder: Of its log.

    Attributes:
        key: That opens the account.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._port = free_port()
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._endpoint = f"http://{LOOPBACK}:{self._port}/{_ACCOUNT}"

    def environment(self) -> dict[str, str]:
        """Return what finds and opens it."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": self.key,
            "AZURE_STORAGE_ENDPOINT": self._endpoint,
        }

    def start(self) -> None:
        """Start it, and make the container; skips the test where there is no Node.js."""
        program = _program()
        self._folder.mkdir(parents=True, exist_ok=True)
        words = ("--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AZURITE_ACCOUNTS", f"{_ACCOUNT}:{self.key}")
            self._run(
                ["node", str(program), "--blobPort", str(self._port), *words],
                log=self._folder / "azurite.log",
                grace_seconds=5,
            )
        assert self._wait_until(self._made_container, seconds=patience(60)), "Azurite does not answer"

    def _made_container(self) -> bool:
        now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": now, "x-ms-version": "2021-08-06"}
        lines = ["PUT", *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())]
        signed = "\n".join([*lines, f"/{_ACCOUNT}/{_ACCOUNT}/{CONTAINER}", "restype:container"]).encode()
        mac = hmac.new(base64.b64decode(self.key), signed, hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(mac).decode()}"
        url = f"{self._endpoint}/{CONTAINER}?restype=container"
        try:
            return requests.put(url, headers=headers, timeout=20).status_code == requests.codes.created
        except requests.ConnectionError:
            return False


def _program() -> Path:
    program = _CACHE / "node_modules/azurite/dist/src/blob/main.js"
    if not program.exists():
        if shutil.which("node") is None or shutil.which("npm") is None:
            pytest.skip("there is no Node.js for Azurite")
        package = f"azurite@{VERSION}"
        fetch = ["npm", "install", "--prefix", str(_CACHE), "--no-audit", "--no-fund", package]
        if run(fetch, capture_output=True, check=False).returncode:
            pytest.skip(f"npm cannot fetch {package}")
    return program
