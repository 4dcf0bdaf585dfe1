"""Ranges that several processes share."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch.backfill.claims import SharedRanges
from batch.backfill.ranges import Range
from stream.core.schema import NO_ROWS
from stream.landing.fenced import FencedLane, FencedZone
from stream.landing.footer import footer_of
from stream.stop import StopSignal
from stream.storage.local import LocalStorage

NOON = datetime(2026, 1, 3, 12, tzinfo=UTC)
RANGES = [Range(number, None, None) for number in range(3)]


class Process:
    """One of the processes, with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.lane: FencedLane = FencedZone(LocalStorage(folder), clock=lambda: NOON).lane("backfill-1")
        self.seconds = 0.0
        self.stop = StopSignal()
        self.seen: list[int] = []
        self.ranges = SharedRanges(
            self.lane,
            RANGES,
            lease_seconds=10,
            stop=self.stop,
            on_landed=self.seen.append,
            monotonic=lambda: self.seconds,
        )

    def take(self) -> int | None:
        """Take a range, as a thread does."""
        found = self.ranges.take()
        return found.number if found else None

    def try_to_take(self) -> int | None:
        """Look once, without waiting for others."""
        self.ranges._look()
        found = self.ranges._claim()
        return found.number if found else None

    def land(self, number: int) -> None:
        """Land a range."""
        named = self.lane.new_name(number)
        self.lane.land(named, NO_ROWS, footer_of(named.id, NO_ROWS, landed_at=NOON))
        self.ranges.landed(number)


@pytest.fixture
def one(tmp_path: Path) -> Process:
    return Process(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_each_range_is_read_by_one(one: Process, other: Process) -> None:
    """While its claim holds; when all have landed there is nothing more for anybody."""
    taken = [one.take(), other.take(), one.take()]
    assert [0, 1, 2] == sorted(number for number in taken if number is not None)
    one.land(taken[0] or 0)
    one.land(taken[2] or 0)
    other.land(taken[1] or 0)
    assert (None, None) == (one.take(), other.take())
    assert 3 == one.seen[-1]
    assert [] == list(one.lane.state.list_after("claims"))


def test_a_claim_without_a_sign_of_life_is_void_after_its_lease(one: Process, other: Process) -> None:
    """By the watcher's own clock, from when it first saw the claim so; then one takes it over."""
    for _ in RANGES:
        one.take()
    assert other.try_to_take() is None
    other.seconds = 9.9
    assert other.try_to_take() is None
    other.seconds = 10
    assert 0 == other.try_to_take()


def test_a_claim_that_is_renewed_holds(one: Process, other: Process) -> None:
    """However long the range takes."""
    for _ in RANGES:
        one.take()
    for seconds in (5, 10, 15, 20, 25):
        other.seconds = seconds
        for key in one.ranges._mine.values():
            one.lane.state.put(key, b"alive")
        assert other.try_to_take() is None
