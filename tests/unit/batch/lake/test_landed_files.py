"""Landed files by their names, in a folder and in a bucket."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batch.lake.landed import unregistered
from batch.lake.landed_files import (
    LANE_OF_FILE,
    STEM_OF_FILE,
    LandedBucket,
    LandedFile,
    LandedFolder,
    name_of,
)
from stream.clock import utc_now
from stream.core.normalise import truncate_marker
from stream.errors import MicroBatchCorruptError
from stream.landing.fenced import FencedZone
from stream.landing.zone import LandingZone
from stream.storage.local import LocalStorage
from stream.storage.storage import Stored
from tests.support.landing import land, land_in, upsert

NAMES = {
    "file:///data/landing/stream/date=2026-01-03/000000000012-0a1b2c3d-ffeeddcc.parquet": (
        "stream/000000000012-0a1b2c3d"
    ),
    "file:///data/landing/stream/date=2026-01-03/000000000012-0a1b2c3d-ffeeddcc.merged.parquet": (
        "stream/000000000012-0a1b2c3d"
    ),
    "s3://logs/claude/landing/stream-2-0of4/000000000007.parquet": "stream-2-0of4/000000000007",
    "s3://logs/landing/backfill-a-1/000000000000.parquet": "backfill-a-1/000000000000",
    "s3://logs/landing/stream/000000000003-000000000012.parquet": "stream/000000000003-000000000012",
}


@pytest.mark.parametrize(
    ("url", "name"), NAMES.items(), ids=["file", "merged file", "object", "backfill", "merged object"]
)
def test_a_name_by_url(url: str, name: str) -> None:
    """Python and Spark read the same in it."""
    lane, stem = (
        re.search(text.split("'")[1].replace("\\\\", "\\"), url) for text in (LANE_OF_FILE, STEM_OF_FILE)
    )

    assert name == name_of(url)
    assert lane
    assert stem
    assert name == f"{lane[1]}/{stem[1]}"


def test_what_is_no_landed_file_is_no_name() -> None:
    """Rather an error than a wrong name."""
    with pytest.raises(ValueError, match="somewhere"):
        name_of("s3://logs/somewhere.parquet")


def bucket_in(folder: Path) -> tuple[FencedZone, LandedBucket]:
    """Return a bucket, of which a folder is as good as any."""
    zone = FencedZone(LocalStorage(folder), clock=utc_now)
    return zone, LandedBucket(zone)


def test_objects_say_what_is_in_them(tmp_path: Path) -> None:
    """Footers in the order asked for, keys that are pending, the highest marker."""
    zone, bucket = bucket_in(tmp_path)
    land_in(zone.lane("stream"), [upsert(1, 10), upsert(2, 11)])
    land_in(zone.lane("stream"), [upsert(3, 12), truncate_marker(source_version=12)])
    land_in(zone.lane("backfill-1"), [upsert(1, 9)])

    files = bucket.files()
    pending = bucket.pending(files)

    assert [
        "backfill-1/000000000000",
        "stream/000000000000",
        "stream/000000000001",
    ] == [each.id for each in files]
    assert [1, 2, 2] == [footer.rows for footer in bucket.footers(files)]
    assert {"i:3", "i:1"} == pending.keys_among(["i:3", "i:4", "i:1"])
    assert 12 == pending.truncate_marker()
    assert set() == bucket.pending([]).keys_among(["i:1"])
    assert unregistered(bucket, files, {"stream/000000000000"}) == [files[0], files[2]]


class LandingMeanwhile(LocalStorage):
    """Lets something happen just before the lane of the stream is listed."""

    def __init__(self, folder: Path, action: Callable[[], object]) -> None:
        super().__init__(folder)
        self._action = action

    def list_after(self, prefix: str, offset: str = "") -> Iterator[Stored]:
        """Do it, and list."""
        if prefix == "landing/stream":
            self._action()
        return super().list_after(prefix, offset)


def test_with_a_truncate_marker_all_is_found_that_was_read_before_it(tmp_path: Path) -> None:
    """Else a load would remove rows whose successors it has not seen."""
    zone, _ = bucket_in(tmp_path)
    land_in(zone.lane("backfill-1"), [upsert(1, 13)])

    def end_resnapshot() -> None:
        land_in(zone.lane("backfill-1"), [upsert(2, 13)])
        land_in(zone.lane("stream"), [truncate_marker(source_version=12)])

    land_in(zone.lane("stream"), [upsert(1, 10)])
    listed = LandedBucket(FencedZone(LandingMeanwhile(tmp_path, end_resnapshot), clock=utc_now)).files()

    assert [each.id for each in listed] == [
        "backfill-1/000000000000",
        "backfill-1/000000000001",
        "stream/000000000000",
        "stream/000000000001",
    ]


def test_a_merged_object_is_known_if_all_that_it_replaces_is(tmp_path: Path) -> None:
    """It is not registered a second time; what it replaces is out of sight."""
    zone, bucket = bucket_in(tmp_path)
    for key in range(4):
        land_in(zone.lane("stream"), [upsert(key, 10)])
    known = {each.id for each in bucket.files()}
    merged = zone.lane("stream").merged(list(zone.lane("stream").landed())[1:3])
    zone.storage.put(merged.key, b"any")

    files = bucket.files()

    assert [
        "stream/000000000000",
        "stream/000000000001-000000000002",
        "stream/000000000003",
    ] == [each.id for each in files]
    assert {"stream/000000000001", "stream/000000000002"} == bucket.replaced_by(files[1])
    assert frozenset() == bucket.replaced_by(files[0])
    assert [] == unregistered(bucket, files, known)
    assert unregistered(bucket, files, known - {"stream/000000000002"}) == [files[1]]


def test_a_damaged_object_is_refused(tmp_path: Path) -> None:
    """Before it is registered, and when it is looked into."""
    zone, bucket = bucket_in(tmp_path)
    zone.storage.put("landing/stream/000000000000.parquet", b"no parquet")
    files = bucket.files()

    with pytest.raises(MicroBatchCorruptError, match="is corrupt"):
        bucket.check(files)
    with pytest.raises(MicroBatchCorruptError, match="is corrupt"):
        bucket.pending(files).keys_among(["i:1"])


def test_files_of_a_folder_are_compared_with_their_checksums(tmp_path: Path) -> None:
    """A flipped bit is found; a file that is whole has a footer and keys."""
    landed = land(tmp_path, [upsert(1, 10)])
    folder = LandedFolder(LandingZone(tmp_path / "landing", clock=utc_now))
    [file] = folder.files()

    folder.check([file])
    assert file == LandedFile(landed.id, "stream", 0, f"file://{landed.path.resolve()}")
    assert [1] == [footer.rows for footer in folder.footers([file])]
    assert {"i:1"} == folder.pending([file]).keys_among(["i:1", "i:2"])

    landed.path.write_bytes(landed.path.read_bytes()[:-20] + bytes(20))
    with pytest.raises(MicroBatchCorruptError):
        folder.check([file])
