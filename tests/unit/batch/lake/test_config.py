"""One catalog, in Spark's words and in PyIceberg's; no secret where others can see it."""

import pytest
from pydantic import SecretStr

from batch.lake.config import LakeConfig, require_catalog_uri
from batch.settings import properties_of
from stream.errors import SettingsError

URI = "postgresql://ana:p%40ss@db.example:5433/lake?sslmode=verify-full"


@pytest.fixture(autouse=True)
def no_amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def test_a_jdbc_catalog_is_the_same_for_both() -> None:
    """Address, account, and the name under which tables are found."""
    config = LakeConfig(SecretStr(URI), "file:///var/lake")

    spark, python = config.catalog_settings(), config.pyiceberg_settings()

    assert "jdbc:postgresql://db.example:5433/lake?sslmode=verify-full" == spark["spark.sql.catalog.lake.uri"]
    assert "ana" == spark["spark.sql.catalog.lake.jdbc.user"]
    assert "p@ss" == spark["spark.sql.catalog.lake.jdbc.password"]
    assert python["uri"] == URI.replace("postgresql://", "postgresql+psycopg2://")
    assert ("file:///var/lake",) * 2 == (spark["spark.sql.catalog.lake.warehouse"], python["warehouse"])


def test_a_rest_catalog_is_the_same_for_both() -> None:
    """Address, warehouse and credentials; it may put tables in a bucket wherever the log is."""
    said = {
        "credential": "ana:keep-me",
        "oauth2-server-uri": "https://accounts.example/token",
        "s3.region": "eu-west-1",
    }
    config = LakeConfig(
        SecretStr("https://catalog.example/api"),
        "file:///var/lake",
        warehouse="main",
        catalog_properties=said,
    )

    spark, python = config.catalog_settings(), config.pyiceberg_settings()

    expected = said | {"type": "rest", "uri": "https://catalog.example/api", "warehouse": "main"}
    assert expected == python
    assert expected == {name: spark[f"spark.sql.catalog.lake.{name}"] for name in expected}
    assert (False, True) == (config.is_jdbc, config.is_remote)
    assert "keep-me" not in repr(config) + str(config.session_settings())


def test_a_rest_catalog_without_a_name_for_it_gets_the_place() -> None:
    """As the clients send it; they ask the catalog itself for tokens unless something else is named."""
    known = {"token": "keep-me"}
    config = LakeConfig(SecretStr("https://catalog.example/"), "s3://bucket/lake", catalog_properties=known)
    python = config.pyiceberg_settings()
    assert "s3://bucket/lake" == python["warehouse"]
    assert "https://catalog.example/v1/oauth/tokens" == python["oauth2-server-uri"]


@pytest.mark.parametrize("text", ["keep-me", '["keep-me"]', '{"scope": 7}'])
def test_other_properties_are_refused(text: str) -> None:
    """Without a word of what they are."""
    with pytest.raises(ValueError, match="JSON object") as found:
        properties_of(SecretStr(text))
    assert "keep-me" not in str(found.value)


def test_nothing_secret_is_in_what_spark_starts_with() -> None:
    """Spark's settings at its start are words of a command line, which everybody on the machine can read."""
    config = LakeConfig(SecretStr(URI), "file:///var/lake")

    assert "p%40ss" not in str(config.session_settings())
    assert "p@ss" not in str(config.session_settings())
    assert "p%40ss" not in repr(config)


def test_an_endpoint_of_the_environment_is_passed_on_and_keys_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both find the keys by themselves."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "keep-me")
    config = LakeConfig(SecretStr(URI), "s3://bucket/lake")

    spark = config.catalog_settings()

    assert "http://127.0.0.1:9000" == spark["spark.sql.catalog.lake.s3.endpoint"]
    assert "eu-central-1" == spark["spark.sql.catalog.lake.client.region"]
    assert "http://127.0.0.1:9000" == config.pyiceberg_settings()["s3.endpoint"]
    assert "keep-me" not in str(spark) + str(config.pyiceberg_settings())


def test_without_a_catalog_the_setting_is_named() -> None:
    """And what to set it to."""
    with pytest.raises(SettingsError, match="CATALOG_URI"):
        require_catalog_uri(None)
