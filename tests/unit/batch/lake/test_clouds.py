"""The same bucket in Spark's words and in PyIceberg's."""

import os

import pytest

from batch.lake.clouds import pyiceberg_storage, spark_storage, table_url

HOST = "logs.dfs.core.windows.net"


@pytest.fixture(autouse=True)
def an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "logs")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("az://box/claude/tables", f"abfss://box@{HOST}/claude/tables"),
        ("az://box", f"abfss://box@{HOST}"),
        ("gs://bucket/claude", "gs://bucket/claude"),
        ("s3://bucket/claude", "s3://bucket/claude"),
        ("file:///var/lake", "file:///var/lake"),
    ],
)
def test_urls_of_tables(url: str, expected: str) -> None:
    """Azure's name the account, which DATA_URL does not."""
    assert expected == table_url(url)


def test_azure_by_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are given it."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "k==")
    spark, python = spark_storage("abfss"), pyiceberg_storage("abfss")
    assert ("logs", "k==") == tuple(spark[f"adls.auth.shared-key.account.{name}"] for name in ("name", "key"))
    assert ("logs", "k==") == (python["adls.account-name"], python["adls.account-key"])
    assert "logs.blob.core.windows.net" == python["adls.account-host"]


def test_azure_by_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are given it; a key would count more."""
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=s")
    assert "sv=1&sig=s" == spark_storage("abfss")[f"adls.sas-token.{HOST}"]
    assert "sv=1&sig=s" == pyiceberg_storage("abfss")["adls.sas-token"]


def test_azure_by_an_identity() -> None:
    """Nothing is given: both ask for it by themselves."""
    assert ["io-impl"] == list(spark_storage("abfss"))
    assert {"adls.account-name", "adls.account-host"} == set(pyiceberg_storage("abfss"))


def test_another_server_in_the_place_of_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables name the account as ever."""
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:10000/logs")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "k==")
    assert "http://127.0.0.1:10000/logs" == spark_storage("abfss")[f"adls.connection-string.{HOST}"]
    said = pyiceberg_storage("abfss")["adls.connection-string"]
    assert "AccountName=logs;AccountKey=k==;BlobEndpoint=http://127.0.0.1:10000/logs;" == said


def test_an_identity_at_another_address_of_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a private name: there is no secret to put into a connection string."""
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "https://logs.example.org")
    assert "https://logs.example.org" == spark_storage("abfss")[f"adls.connection-string.{HOST}"]
    expected = {"adls.account-name": "logs", "adls.account-host": "logs.example.org"}
    assert expected == pyiceberg_storage("abfss")


def test_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials are found as Google's tools find them, at its usual place or another."""
    assert {} == pyiceberg_storage("gs")
    assert "APPLICATION_DEFAULT" == spark_storage("gs")["hadoop.fs.gs.auth.type"]
    monkeypatch.setenv("GOOGLE_BASE_URL", "https://storage.example")
    assert "https://storage.example" == spark_storage("gs")["hadoop.fs.gs.storage.root.url"]
    assert {"gcs.service.host": "https://storage.example"} == pyiceberg_storage("gs")


def test_a_folder_needs_nothing() -> None:
    """Of any cloud."""
    assert ({}, {}) == (spark_storage("file"), pyiceberg_storage("file"))
