"""Which account of Azure the environment means: by the words of Azure's own tools and of obstore's."""

import os

import pytest

from stream.errors import StorageRefusedError
from stream.storage.azure import AzureAccount, find_account

SIGNED = {"SAS_TOKEN": "sv=1&sig=s%3D"}


@pytest.fixture(autouse=True)
def no_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)


def found(monkeypatch: pytest.MonkeyPatch, **said: str) -> AzureAccount:
    for name, value in said.items():
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    return find_account()


@pytest.mark.parametrize(
    "said",
    [
        {"ACCOUNT_NAME": "logs", "ACCOUNT_KEY": "k=="},
        {"ACCOUNT": "logs", "KEY": "k=="},
        {"CONNECTION_STRING": "DefaultEndpointsProtocol=https;AccountName=logs;AccountKey=k==;"},
        {"CONNECTION_STRING": "AccountName=logs;AccountKey=k==", "ACCOUNT": "others", "KEY": "else"},
    ],
    ids=["obstore", "command line", "connection string", "connection string first"],
)
def test_an_account_and_its_key(monkeypatch: pytest.MonkeyPatch, said: dict[str, str]) -> None:
    """The key may end with what else parts name and value, and is in no repr."""
    account = found(monkeypatch, **said)
    expected = AzureAccount("logs", "k==", None, "https://logs.blob.core.windows.net")
    assert expected == account
    assert ("logs.dfs.core.windows.net", False) == (account.host, account.is_elsewhere)
    assert "k==" not in repr(account)
    assert "the environment: a key of the account `logs`" == account.found


@pytest.mark.parametrize(
    ("said", "host", "is_other_server"),
    [
        ({"ENDPOINT": "https://logs.blob.core.chinacloudapi.cn/"}, "logs.dfs.core.chinacloudapi.cn", False),
        (
            {"CONNECTION_STRING": "AccountName=logs;EndpointSuffix=core.usgovcloudapi.net"},
            "logs.dfs.core.usgovcloudapi.net",
            False,
        ),
        ({"ENDPOINT": "http://127.0.0.1:10000/logs"}, "logs.dfs.core.windows.net", True),
    ],
    ids=["another cloud", "its suffix", "another server"],
)
def test_where_it_is(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], host: str, *, is_other_server: bool
) -> None:
    """Tables name the host of its files, whatever server stands for it."""
    account = found(monkeypatch, ACCOUNT_NAME="logs", **SIGNED, **said)
    assert (host, is_other_server) == (account.host, account.is_elsewhere)
    assert "sv=1&sig=s%3D" == account.sas_token
    assert "s%3D" not in repr(account)
    assert "the environment: a signature for the account `logs`" == account.found


def test_without_a_name_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key alone opens nothing."""
    with pytest.raises(StorageRefusedError, match="no storage account is named"):
        found(monkeypatch, ACCOUNT_KEY="k==")
