"""The promises of a storage, kept where Azure and Google Cloud Storage are: by servers made for tests."""

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.errors import StorageRefusedError, StorageUnavailableError
from stream.storage.objects import ObjectStorage, credentials_of
from stream.storage.storage import Storage
from tests.integration import test_storage as promises
from tests.support.azurite import CONTAINER, Azurite
from tests.support.google_server import BUCKET, GoogleServer


@pytest.fixture
def azure_storage(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Return an empty place in the container."""
    for name, value in azurite.environment().items():
        monkeypatch.setenv(name, value)
    return ObjectStorage(f"az://{CONTAINER}/{secrets.token_hex(4)}")


@pytest.fixture
def google_storage(google: GoogleServer, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Return an empty place in the bucket."""
    for name, value in google.environment().items():
        monkeypatch.setenv(name, value)
    return ObjectStorage(f"gs://{BUCKET}/{secrets.token_hex(4)}")


@pytest.fixture(params=["azure", "google"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """Return an empty place in one of them."""
    storage: Storage = request.getfixturevalue(f"{request.param}_storage")
    return storage


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
def test_a_cloud_keeps_what_every_storage_promises(
    storage: Storage, promise: Callable[[Storage], None]
) -> None:
    """The same tests as of a folder and of S3."""
    promise(storage)


def test_it_is_said_what_opens_it(
    storage: Storage, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Never by showing it."""
    found = str(credentials_of(storage.url))
    assert ("a key of the account `logs`" in found) or ("GOOGLE_APPLICATION_CREDENTIALS" in found)
    assert azurite.key not in found
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AZURE_STORAGE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    assert credentials_of(storage.url) is None


def test_a_wrong_key_is_refused_without_being_shown(
    azure_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a person."""
    wrong = base64.b64encode(b"not the secret one, but as long!").decode()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", wrong)
    with pytest.raises(StorageRefusedError, match="cannot write `a`") as caught:
        ObjectStorage(azure_storage.url).put("a", b"x")
    assert wrong not in caught.value.message


def test_a_bucket_that_is_not_there_is_refused(storage: Storage) -> None:
    """It is not waited for."""
    scheme = storage.url.partition("://")[0]
    with pytest.raises(StorageRefusedError, match="no such bucket"):
        list(ObjectStorage(f"{scheme}://nobody-made-it").list_after("landing"))


def test_a_server_that_does_not_answer_may_answer_later(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at the endpoint."""
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:9/logs")
    monkeypatch.setenv("GOOGLE_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageUnavailableError, match="cannot write `a`"):
        ObjectStorage(storage.url).put("a", b"x")


def test_azure_is_opened_by_the_words_of_its_own_tools(
    azure_storage: Storage, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Account and key under the other names, or all in a connection string."""
    azure_storage.put("a", b"x")
    said = azurite.environment()
    for name in said:
        monkeypatch.delenv(name)
    name, key, endpoint = said.values()
    with monkeypatch.context() as patch:
        patch.setenv("AZURE_STORAGE_ACCOUNT", name)
        patch.setenv("AZURE_STORAGE_KEY", key)
        patch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
        assert b"x" == ObjectStorage(azure_storage.url).get("a")
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING", f"AccountName={name};AccountKey={key};BlobEndpoint={endpoint};"
    )
    assert b"x" == ObjectStorage(azure_storage.url).get("a")


def test_without_an_account_azure_is_refused() -> None:
    """It is named in no URL."""
    with pytest.raises(StorageRefusedError, match="no storage account is named"):
        ObjectStorage("az://bucket/place")
