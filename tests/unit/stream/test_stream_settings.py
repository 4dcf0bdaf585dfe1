"""Settings of the stream: from the environment, checked, secrets hidden."""

from datetime import timedelta
from pathlib import Path

import pytest

from stream.errors import SettingsError
from stream.settings import (
    DataSettings,
    DuckDBSettings,
    LoggingSettings,
    MetricsSettings,
    MongoSettings,
    StreamSettings,
    read,
)


def test_without_an_environment_the_documented_defaults_hold(clean_environment: Path) -> None:
    """DESIGN names them."""
    mongo, data, stream = read(MongoSettings), read(DataSettings), read(StreamSettings)

    assert mongo.uri.get_secret_value() == "mongodb://localhost:27017"
    assert mongo.namespace == "claude_logs.conversations"
    assert data.data_dir == Path("data")
    assert (data.landing_dir, data.dead_letter_dir, data.serving_dir) == (
        Path("data/landing"),
        Path("data/dead_letter"),
        Path("data/serving"),
    )
    assert (stream.batch_size, stream.max_age) == (10_000, timedelta(seconds=2))
    assert read(DuckDBSettings).path is None
    assert read(MetricsSettings).host == "127.0.0.1"
    assert read(LoggingSettings).level == "info"


def test_the_environment_counts(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are those of the table in the README."""
    for name, value in {
        "MONGO_URI": "mongodb+srv://app:geheim@db.example",
        "MONGO_DB": "a",
        "MONGO_COLLECTION": "b",
        "STREAM_MAX_AGE_SECONDS": "0.5",
        "LOG_LEVEL": "DEBUG",
    }.items():
        monkeypatch.setenv(name, value)

    mongo = read(MongoSettings)

    assert mongo.uri.get_secret_value() == "mongodb+srv://app:geheim@db.example"
    assert mongo.namespace == "a.b"
    assert read(StreamSettings).max_age == timedelta(seconds=0.5)
    assert read(LoggingSettings).level == "debug"


def test_the_file_counts_less_than_the_environment(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.env` in the working folder, in UTF-8; what it says of others is not ours."""
    (clean_environment / ".env").write_text(
        "MONGO_DB=aus_der_Datei_ä\nMONGO_COLLECTION=c\nOTHER=1\n", "utf-8"
    )
    monkeypatch.setenv("MONGO_COLLECTION", "environment")

    assert read(MongoSettings).namespace == "aus_der_Datei_ä.environment"


def test_a_secret_is_not_in_the_repr(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever prints settings prints no password."""
    monkeypatch.setenv("MONGO_URI", "mongodb://app:geheim@db")

    assert "geheim" not in repr(read(MongoSettings)) + str(read(MongoSettings).model_dump())


WRONG = [
    (StreamSettings, "BATCH_SIZE", "many", "`BATCH_SIZE`: input should be a valid integer"),
    (StreamSettings, "BATCH_SIZE", "0", "`BATCH_SIZE`: input should be greater than or equal to 1"),
    (StreamSettings, "STREAM_MAX_ROWS", "-1", "`STREAM_MAX_ROWS`"),
    (StreamSettings, "STREAM_MAX_AGE_SECONDS", "0", "`STREAM_MAX_AGE_SECONDS`"),
    (MetricsSettings, "METRICS_PORT", "70000", "`METRICS_PORT`"),
    (LoggingSettings, "LOG_LEVEL", "loud", "`LOG_LEVEL`"),
    (LoggingSettings, "LOG_FORMAT", "xml", "`LOG_FORMAT`"),
    (DuckDBSettings, "DUCKDB_THREADS", "0", "`DUCKDB_THREADS`"),
    (DuckDBSettings, "DUCKDB_LEASE_TIMEOUT_SECONDS", "-1", "`DUCKDB_LEASE_TIMEOUT_SECONDS`"),
    (MongoSettings, "MONGO_URI", "http://app:geheim@db", "must begin with mongodb:// or mongodb+srv://"),
]


@pytest.mark.parametrize(
    ("group", "name", "value", "said"), WRONG, ids=[f"{one[1]}={one[2]}" for one in WRONG]
)
@pytest.mark.usefixtures("clean_environment")
def test_a_wrong_value_is_named_and_not_printed(
    monkeypatch: pytest.MonkeyPatch, group: type[StreamSettings], name: str, value: str, said: str
) -> None:
    """Exit code 2; the name and the rule are in the message, the value is not."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        read(group)
    assert said in caught.value.message
    assert "geheim" not in str(caught.value)
    assert ".env" in caught.value.hint


def test_all_wrong_values_are_named(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to correct them one by one."""
    monkeypatch.setenv("BATCH_SIZE", "x")
    monkeypatch.setenv("STREAM_MAX_ROWS", "y")

    with pytest.raises(SettingsError, match=r"`BATCH_SIZE`.*`STREAM_MAX_ROWS`"):
        read(StreamSettings)
