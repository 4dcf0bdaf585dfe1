"""The landing zone: names, order, footers, durability, and where a lane stands."""

import errno
import json
import os
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stream import disk
from stream.core.normalise import truncate_marker
from stream.core.schema import LANDING_SCHEMA, LANDING_SCHEMA_VERSION, to_table
from stream.errors import (
    AlreadyRunningError,
    LandingFullError,
    LandingNotWritableError,
    MicroBatchCorruptError,
    SchemaTooNewError,
)
from stream.landing.footer import Footer, make_footer
from stream.landing.micro_batch import NAME, MicroBatch, check_content, checksum_of, read_footer
from stream.landing.zone import LandingZone, Lane
from tests.support.landing import delete, land, lane_of, position_at, upsert

LATE = datetime(2026, 1, 3, 23, 59, 59, tzinfo=UTC)
EMPTY = make_footer("backfill-1/x", Counter(), versions=[], landed_at=LATE)


@pytest.fixture
def lane(tmp_path: Path) -> Lane:
    return lane_of(tmp_path, clock=lambda: LATE)


def footer_for(micro_batch: MicroBatch, cluster_time: int = 10) -> Footer:
    return make_footer(
        micro_batch.id, Counter(), versions=[], landed_at=LATE, position=position_at(cluster_time)
    )


def test_a_landed_file_holds_the_rows_in_order(tmp_path: Path) -> None:
    """Columns are those of the schema, types included; deletes are rows too."""
    rows = [upsert("b", 10, message="text", cwd="/home"), delete("b", 11), upsert("a", 12)]

    landed = land(tmp_path, rows)

    table = pq.read_table(landed.path, partitioning=None)
    assert LANDING_SCHEMA == table.schema.remove_metadata()
    assert ["s:b", "s:b", "s:a"] == table["_id"].to_pylist()
    assert ["upsert", "delete", "upsert"] == table["op"].to_pylist()
    assert [10, 11, 12] == table["source_version"].to_pylist()
    assert ['{"cwd":"/home"}', None, None] == table["extra"].to_pylist()
    assert datetime(2026, 1, 3, 10, tzinfo=UTC) == table["timestamp"].to_pylist()[0]
    assert [date(2026, 1, 3), None, date(2026, 1, 3)] == table["date"].to_pylist()


def test_no_rows_make_a_file_too(tmp_path: Path) -> None:
    """A window of dead letters only."""
    landed = land(tmp_path, [])

    assert 0 == pq.read_table(landed.path, partitioning=None).num_rows
    assert LANDING_SCHEMA == to_table([]).schema


def test_the_name_tells_order_and_checksum(tmp_path: Path) -> None:
    """Below the UTC day it closed on; the id leaves the checksum out."""
    first = land(tmp_path, [upsert(1, 10)], clock=lambda: LATE)
    second = land(tmp_path, [upsert(2, 11)], clock=lambda: LATE)

    name = NAME.fullmatch(first.path.name)
    assert name is not None
    assert first.path.parent == tmp_path / "landing" / "stream" / "date=2026-01-03"
    assert ("000000000000", checksum_of(first.path)[0]) == (name["sequence"], name["checksum"])
    assert f"stream/{name['stem']}" == first.id
    assert 1 == second.sequence
    assert first.path.name < second.path.name


def test_the_footer_comes_back(tmp_path: Path) -> None:
    """Counts, versions and position, without reading the rows."""
    landed = land(tmp_path, [upsert(1, 30), delete(2, 20), delete(3, 25)], clock=lambda: LATE)

    assert Footer(
        micro_batch_id=landed.id,
        rows=3,
        upserts=1,
        deletes=2,
        dead_letters=0,
        first_cluster_time=20,
        last_cluster_time=30,
        position=position_at(30),
        landed_at=LATE,
    ) == read_footer(landed)


def test_a_footer_without_a_position_comes_back() -> None:
    """Backfill lanes have none; schema version 1 had no truncate marker."""
    assert EMPTY == Footer.from_metadata(EMPTY.to_metadata(), what="it")

    old = EMPTY.model_copy(update={"schema_version": 1})
    fields = json.loads(old.to_metadata()[b"claude_analytics"])
    del fields["truncate_marker"]
    assert old == Footer.from_metadata({b"claude_analytics": json.dumps(fields).encode()}, what="it")


NEWER = EMPTY.model_copy(update={"schema_version": 99}).to_metadata()


@pytest.mark.parametrize(
    ("metadata", "error", "said"),
    [
        (None, MicroBatchCorruptError, "x.parquet` is corrupt"),
        ({}, MicroBatchCorruptError, "x.parquet` is corrupt"),
        ({b"claude_analytics": b"no json"}, MicroBatchCorruptError, "x.parquet` is corrupt"),
        ({b"claude_analytics": b"[]"}, MicroBatchCorruptError, "x.parquet` is corrupt"),
        ({b"claude_analytics": b"{}"}, MicroBatchCorruptError, "x.parquet` is corrupt"),
        (NEWER, SchemaTooNewError, f"version 99, .* knows {LANDING_SCHEMA_VERSION}"),
    ],
    ids=["none", "empty", "no json", "list", "no fields", "of a newer program"],
)
def test_a_parquet_file_of_another_program_is_said(
    tmp_path: Path, metadata: dict[bytes, bytes] | None, error: type[Exception], said: str
) -> None:
    """It is no landed file, whatever its name; a newer one is told apart."""
    path = tmp_path / "x.parquet"
    pq.write_table(LANDING_SCHEMA.empty_table().replace_schema_metadata(metadata), path)

    with pytest.raises(error, match=said):
        read_footer(MicroBatch(path, "stream", 0))


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"no parquet at all" * 100], ids=["empty", "short", "text"]
)
def test_what_is_no_parquet_is_said(tmp_path: Path, content: bytes) -> None:
    """Half a file, or another one."""
    path = tmp_path / "x.parquet"
    path.write_bytes(content)

    with pytest.raises(MicroBatchCorruptError, match="is corrupt"):
        read_footer(MicroBatch(path, "stream", 0))
    with pytest.raises(MicroBatchCorruptError, match="its checksum is"):
        check_content(MicroBatch(path, "stream", 0))


def test_a_truncate_marker_is_a_row_and_in_the_footer(tmp_path: Path) -> None:
    """Neither an upsert nor a delete."""
    footer = read_footer(
        land(tmp_path, [upsert(1, 10), truncate_marker(20), truncate_marker(15), upsert(1, 21)])
    )

    assert (4, 2, 0, 20) == (footer.rows, footer.upserts, footer.deletes, footer.truncate_marker)


def test_a_vanished_file_is_said(tmp_path: Path) -> None:
    """With the system's own words."""
    with pytest.raises(MicroBatchCorruptError, match="No such file or directory"):
        check_content(MicroBatch(tmp_path / "x.parquet", "stream", 0))


def test_the_content_is_checked_as_a_whole(tmp_path: Path) -> None:
    """The size comes along, as the file was read anyway."""
    landed = land(tmp_path, [upsert(1, 10, message="x" * 3_000_000)])

    assert check_content(landed) == landed.path.stat().st_size


def test_files_are_listed_in_their_order(lane: Lane, tmp_path: Path) -> None:
    """Across midnight, and whatever else lies about; the position is the newest one's."""
    days = [datetime(2026, 1, day, tzinfo=UTC) for day in (9, 10, 1)]  # the clock was set back
    landed = [land(tmp_path, [upsert(1, day.day)], clock=lambda day=day: day) for day in days]  # type: ignore[misc]
    other = lane.folder / "date=2026-01-09"
    (other / ".000000000009-00000000-00000000.parquet.inflight").touch()
    (other / "notes.txt").touch()
    (other / "000000000009-zzzzzzzz-00000000.parquet").touch()
    (other / "000000000009-00000000.parquet").touch()
    (lane.folder / "date=no date").mkdir()

    assert landed == lane.micro_batches()
    assert (landed[-1], position_at(1)) == (lane.newest(), lane.position())


def test_an_absent_lane_is_empty(lane: Lane) -> None:
    """Before the first start nothing exists."""
    assert [] == lane.micro_batches()
    assert lane.newest() is None
    assert lane.position() is None
    assert not lane.is_being_written


def test_a_zone_lists_its_lanes(tmp_path: Path) -> None:
    """All micro-batches, by lane."""
    zone = LandingZone(tmp_path / "landing", clock=lambda: LATE)
    assert zone.lanes() == zone.micro_batches() == []
    landed = [
        land(tmp_path, [upsert(1, 10)], lane="backfill-1"),
        land(tmp_path, [upsert(1, 10)]),
        land(tmp_path, [upsert(1, 10)]),
    ]
    (tmp_path / "landing" / "file").touch()

    assert ["backfill-1", "stream"] == [lane.name for lane in zone.lanes()]
    assert landed == zone.micro_batches()


def test_only_one_writer_at_a_time(lane: Lane, tmp_path: Path) -> None:
    """The second is told so; afterwards the lane is free."""
    with lane.writing():
        assert lane.is_being_written
        with (
            pytest.raises(AlreadyRunningError, match="another process already writes the lane `stream`"),
            lane_of(tmp_path).writing(),
        ):
            pass
        with lane_of(tmp_path, "backfill-1").writing():
            pass
    assert not lane.is_being_written
    with lane_of(tmp_path).writing():
        pass


def test_a_writer_clears_away_what_a_crash_left(lane: Lane) -> None:
    """Half-written files only."""
    half = lane.folder / "date=2026-01-03" / ".000000000001-00000000.parquet.inflight"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"PAR1")
    (lane.folder / ".position.json.inflight").write_bytes(b"{")
    kept = lane.folder / "date=2026-01-03" / ".hidden"
    kept.touch()

    with lane.writing():
        assert not half.exists()
        assert kept.exists()
    assert [] == list(lane.folder.glob(".position*"))


def test_an_idle_position_counts_behind_the_newest_file(lane: Lane, tmp_path: Path) -> None:
    """Until the next one lands; and before the first one."""
    lane.save_position(position_at(5), behind=None)
    assert position_at(5) == lane.position()

    first = land(tmp_path, [upsert(1, 10)])
    assert position_at(10) == lane.position()
    lane.save_position(position_at(15), behind=first)
    assert position_at(15) == lane.position()

    second = land(tmp_path, [upsert(1, 20)])
    assert position_at(20) == lane.position()
    lane.save_position(position_at(25), behind=second)
    second.path.unlink()
    assert position_at(10) == lane.position()


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"behind": null, "token": 5}'])
def test_a_damaged_position_file_is_said(lane: Lane, content: str) -> None:
    """It names the file; nothing is guessed."""
    lane.folder.mkdir(parents=True)
    (lane.folder / "position.json").write_text(content)

    with pytest.raises(MicroBatchCorruptError, match=r"cannot read `.*position\.json`"):
        lane.position()


def test_a_position_file_tells_its_version(lane: Lane) -> None:
    """Version 1 did not write its number; what a newer one means is not for this program to guess."""
    lane.save_position(position_at(15), behind=None)
    path = lane.folder / "position.json"
    now = json.loads(path.read_text())
    path.write_text(json.dumps({"behind": now["behind"]} | now["position"]))
    assert position_at(15) == lane.position()

    path.write_text(json.dumps(now | {"schema_version": 99}))
    with pytest.raises(SchemaTooNewError, match="has schema version 99, this program knows 2") as caught:
        lane.position()
    assert "newer version" in caught.value.hint


def test_a_damaged_newest_file_gives_no_position(lane: Lane, tmp_path: Path) -> None:
    """One flipped bit may stand in the token."""
    landed = land(tmp_path, [upsert(1, 10)])
    content = bytearray(landed.path.read_bytes())
    content[-300] ^= 1
    landed.path.write_bytes(content)

    with pytest.raises(MicroBatchCorruptError, match="its checksum is"):
        lane.position()


def test_the_failpoints_are_reached_in_order(tmp_path: Path) -> None:
    """What a crash at each of them finds: nothing visible before the rename, all of it afterwards."""
    reached: list[tuple[str, int, int]] = []

    def look(name: str) -> None:
        files = [path.name for path in (tmp_path / "landing").rglob("*") if "parquet" in path.name]
        visible = sum(1 for name in files if name.endswith(".parquet"))
        reached.append((name, visible, len(files) - visible))

    land(tmp_path, [upsert(1, 10)], at_failpoint=look)
    lane_of(tmp_path, at_failpoint=look).save_position(position_at(1), behind=None)

    assert [
        ("file_written", 0, 1),
        ("file_synced", 0, 1),
        ("file_renamed", 1, 0),
        ("position_saved", 1, 0),
    ] == reached


def failing_at(failpoint: str, error: Exception, tmp_path: Path) -> Lane:
    def fail(reached: str) -> None:
        if reached == failpoint:
            raise error

    return lane_of(tmp_path, at_failpoint=fail)


@pytest.mark.parametrize("failpoint", ["file_written", "file_synced"])
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, LandingFullError),
        (errno.EDQUOT, LandingFullError),
        (errno.EFBIG, LandingFullError),
        (errno.EROFS, LandingNotWritableError),
        (errno.EACCES, LandingNotWritableError),
        (errno.EIO, LandingNotWritableError),
    ],
    ids=["ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EIO"],
)
def test_a_disk_that_fails_leaves_nothing(
    tmp_path: Path, failpoint: str, number: int, expected: type[Exception]
) -> None:
    """Neither a file nor half of one; the error tells a full disk from one that cannot be written."""
    lane = failing_at(failpoint, OSError(number, os.strerror(number)), tmp_path)
    named = lane.new_name(0)

    with pytest.raises(expected, match="cannot write `.*`: " + os.strerror(number)):
        lane.land(named, to_table([upsert(1, 10)]), footer_for(named))
    assert [] == [path for path in lane.folder.rglob("*") if path.is_file()]


def test_landing_again_under_the_same_name_leaves_one_file(tmp_path: Path) -> None:
    """An error behind the rename is no reason to land twice."""
    lane = failing_at("file_renamed", OSError(errno.EIO, "cannot sync"), tmp_path)
    named = lane.new_name(0)
    table, footer = to_table([upsert(1, 10)]), footer_for(named)

    with pytest.raises(OSError, match="cannot sync"):
        lane.land(named, table, footer)
    again = lane_of(tmp_path).land(named, table, footer)

    assert [again] == lane.micro_batches()


def test_a_really_full_disk_leaves_nothing(small_disk: Path) -> None:
    """Not injected: a disk of 12 MB."""
    lane = lane_of(small_disk)
    named = lane.new_name(0)
    rows = [upsert(number, 10, message=os.urandom(50_000).hex()) for number in range(400)]

    with pytest.raises(LandingFullError, match="No space left on device") as caught:
        lane.land(named, to_table(rows), footer_for(named))
    assert 1 == caught.value.exit_code
    assert [] == [path for path in lane.folder.rglob("*") if path.is_file()]
    assert lane.land(named, to_table(rows[:10]), footer_for(named)).path.exists()


@pytest.fixture
def unwritable(tmp_path: Path, read_only_disk: Path) -> list[Path]:
    """Return folders that nobody can write, the administrator included."""
    (tmp_path / "file").touch()
    return [tmp_path / "file", read_only_disk]


def test_a_folder_that_cannot_be_written_is_said(unwritable: list[Path]) -> None:
    """Whatever is tried first."""
    for folder in unwritable:
        lane = lane_of(folder)
        named = lane.new_name(0)
        with pytest.raises(LandingNotWritableError, match="cannot write"), lane.writing():
            pass
        with pytest.raises(LandingNotWritableError, match="cannot write"):
            lane.land(named, to_table([]), footer_for(named))
        with pytest.raises(LandingNotWritableError, match="cannot write") as caught:
            lane.save_position(position_at(1), behind=None)
        assert 2 == caught.value.exit_code
        assert "DATA_DIR" in caught.value.hint


def test_an_error_that_is_not_the_disk_s_passes(lane: Lane) -> None:
    """A defect is not called a full disk; nothing is left behind either."""
    named = lane.new_name(0)

    with pytest.raises(AttributeError):
        lane.land(named, None, footer_for(named))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        to_table([upsert(1, 10)._replace(content_length="text")])  # type: ignore[arg-type]


def test_a_small_file_is_written_as_a_whole(tmp_path: Path) -> None:
    """The old content stays until the new one is durable, and half a file never keeps the space."""
    path = tmp_path / "position.json"
    disk.write_durably(path, b"one")
    disk.write_durably(path, b"two")
    assert b"two" == path.read_bytes()

    (tmp_path / f".{path.name}.inflight").mkdir()
    with pytest.raises(IsADirectoryError):
        disk.write_durably(path, b"three")
    assert b"two" == path.read_bytes()


def test_a_small_file_on_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    """What was there before stays."""
    path = small_disk / "x.json"
    disk.write_durably(path, b"old")
    with pytest.raises(LandingFullError), disk.disk_errors(path):
        disk.write_durably(path, b"x" * 13_000_000)
    assert {"x.json": b"old"} == {entry.name: entry.read_bytes() for entry in small_disk.iterdir()}


def test_position_json_can_be_read_by_people(lane: Lane) -> None:
    """Instant and namespace are in clear text."""
    lane.save_position(position_at(1_767_434_400 << 31), behind=None)

    saved = json.loads((lane.folder / "position.json").read_text())
    assert "2026-01-03T10:00:00Z" == saved["position"]["instant"]
    assert "claude_logs.conversations" == saved["position"]["fingerprint"]["namespace"]


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    """Once; again is no error, a file in the way is one."""
    for _ in range(2):
        disk.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()

    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        disk.make_folder(tmp_path / "file" / "x")


class RacingZone(LandingZone):
    """A landing zone in which a resnapshot's last range and its marker land while it is being listed."""

    def lanes(self) -> list[Lane]:
        """Return lanes of which the one that is looked at first lets both land, right behind its own list."""
        return [RacingLane(self.root, name, clock=self._clock) for name in ("backfill-1", "stream")]


class RacingLane(Lane):
    """One of its lanes."""

    def micro_batches(self) -> list[MicroBatch]:
        """List, then let it happen."""
        found = super().micro_batches()
        if not list(self.folder.parent.glob("*/date=*")):
            land(self.folder.parents[1], [upsert(1, 20)], lane="backfill-1")
            land(self.folder.parents[1], [truncate_marker(15)])
        return found


def test_a_truncate_marker_is_never_listed_without_what_landed_before_it(tmp_path: Path) -> None:
    """Or a load would remove rows for a moment whose new version has landed already."""
    listed = RacingZone(tmp_path / "landing", clock=lambda: LATE).micro_batches()

    assert ["backfill-1"] == [micro_batch.lane for micro_batch in listed]
