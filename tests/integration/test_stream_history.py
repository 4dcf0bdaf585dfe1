"""The position has left the oplog: never on from now; a person decides, or the collection is read again."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from batch.backfill.backfill import BackfillSummary
from batch.backfill.filters import Filters
from stream.core.position import Position
from stream.errors import HistoryLostError, MicroBatchCorruptError, StepFailedError
from stream.source.resnapshot import ResnapshotStore
from tests.support.backfilling import BackfillRunner, reading_anew
from tests.support.equality import assert_manifest_is_sound, assert_same, warehouse_rows
from tests.support.losing import LostHistory, losing_history, push_out
from tests.support.streaming import StreamRunner, line, meanwhile, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LostHistory]:
    """Return a collection of whose changes some are lost."""
    with losing_history(tmp_path_factory.mktemp("lost")) as found:
        yield found


@pytest.fixture
def away(lost: LostHistory, tmp_path: Path) -> StreamRunner:
    """Return a stream that was away for too long, in a data folder of the test's own."""
    return lost.stream(tmp_path / "data")


@pytest.mark.fault(
    4, "the saved position has left a real oplog", "exit 2 naming the lost interval, never on from now"
)
def test_lost_history_is_said(away: StreamRunner) -> None:
    """Exit code 2, the lost interval, and what to run; the position stays, so that nothing is forgotten."""
    taken = away.lane.position()
    assert taken is not None
    for _ in range(2):
        with pytest.raises(HistoryLostError, match=r"cannot follow `lost\.conversations`") as caught:
            away.catch_up()
        assert 2 == caught.value.exit_code
        assert f"changes from {taken.instant:%Y-%m-%dT%H:%M:%SZ} to 20" in caught.value.message
        assert "--on-history-lost=resnapshot" in caught.value.hint
        assert taken == away.lane.position()
    assert 200 == len(away.landed_rows())


@pytest.mark.fault(
    4, "the same with `resnapshot`", "the collection is read again, then deleted documents are removed"
)
def test_everything_is_resnapshot(away: StreamRunner, lost: LostHistory) -> None:
    """What was deleted meanwhile goes, but not before all has been read; until then readers have it."""
    seen: list[set[str]] = []

    def look(failpoint: str) -> None:
        if failpoint == "all_done":
            seen.append(set(warehouse_rows(away.warehouse)))

    reading_anew(away, at_failpoint=look).run(until_idle_seconds=0.5)

    assert [{f"i:{number}" for number in range(220)}] == seen
    assert 200 == assert_same(lost.collection, away.warehouse)
    [told] = [entry for entry in away.logged if entry["event"] == "history_lost"]
    assert "changes from 20" in told["problem"]
    away.warehouse.rebuild(timeout_seconds=10)
    assert 200 == assert_same(lost.collection, away.warehouse)
    assert_manifest_is_sound(away.warehouse)
    assert 0 == away.catch_up().events


def test_only_landed_it_is_right_after_the_load(away: StreamRunner, lost: LostHistory) -> None:
    """`extract` reads anew without the warehouse; the load does the rest."""
    reading_anew(away).run(until_idle_seconds=0.5, is_landing_only=True)
    assert 200 == len(warehouse_rows(away.warehouse))

    away.warehouse.load(timeout_seconds=10)

    assert 200 == assert_same(lost.collection, away.warehouse)


def test_another_backfill_is_no_obstacle(away: StreamRunner, lost: LostHistory) -> None:
    """An unfinished one is older than what was lost, or takes a part only: it is forgotten, with a word."""
    backfill = BackfillRunner(away.mongo, away.folder)

    def stop_early(_progress: object) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        backfill.job().run(Filters(project="p"), on_progress=stop_early)

    reading_anew(away).run(until_idle_seconds=0.5)

    assert "backfill_abandoned" in away.events_logged()
    assert 200 == assert_same(lost.collection, away.warehouse)


def test_a_backfill_at_work_is_waited_for(
    away: StreamRunner, lost: LostHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not disturbed, and the reading begins behind it."""
    monkeypatch.setattr("batch.backfill.everything._RETRY_SECONDS", 0.1)
    worker = reading_anew(away)
    has_met = threading.Event()

    def hold(failpoint: str) -> None:
        if failpoint == "planned":
            wait_until(has_met.is_set)

    def release() -> None:
        wait_until(lambda: "resnapshot_waits" in away.events_logged())
        has_met.set()

    backfill = BackfillRunner(away.mongo, away.folder)
    with meanwhile(lambda: assert_finished(backfill.run(at_failpoint=hold))), meanwhile(release):
        wait_until(lambda: len(backfill.landing.lanes()) == 2)
        worker.run(until_idle_seconds=0.5)

    assert 200 == assert_same(lost.collection, away.warehouse)


def assert_finished(summary: BackfillSummary) -> None:
    assert summary.is_finished


def test_one_under_way_goes_on_whatever_the_setting(away: StreamRunner, lost: LostHistory) -> None:
    """Without its end the copy would never be right."""
    with pytest.raises(StepFailedError):
        away.catch_up(STREAM_ON_HISTORY_LOST="resnapshot")
    assert ResnapshotStore(away.lane).load() is not None

    reading_anew(away, STREAM_ON_HISTORY_LOST="stop").run(until_idle_seconds=0.5)

    assert ResnapshotStore(away.lane).load() is None
    assert 200 == assert_same(lost.collection, away.warehouse)


def test_a_collection_that_is_dropped_meanwhile_is_read_again(
    stream: StreamRunner, collection: Collection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unfinished reading is of no use; the drop's marker and the new reading agree on what is there."""
    monkeypatch.setattr("batch.backfill.everything._RETRY_SECONDS", 0.1)
    stream.take_position()
    other = collection.database["other"]
    other.insert_many([line(number) for number in range(300)])
    other.rename(collection.name)
    has_dropped: list[bool] = []

    def drop(failpoint: str) -> None:
        if failpoint == "planned" and not has_dropped:
            has_dropped.append(True)
            collection.drop()
            collection.insert_many([line(number) for number in (1, 1000)])

    reading_anew(stream, at_failpoint=drop).run(until_idle_seconds=0.5)

    assert "resnapshot_waits" in stream.events_logged()
    assert 2 == assert_same(collection, stream.warehouse)
    assert ResnapshotStore(stream.lane).load() is None


def test_a_process_that_cannot_resnapshot_says_so(away: StreamRunner) -> None:
    """Rather than go on from the new position as if nothing were missing."""
    for _ in range(2):
        with pytest.raises(
            StepFailedError, match="must be read again, which this process cannot do"
        ) as caught:
            away.catch_up(STREAM_ON_HISTORY_LOST="resnapshot")
        assert "claude-analytics stream" in caught.value.hint


def test_a_damaged_state_is_said(away: StreamRunner) -> None:
    """The message names the file and what moving it away means."""
    path = away.lane.folder / "resnapshot.json"
    path.write_text(json.dumps({"truncate": 1}))

    with pytest.raises(MicroBatchCorruptError, match=r"cannot read `.*resnapshot\.json`") as caught:
        away.catch_up()
    assert "claude-analytics backfill" in caught.value.hint


def test_a_position_that_is_lost_at_once_ends_it(away: StreamRunner, lost: LostHistory) -> None:
    """An oplog so small that not even the new position lasts: exit 2, rather than begin anew for ever."""

    def push(failpoint: str) -> None:
        if failpoint == "position_saved":
            push_out(lost.collection.database.client, away)

    with pytest.raises(HistoryLostError, match="have left the oplog unread"):
        reading_anew(away, at_failpoint=push).run(until_idle_seconds=0.5)
    assert 1 == away.events_logged().count("history_lost")


@pytest.mark.fault(6, "an idle collection while others fill the oplog over and over", "a restart goes on")
def test_an_idle_stream_outlives_the_oplog(lost: LostHistory, tmp_path: Path) -> None:
    """The saved position follows while nothing arrives, so it is never lost as long as a worker runs.

    The next quarter of the oplog is written when the position is behind the last one: an oplog that turns
    faster than a worker gets a turn on a busy machine would be lost to any reader.
    """
    stream = lost.stream_of("idle", tmp_path / "idle")
    taken = stream.take_position()

    def has_followed(cluster_time: int) -> None:
        wait_until(lambda: position_of(stream).cluster_time >= cluster_time)

    def write_elsewhere() -> None:
        try:
            push_out(lost.collection.database.client, stream, after_each=has_followed)
        finally:
            if stream.lane.is_being_written:  # else nobody is there to catch it
                os.kill(os.getpid(), signal.SIGTERM)

    worker = stream.worker()
    with meanwhile(write_elsewhere):
        worker.run()

    assert position_of(stream).cluster_time > taken.cluster_time
    lost.collection.database["idle"].insert_one(line(1))
    assert 1 == stream.catch_up().events


def position_of(stream: StreamRunner) -> Position:
    position = stream.lane.position()
    assert position is not None
    return position
