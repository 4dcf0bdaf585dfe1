"""Rejected documents at rest."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream.core.normalise import DeadLetter
from stream.errors import LandingNotWritableError
from stream.landing.dead_letters import DeadLetterStore, StoredDeadLetter
from stream.landing.micro_batch import MicroBatch
from stream.landing.zone import LandingZone
from tests.support.landing import LETTER, land, upsert

NOON = datetime(2026, 1, 3, 12, tzinfo=UTC)
ODD = DeadLetter(
    "bad_message", "`message` is of type int", "s:1", '{"text":"a\u2028b\u0085c\x0bd\x1ce\r\nf\ufffd😀"}'
)


@pytest.fixture
def store(tmp_path: Path) -> DeadLetterStore:
    return DeadLetterStore(tmp_path / "dead_letter", clock=lambda: NOON)


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing", clock=lambda: NOON)


def landed(tmp_path: Path, store: DeadLetterStore, letters: list[DeadLetter], **options: str) -> MicroBatch:
    micro_batch = land(tmp_path, [upsert(1, 10)], **options)  # type: ignore[arg-type]
    store.store(micro_batch, letters)
    return micro_batch


def test_they_come_back_as_they_were(tmp_path: Path, store: DeadLetterStore, landing: LandingZone) -> None:
    """Line separators of any kind inside a document are no end of a line."""
    micro_batch = landed(tmp_path, store, [ODD, LETTER, ODD])

    assert store.list(landing) == [
        StoredDeadLetter(f"{micro_batch.id}#{number}", "2026-01-03T12:00:00+00:00", letter)
        for number, letter in enumerate([ODD, LETTER, ODD])
    ]
    assert 3 == store.count(landing)


def test_the_order_is_that_of_the_lanes(tmp_path: Path, store: DeadLetterStore, landing: LandingZone) -> None:
    """Oldest first in each; files without any are passed over."""
    landed(tmp_path, store, [LETTER])
    land(tmp_path, [upsert(1, 10)])
    landed(tmp_path, store, [ODD])
    landed(tmp_path, store, [LETTER, LETTER], lane="backfill-1")

    reasons = [(one.id.split("/")[0], one.letter.reason) for one in store.list(landing)]
    backfilled, streamed = ("backfill-1", "missing_type"), ("stream", "missing_type")
    assert [backfilled, backfilled, streamed, ("stream", "bad_message")] == reasons


def test_orphans_do_not_count_and_are_cleared_away(
    tmp_path: Path, store: DeadLetterStore, landing: LandingZone
) -> None:
    """The process died before their micro-batch landed: they will be read again."""
    kept = landed(tmp_path, store, [LETTER])
    orphan = landing.lane("stream").new_name(7)
    store.store(orphan, [LETTER])
    other_lane = landing.lane("backfill-1").new_name(7)
    store.store(other_lane, [LETTER])
    (tmp_path / "dead_letter" / "stream" / ".half.jsonl.inflight").touch()

    assert 1 == store.count(landing)
    assert 1 == store.remove_orphans(landing, "stream")
    assert sorted(path.name for path in (tmp_path / "dead_letter").rglob("*.*")) == sorted(
        [f"{kept.stem}.jsonl", f"{other_lane.stem}.jsonl"]
    )
    assert 0 == store.remove_orphans(landing, "stream")


def test_storing_again_replaces(tmp_path: Path, store: DeadLetterStore, landing: LandingZone) -> None:
    """A window that is tried again on a full disk leaves one file."""
    micro_batch = landed(tmp_path, store, [LETTER])
    store.store(micro_batch, [LETTER])

    assert 1 == store.count(landing)


def test_nothing_is_stored_yet(store: DeadLetterStore, landing: LandingZone) -> None:
    """No folder, no dead letters."""
    assert [] == store.list(landing)
    assert 0 == store.remove_orphans(landing, "stream")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, landing: LandingZone) -> None:
    """The micro-batch must not land without them."""
    (tmp_path / "dead_letter").touch()
    store = DeadLetterStore(tmp_path / "dead_letter", clock=lambda: NOON)

    with pytest.raises(LandingNotWritableError, match="cannot write"):
        store.store(landing.lane("stream").new_name(0), [LETTER])
