"""Settings of the stream: from the environment, checked, secrets hidden."""

import os
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
    """Groups, names and defaults are a contract."""
    mongo, data, stream = read(MongoSettings), read(DataSettings), read(StreamSettings)

    assert "mongodb://localhost:27017" == mongo.uri.get_secret_value()
    assert "claude_logs.conversations" == mongo.namespace
    assert Path("data") == data.data_dir
    assert (Path("data/landing"), Path("data/dead_letter"), Path("data/serving")) == (
        data.landing_dir,
        data.dead_letter_dir,
        data.serving_dir,
    )
    assert (10_000, timedelta(seconds=2)) == (stream.batch_size, stream.max_age)
    assert read(DuckDBSettings).path is None
    assert "127.0.0.1" == read(MetricsSettings).host
    assert "info" == read(LoggingSettings).level


def test_the_environment_counts(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are those of docs/settings.md."""
    for name, value in {
        "MONGO_URI": "mongodb+srv://app:geheim@db.example",
        "MONGO_DB": "a",
        "MONGO_COLLECTION": "b",
        "STREAM_MAX_AGE_SECONDS": "0.5",
        "LOG_LEVEL": "DEBUG",
    }.items():
        monkeypatch.setenv(name, value)

    mongo = read(MongoSettings)

    assert "mongodb+srv://app:geheim@db.example" == mongo.uri.get_secret_value()
    assert "a.b" == mongo.namespace
    assert timedelta(seconds=0.5) == read(StreamSettings).max_age
    assert "debug" == read(LoggingSettings).level


def test_the_file_counts_less_than_the_environment(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.env` in the working folder, in UTF-8; what it says of others is not ours."""
    (clean_environment / ".env").write_text(
        "MONGO_DB=aus_der_Datei_ä\nMONGO_COLLECTION=c\nOTHER=1\n", "utf-8"
    )
    monkeypatch.setenv("MONGO_COLLECTION", "environment")

    assert "aus_der_Datei_ä.environment" == read(MongoSettings).namespace


def test_a_secret_is_not_in_the_repr(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever prints settings prints no password."""
    monkeypatch.setenv("MONGO_URI", "mongodb://app:geheim@db")

    assert "geheim" not in repr(read(MongoSettings)) + str(read(MongoSettings).model_dump())


def test_a_file_may_hold_the_value(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`NAME_FILE` names it, in the environment or `.env`; the newline that editors add is no part of it."""
    (clean_environment / "uri").write_text("mongodb://app:geheim@db/?replicaSet=rs0\n", "utf-8")
    (clean_environment / "rows").write_text("5", "utf-8")
    (clean_environment / ".env").write_text("STREAM_MAX_ROWS_FILE=rows\n", "utf-8")
    monkeypatch.setenv("MONGO_URI_FILE", str(clean_environment / "uri"))

    assert "mongodb://app:geheim@db/?replicaSet=rs0" == read(MongoSettings).uri.get_secret_value()
    assert 5 == read(StreamSettings).max_rows

    monkeypatch.setenv("MONGO_URI_FILE", "")  # compose files pass on what nobody has set
    assert "mongodb://localhost:27017" == read(MongoSettings).uri.get_secret_value()


def test_a_value_and_a_file_are_too_much(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the two is meant is not ours to guess."""
    (clean_environment / "uri").write_text("mongodb://one", "utf-8")
    monkeypatch.setenv("MONGO_URI_FILE", "uri")
    monkeypatch.setenv("MONGO_URI", "mongodb://app:geheim@two")

    with pytest.raises(SettingsError, match="`MONGO_URI` and `MONGO_URI_FILE` are both set") as caught:
        read(MongoSettings)
    assert "keep one" in caught.value.hint
    assert "geheim" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("content", "said", "hint"),
    [
        (None, "the file that `MONGO_URI_FILE` names, `uri`", "readable for this user"),
        (b"\xff\xfe", "the file that `MONGO_URI_FILE` names, `uri`", "readable for this user"),
        (b"geheim", "must begin with mongodb://", ""),
    ],
    ids=["missing", "not text", "no address"],
)
def test_a_file_that_cannot_be_used_is_said(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str, hint: str
) -> None:
    """Neither the default nor half a value takes its place, and what is in it is not printed."""
    if content is not None:
        (clean_environment / "uri").write_bytes(content)
    monkeypatch.setenv("MONGO_URI_FILE", "uri")

    with pytest.raises(SettingsError, match=said) as caught:
        read(MongoSettings)
    assert hint in caught.value.hint
    assert "geheim" not in caught.value.message


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
    (DataSettings, "DATA_URL", "ftp://bucket", "must be a folder, or begin with"),
    (DataSettings, "DATA_URL", "s3://", "name a bucket"),
    (DataSettings, "DATA_URL", "s3://key:geheim@bucket/prefix", "must hold no credentials"),
    (DataSettings, "DATA_URL", "az://container/prefix?sig=geheim", "must hold no credentials"),
    (DataSettings, "DATA_URL", "data/*", "must not hold any of"),
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


def test_an_unreadable_file_is_an_error_with_a_sentence(clean_environment: Path) -> None:
    """`.env` in another encoding, or in a folder that this user may not look into: no traceback."""
    (clean_environment / ".env").write_bytes(b"MONGO_DB=\xff")
    with pytest.raises(SettingsError, match=r"cannot read `\.env` of the working folder") as caught:
        read(MongoSettings)
    assert 2 == caught.value.exit_code

    (clean_environment / ".env").unlink()
    clean_environment.chmod(0o000)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(10001)
        with pytest.raises(SettingsError, match="Permission denied"):
            read(MongoSettings)
    finally:
        os.seteuid(user)
        clean_environment.chmod(0o700)


def test_places_are_a_folder_or_a_bucket(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder takes the place of DATA_DIR for what lands; nothing is there of a bucket."""
    assert Path("data/landing") == read(DataSettings).landing_dir
    monkeypatch.setenv("DATA_URL", "/mnt/logs")
    assert (Path("/mnt/logs/landing"), False) == (
        read(DataSettings).landing_dir,
        read(DataSettings).is_remote,
    )
    monkeypatch.setenv("DATA_URL", "gs://logs/claude/")
    assert ("gs://logs/claude", True) == (read(DataSettings).url, read(DataSettings).is_remote)


def test_windows_for_objects_are_larger_unless_set(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each object is a request that costs; what somebody has set is kept."""
    monkeypatch.setenv("STREAM_MAX_AGE_SECONDS", "1")
    settings = read(StreamSettings).for_objects()
    assert (1, 32_000_000) == (settings.max_age_seconds, settings.max_size_bytes)
