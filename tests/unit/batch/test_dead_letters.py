"""Rejected documents get another try: idempotent, older than what came later, out of the queue."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from bson.binary import Binary
from bson.objectid import ObjectId

from batch.dead_letters import AS_IS_FIELD, REPLAY_LANE, Replay, replay
from stream.clock import utc_now
from stream.core.normalise import DeadLetter, normalise, truncate_marker, undecodable
from stream.core.schema import Row
from stream.errors import AlreadyRunningError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedZone
from stream.landing.zone import LandingZone
from stream.storage.local import LocalStorage
from stream.storage.prefixed import Prefixed
from stream.warehouse.warehouse import Warehouse
from tests.support.landing import delete, land, land_in, position_at, upsert
from tests.support.objects import landed_rows
from tests.support.streaming import make_warehouse


class Queue:
    """A landing zone with dead letters, and its warehouse."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.landing = LandingZone(folder / "landing", clock=utc_now)
        self.letters = folder / "dead_letter"
        self.store = DeadLetterStore(self.letters, clock=utc_now)
        self.warehouse: Warehouse = make_warehouse(folder)

    def reject(self, *letters: DeadLetter, rows: tuple[Row, ...] = (), position: int = 9) -> None:
        """Land a window in which documents were rejected."""
        landed = land(self.folder, rows, dead_letters=letters, position=position_at(position))
        self.store.store(landed, letters)

    def ids(self) -> list[str | None]:
        """Return the `_id`s in the queue."""
        return [each.letter.document_id for each in self.store.list(self.landing)]

    def replay(self, **options: Any) -> Replay:
        """Replay all of it, and load what has landed."""
        found = replay(
            self.store.list(self.landing), store=self.store, landing=self.landing, clock=utc_now, **options
        )
        self.warehouse.load(timeout_seconds=5)
        return found

    def rows(self) -> dict[str, str]:
        """Return the type of each row in the warehouse."""
        with self.warehouse.opened(timeout_seconds=5) as connection:
            return dict(connection.execute("select _id, type from raw.conversations").fetchall())


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def letter(document_id: object, **fields: Any) -> DeadLetter:
    found = normalise({"_id": document_id} | fields, source_version=0, extracted_at=0)
    assert isinstance(found, DeadLetter)
    return found


def lenient(document: dict[str, Any], **options: Any) -> Row | DeadLetter:
    """Stand for a newer rule, that takes documents without a type."""
    return normalise({"type": "mended"} | document, **options)


def test_what_is_still_bad_stays(queue: Queue) -> None:
    """With the same rule the same documents are rejected, nothing lands, and the queue is as before."""
    queue.reject(letter(1), letter(2, type=7))
    found = queue.replay()
    assert (0, ["missing_type", "bad_envelope"], None) == (
        len(found.replayed),
        [each.letter.reason for each in found.rejected],
        found.micro_batch,
    )
    assert ["i:1", "i:2"] == queue.ids()


def test_what_is_good_now_is_loaded_and_leaves_the_queue(queue: Queue) -> None:
    """With a newer rule rows land and are loaded; others of the same file stay in the queue."""
    queue.reject(letter(1), letter(2, timestamp=True), letter(ObjectId("a" * 24)))
    queue.reject(letter("three"))
    found = queue.replay(normalise_document=lenient)
    assert (3, 1) == (len(found.replayed), len(found.rejected))
    assert ["i:2"] == queue.ids()
    assert {"i:1": "mended", "a" * 24: "mended", "s:three": "mended"} == queue.rows()
    assert (0, None) == (len(queue.replay().replayed), queue.replay().micro_batch)


def test_killed_in_between_it_can_be_repeated(queue: Queue) -> None:
    """Letters that are still in the queue though their rows have landed bring nothing twice."""
    queue.reject(letter(1))
    letters = queue.store.list(queue.landing)
    content = {path: path.read_bytes() for path in queue.letters.rglob("*.jsonl")}
    queue.replay(normalise_document=lenient)
    for path, lines in content.items():
        path.write_bytes(lines)
    assert letters == queue.store.list(queue.landing)
    queue.replay(normalise_document=lenient)
    assert ({"i:1": "mended"}, []) == (queue.rows(), queue.ids())
    assert 2 == len(queue.landing.lane(REPLAY_LANE).micro_batches())


def test_later_changes_win_over_a_replayed_row(queue: Queue) -> None:
    """A document that was mended or deleted since, in the same window or later, stays as it is."""
    queue.reject(letter(1), letter(2), letter(3), letter(4), rows=(upsert(1, 7), delete(2, 8)), position=9)
    land(queue.folder, [upsert(3, 12)])
    land(queue.folder, [delete(4, 13)])
    assert 4 == len(queue.replay(normalise_document=lenient).replayed)
    assert {"i:1": "user", "i:3": "user"} == queue.rows()


def test_a_replayed_row_wins_over_earlier_changes(queue: Queue) -> None:
    """A row from before the rejected change is replaced by it."""
    land(queue.folder, [upsert(1, 5), upsert(2, 6)])
    queue.reject(letter(1), rows=(upsert(3, 8),))
    queue.reject(letter(2))
    queue.replay(normalise_document=lenient)
    assert {"i:1": "mended", "i:2": "mended", "i:3": "user"} == queue.rows()


def test_a_letter_from_before_a_drop_brings_nothing_back(queue: Queue) -> None:
    """Unlike one that was rejected behind it, be it in the very window of the drop."""
    queue.reject(letter(1), rows=(upsert(2, 5),))
    queue.reject(letter(3), rows=(upsert(4, 6), truncate_marker(7), upsert(5, 8)))
    queue.replay(normalise_document=lenient)
    assert {"i:3": "mended", "i:5": "user"} == queue.rows()


def test_the_last_letter_of_a_document_counts(queue: Queue) -> None:
    """A document that was rejected twice gets the row of its later version."""
    queue.reject(letter(1, message="early"), letter(1, message="late"))
    found = queue.replay(normalise_document=lenient)
    assert found.micro_batch is not None
    (row,) = pq.read_table(found.micro_batch.path, partitioning=None).to_pylist()
    assert ("late", 2) == (row["message_content"], len(found.replayed))


def test_as_is_gives_every_document_a_row(queue: Queue) -> None:
    """Documents without a row by the rule are kept whole in `extra`, under their own type if there is one."""
    queue.reject(
        letter(1, note="nul \0 inside", payload=Binary(b"x", 5)), letter(2, type="user", timestamp=True)
    )
    found = queue.replay(as_is=True)
    assert found.micro_batch is not None
    rows = {row["_id"]: row for row in pq.read_table(found.micro_batch.path, partitioning=None).to_pylist()}
    assert {"i:1": "unknown", "i:2": "user"} == queue.rows() == {key: rows[key]["type"] for key in rows}
    extra = json.loads(rows["i:1"]["extra"])
    assert ("missing_type", "nul \N{REPLACEMENT CHARACTER} inside") == (
        extra[AS_IS_FIELD],
        extra["document"]["note"],
    )
    assert [] == queue.ids()


def test_what_cannot_be_decoded_stays(queue: Queue) -> None:
    """Without an `_id` there can be no row, not even as it is."""
    queue.reject(undecodable(b"\x05\0\0\0\x07", "broken"))
    found = queue.replay(as_is=True)
    assert (1, [None]) == (len(found.rejected), queue.ids())


def test_values_come_back_as_the_server_sent_them(queue: Queue) -> None:
    """What the rule sees in a replay is what it saw the first time."""
    seen: list[dict[str, Any]] = []

    def look(document: dict[str, Any], **options: Any) -> Row | DeadLetter:
        seen.append(document)
        return normalise(document, **options)

    fields = {"whole": 1, "half": 0.5, "large": 2**40, "inner": {"list": [None, True, b"bytes"]}}
    queue.reject(letter(ObjectId("b" * 24), **fields))
    queue.replay(normalise_document=look)
    assert [{"_id": ObjectId("b" * 24)} | fields] == seen


def test_a_queue_in_a_bucket_is_replayed_there(tmp_path: Path) -> None:
    """Rows land in a lane of the bucket, older than their window; of two replays one ends."""
    storage = LocalStorage(tmp_path)
    zone = FencedZone(storage, clock=utc_now)
    store = DeadLetterStore(Prefixed(storage, "dead_letter"), clock=utc_now)
    landed = land_in(zone.lane("stream"), [upsert(7, 8)], dead_letters=2, position=position_at(9))
    store.store(landed, [letter(1), letter(2, timestamp=True)])
    rival = zone.lane(REPLAY_LANE)
    rival.newest()

    found = replay(store.list(zone), store=store, landing=zone, clock=utc_now, normalise_document=lenient)

    assert (1, 1) == (len(found.replayed), len(found.rejected))
    assert ["i:2"] == [each.letter.document_id for each in store.list(zone)]
    [replayed] = [row for row in landed_rows(storage) if row["_id"] == "i:1"]
    assert ("mended", 7) == (replayed["type"], replayed["source_version"])
    with pytest.raises(AlreadyRunningError):
        land_in(rival, [upsert(1, 7)])
