"""What a load looks at, however much is registered."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batch.lake.landed import look
from batch.lake.landed_files import LandedBucket, LandedFolder
from batch.lake.registered import Registered
from stream.clock import utc_now
from stream.errors import MicroBatchCorruptError
from stream.landing.fenced import FencedZone
from stream.landing.zone import LandingZone
from stream.storage.local import LocalStorage
from tests.support.landing import land, land_in, upsert


class Snapshot:
    """The present one of a table; its manifests are there to be read if its summary does not say enough."""

    def __init__(self, noted: Registered, *names: str) -> None:
        self.summary = SimpleNamespace(additional_properties={"claude-analytics.registered": noted.to_json()})
        self._names = names
        self.was_read = False

    def current_snapshot(self) -> "Snapshot":
        """Return it, as a table does."""
        return self

    io = None

    def manifests(self, _io: object) -> list[Any]:
        """Return one manifest, with these landed files."""
        self.was_read = True
        files = [
            SimpleNamespace(file_path=f"s3://b/landing/{name}.parquet", file_size_in_bytes=1)
            for name in self._names
        ]
        entries = [SimpleNamespace(data_file=file) for file in files]
        return [SimpleNamespace(fetch_manifest_entry=lambda *_arguments, **_options: entries)]


def bucket_in(folder: Path, landed: int) -> tuple[FencedZone, LandedBucket, list[str]]:
    """Return a bucket with so many objects of a lane, and their names for themselves."""
    zone = FencedZone(LocalStorage(folder), clock=utc_now)
    names = [land_in(zone.lane("stream"), [upsert(number, 10 + number)]).id for number in range(landed)]
    return zone, LandedBucket(zone), names


def test_only_what_is_behind_the_known_numbers_is_listed(tmp_path: Path) -> None:
    """The newest that is known is looked at, and what is new; no manifest is read."""
    _, bucket, names = bucket_in(tmp_path, 5)
    noted = Registered({}).adding(names[:3]).naming({"stream": names[2]})
    table = Snapshot(noted)

    found = look(bucket, table)

    assert [2, 3, 4] == [each.sequence for each in found.files]
    assert [3, 4] == [each.sequence for each in found.left]
    assert not table.was_read


@pytest.mark.parametrize("there", [1, 3, 4], ids=["fewer", "as many", "more"])
def test_a_lane_that_was_begun_again_is_refused(tmp_path: Path, there: int) -> None:
    """However far it has come: its numbers would be taken for those that are registered."""
    _, _, names = bucket_in(tmp_path / "before", 3)
    _, bucket, _ = bucket_in(tmp_path / "again", there)
    table = Snapshot(Registered({}).adding(names).naming({"stream": names[2]}))

    with pytest.raises(MicroBatchCorruptError, match="is another than the one that was registered"):
        look(bucket, table)


def test_a_lane_that_has_gone_is_no_reason_to_stop(tmp_path: Path) -> None:
    """Somebody has removed what was loaded: the others go on."""
    zone, bucket, names = bucket_in(tmp_path, 1)
    land_in(zone.lane("backfill-1"), [upsert(9, 9)])
    noted = (
        Registered({}).adding([*names, "gone/000000000000"]).naming({"stream": names[0], "gone": "gone/0"})
    )
    table = Snapshot(noted, "gone/000000000000")
    zone.storage.delete("landing/stream/000000000000.parquet")

    found = look(bucket, table)

    assert table.was_read
    assert ["backfill-1"] == [each.lane for each in found.left]


def test_files_of_a_folder_that_was_begun_again_are_new(tmp_path: Path) -> None:
    """There names tell them apart, and the manifests are read for that."""
    before = land(tmp_path / "before", [upsert(1, 10)])
    land(tmp_path / "again", [upsert(1, 10)])
    folder = LandedFolder(LandingZone(tmp_path / "again" / "landing", clock=utc_now))
    noted = Registered({}).adding([before.id]).naming({"stream": before.id})

    found = look(folder, Snapshot(noted, before.id))

    assert ["stream"] == [each.lane for each in found.left]
