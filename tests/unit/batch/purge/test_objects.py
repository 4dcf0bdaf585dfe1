"""A conversation leaves the objects of a bucket; of the bucket's place a folder is as good as any."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batch.backfill.filters import Filters
from batch.backfill.plan import Plan, PlanStore
from batch.purge.objects import ObjectsPurge
from batch.purge.target import Target
from batch.purge.traces import StoredTraces
from stream.core.schema import Row
from stream.errors import AlreadyRunningError, MicroBatchCorruptError
from stream.landing.fenced import FencedLane, FencedZone, read_object_footer
from stream.landing.footer import Footer
from stream.landing.partitions import begin_generation
from stream.landing.rewritten import forget_rewritten, note_rewritten, rewritten
from stream.storage.local import LocalStorage
from tests.support.landing import SOURCE, delete, land_in, position_at, upsert
from tests.support.objects import landed_rows

NOON = datetime(2026, 1, 3, 12, tzinfo=UTC)
GOES = Target("session", "goes")


@pytest.fixture
def zone(tmp_path: Path) -> FencedZone:
    return FencedZone(LocalStorage(tmp_path), clock=lambda: NOON)


def land(zone: FencedZone, *rows: Row, lane: str = "stream") -> None:
    land_in(zone.lane(lane), rows, clock=lambda: NOON)


def footer_in(zone: FencedZone, lane: str = "stream") -> Footer:
    [landed] = zone.lane(lane).landed()
    return read_object_footer(zone.storage, landed)


def test_rows_go_and_everything_else_stays(zone: FencedZone) -> None:
    """Number, name and position of an object are as before; one without such rows is not touched."""
    land(zone, upsert(1, 10, sessionId="goes"), upsert(2, 11, sessionId="stays"), delete(3, 12))
    land(zone, upsert(4, 9, sessionId="stays"), lane="backfill-1")
    before = footer_in(zone)
    other = [each.changed for each in zone.storage.list_after("landing/backfill-1")]

    assert 1 == ObjectsPurge(zone).rows(GOES)
    assert 1 == ObjectsPurge(zone).remove_rows(GOES)

    assert ["i:4", "i:2", "i:3"] == [row["_id"] for row in landed_rows(zone.storage)]
    assert footer_in(zone) == before.model_copy(update={"rows": 2, "upserts": 1})
    assert zone.lane("stream").position() == position_at(12)
    assert other == [each.changed for each in zone.storage.list_after("landing/backfill-1")]
    assert {"stream/000000000000"} == rewritten(zone.state)
    assert 0 == ObjectsPurge(zone).rows(GOES)


def test_an_object_of_which_nothing_is_left_keeps_its_number(zone: FencedZone) -> None:
    """Its number would be given to another."""
    land(zone, upsert(1, 10, sessionId="goes"))

    ObjectsPurge(zone).remove_rows(GOES)

    assert (footer_in(zone).rows, footer_in(zone).position) == (0, position_at(10))
    assert [] == landed_rows(zone.storage)


def test_large_objects_are_read_in_parts(zone: FencedZone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same goes, whether an object is fetched at once or not."""
    monkeypatch.setattr("batch.purge.objects._WHOLE_BYTES", 0)
    land(zone, *(upsert(each, 10, sessionId="goes" if each % 2 else "stays") for each in range(100)))

    assert 50 == ObjectsPurge(zone).remove_rows(GOES)
    assert {"stays"} == {row["session_id"] for row in landed_rows(zone.storage)}


@pytest.mark.parametrize("whole_bytes", [0, 1 << 20], ids=["in parts", "at once"])
def test_a_damaged_object_is_named(
    zone: FencedZone, monkeypatch: pytest.MonkeyPatch, whole_bytes: int
) -> None:
    """A purge does not go on as if nothing of it were there."""
    monkeypatch.setattr("batch.purge.objects._WHOLE_BYTES", whole_bytes)
    zone.storage.put("landing/stream/000000000000.parquet", b"no parquet at all")
    with pytest.raises(MicroBatchCorruptError, match=r"000000000000\.parquet` is corrupt"):
        ObjectsPurge(zone).rows(GOES)


def worker(zone: FencedZone, lane: str) -> FencedLane:
    """Return a lane as a worker has it that has landed once."""
    running = zone.lane(lane)
    land_in(running, [upsert(lane, 10)], clock=lambda: NOON)
    return running


@pytest.mark.parametrize("count", [1, 2])
def test_a_worker_that_still_runs_lands_nothing_more(zone: FencedZone, count: int) -> None:
    """What it has read may be of the conversation; the next worker goes on where the lane stood."""
    if count == 1:
        lanes = ["stream"]
    else:
        lanes = [each.lane for each in begin_generation(zone, count, position_at(5)).partitions]
    running = [worker(zone, each) for each in lanes]

    ObjectsPurge(zone).fence()

    for lane in running:
        with pytest.raises(AlreadyRunningError, match="another worker writes the lane"):
            land_in(lane, [upsert(1, 20, sessionId="goes")])
        assert zone.lane(lane.name).position() == position_at(10)
    assert len(landed_rows(zone.storage)) == count


def test_a_stream_that_never_ran_needs_no_fence(zone: FencedZone) -> None:
    """Nothing is written."""
    ObjectsPurge(zone).fence()
    assert [] == list(zone.storage.list_after(""))


def test_an_unfinished_backfill_is_in_the_way(zone: FencedZone) -> None:
    """A process that reads for it may have rows in hand; once it has ended, nothing is in the way."""
    sizes: dict[str, Any] = {"bounds": [], "documents": 1, "size_bytes": 1, "created_at": "2026-01-03"}
    plan = Plan(id="1", source=SOURCE, collection_id=None, filters=Filters(), **sizes)
    PlanStore(zone).save(plan)
    alone = ObjectsPurge(zone).alone()
    with pytest.raises(AlreadyRunningError, match="the backfill `1` is unfinished"), alone:
        pass
    PlanStore(zone).finish(plan, {})
    with ObjectsPurge(zone).alone():
        pass


def test_the_note_is_kept_until_somebody_knows(zone: FencedZone) -> None:
    """A second purge adds to it."""
    note_rewritten(zone.state, ["stream/1"])
    note_rewritten(zone.state, ["stream/2"])
    assert {"stream/1", "stream/2"} == rewritten(zone.state)
    forget_rewritten(zone.state)
    assert frozenset() == rewritten(zone.state)
    zone.state.put("rewritten.json", b"[]")
    with pytest.raises(MicroBatchCorruptError, match=r"cannot read .*rewritten\.json"):
        rewritten(zone.state)


def test_plans_of_backfills_forget_the_id(zone: FencedZone) -> None:
    """In what they were asked for; what else holds it is named."""
    plan = {"id": "goes", "filters": {"project": "goes", "since": None}}
    zone.state.put("backfill-1/plan.json", json.dumps(plan).encode())
    zone.state.put("backfill-1/finished.json", b"{}")
    traces = StoredTraces(zone.state)

    assert 1 == traces.remove(GOES)

    kept = json.loads(zone.state.get("backfill-1/plan.json") or b"")
    assert kept == plan | {"filters": {"project": "(purged)", "since": None}}
    assert ["backfill-1/plan.json"] == traces.left(GOES)
