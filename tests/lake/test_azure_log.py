"""The promises of a storage, kept on Azurite, Microsoft's own server for tests; npm fetches it once."""

import base64
import hashlib
import hmac
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from stream.errors import StorageRefusedError, StorageUnavailableError
from stream.storage.objects import ObjectStorage
from stream.storage.storage import Storage
from tests.integration import test_storage as promises
from tests.support.patience import patience

_VERSION = "3.35.0"
_CACHE = Path.home() / ".cache" / "claude-analytics" / f"azurite-{_VERSION}"
_ACCOUNT = "logs"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None, reason="there is no Node.js for Azurite"
)


@pytest.fixture(scope="module")
def azure() -> Iterator[dict[str, str]]:
    """Run a server with an empty container `bucket`; return what finds it."""
    program = _CACHE / "node_modules/azurite/dist/src/blob/main.js"
    if not program.exists():
        package = f"azurite@{_VERSION}"
        fetch = ["npm", "install", "--prefix", str(_CACHE), "--no-audit", "--no-fund", package]
        if subprocess.run(fetch, capture_output=True, check=False).returncode:
            pytest.skip(f"npm cannot fetch {package}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    endpoint = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    server = subprocess.Popen(
        [
            shutil.which("node") or "node",
            str(program),
            "--blobPort",
            port,
            "--inMemoryPersistence",
            "--silent",
            "--disableTelemetry",
        ],
        env={**os.environ, "AZURITE_ACCOUNTS": f"{_ACCOUNT}:{key}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        give_up_at = time.monotonic() + patience()
        while not _made_container(endpoint, key):
            assert server.poll() is None, "Azurite ended"
            assert time.monotonic() < give_up_at, "Azurite does not answer"
            time.sleep(0.1)
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": key,
            "AZURE_STORAGE_ENDPOINT": endpoint,
        }
    finally:
        server.kill()
        server.wait()


def _made_container(endpoint: str, key: str) -> bool:
    now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": now, "x-ms-version": "2021-08-06"}
    lines = ["PUT", *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())]
    signed = "\n".join([*lines, f"/{_ACCOUNT}/{_ACCOUNT}/bucket", "restype:container"]).encode()
    signature = base64.b64encode(hmac.new(base64.b64decode(key), signed, hashlib.sha256).digest()).decode()
    headers["Authorization"] = f"SharedKey {_ACCOUNT}:{signature}"
    try:
        answer = requests.put(f"{endpoint}/bucket?restype=container", headers=headers, timeout=20)
    except requests.ConnectionError:
        return False
    return answer.status_code == requests.codes.created


@pytest.fixture
def storage(azure: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Return an empty place in the container."""
    for name, value in azure.items():
        monkeypatch.setenv(name, value)
    return ObjectStorage(f"az://bucket/{secrets.token_hex(4)}")


@pytest.mark.parametrize(
    "promise",
    [
        promises.test_a_content_is_kept_replaced_and_removed,
        promises.test_of_those_who_create_the_same_key_one_wins,
        promises.test_to_create_the_same_again_is_no_lost_race,
        promises.test_a_part_of_a_content_can_be_read,
        promises.test_a_list_begins_behind_a_key_and_is_in_order,
        promises.test_every_write_is_seen_in_the_list,
    ],
    ids=lambda promise: promise.__name__.removeprefix("test_"),
)
def test_azure_keeps_what_every_storage_promises(
    storage: Storage, promise: Callable[[Storage], None]
) -> None:
    """The same tests as of a folder and of S3."""
    promise(storage)


def test_a_wrong_key_is_refused_without_being_shown(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a person."""
    wrong = base64.b64encode(b"not the secret one, but as long!").decode()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", wrong)
    with pytest.raises(StorageRefusedError, match="cannot write `a`") as caught:
        ObjectStorage(storage.url).put("a", b"x")
    assert wrong not in caught.value.message


def test_a_container_that_is_not_there_is_refused(storage: Storage) -> None:
    """It is not waited for."""
    with pytest.raises(StorageRefusedError, match="no such bucket"):
        list(ObjectStorage("az://nobody-made-it").list_after("landing"))


def test_a_server_that_does_not_answer_may_answer_later(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at the endpoint."""
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:9/logs")
    with pytest.raises(StorageUnavailableError, match="cannot write `a`"):
        ObjectStorage(storage.url).put("a", b"x")
