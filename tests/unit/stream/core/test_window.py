"""When a micro-batch closes, and what is in it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.normalise import deletion
from stream.core.position import Position
from stream.core.schema import Row, to_table
from stream.core.window import ClosedWindow, FlushPolicy, NormalisedBatch, Window
from tests.support.landing import LETTER
from tests.support.replies import position_at
from tests.support.rows import rows_of

POLICY = FlushPolicy(
    max_rows=10, max_size_bytes=1000, max_age=timedelta(seconds=2), idle_position=timedelta(seconds=10)
)


def batch(second: int, *, rows: int = 0, letters: int = 0, size_bytes: int = 0) -> NormalisedBatch:
    """Return a batch whose rows are numbered by its second."""
    return NormalisedBatch(
        to_table([deletion(f"{second}-{number}", source_version=second) for number in range(rows)]),
        [LETTER] * letters,
        size_bytes,
        position_at(second),
    )


def window() -> Window:
    return Window(POLICY, idle_since=0.0)


def sizes(closed: list[ClosedWindow]) -> list[tuple[int, int]]:
    return [(one.table.num_rows, len(one.dead_letters)) for one in closed]


@pytest.mark.parametrize(
    ("rows", "size_bytes", "expected"), [(9, 999, False), (10, 0, True), (0, 1000, True), (50, 5000, True)]
)
def test_a_policy_says_when_it_is_full(rows: int, size_bytes: int, expected: bool) -> None:  # noqa: FBT001
    """Rows or bytes, whichever comes first."""
    assert POLICY.is_full(rows, size_bytes) is expected


def test_the_age_is_that_of_the_first_row() -> None:
    """A steady trickle does not put the flush off."""
    waiting = window()
    assert [] == waiting.add(batch(1, rows=1), 5.0)
    assert [] == waiting.add(batch(2, rows=1), 6.0)
    assert [] == waiting.add(batch(3, rows=1), 6.9)

    [closed] = waiting.add(batch(4, rows=1), 7.0)

    assert [(4, 0)] == sizes([closed])
    assert position_at(4) == closed.position
    assert [] == waiting.add(batch(5, rows=1), 7.1)
    assert [] == waiting.due(9.0)
    assert [(1, 0)] == sizes(waiting.due(9.1))


def test_a_truncate_marker_begins_a_window() -> None:
    """What waits is closed first: its dead letters are older than the truncate marker."""
    waiting = window()
    waiting.add(batch(1, rows=1, letters=1), 0.0)

    [closed] = waiting.add(replace(batch(2, rows=1, letters=1), has_truncate_marker=True), 0.0)

    assert ([(1, 1)], position_at(1)) == (sizes([closed]), closed.position)
    assert 2 == len(waiting)


def test_a_tick_closes_what_is_old() -> None:
    """Nothing else needs to arrive."""
    waiting = window()
    waiting.add(batch(1, rows=3, letters=1), 5.0)

    assert [] == waiting.add(batch(1), 6.9)
    assert [(3, 1)] == sizes(waiting.add(batch(1), 7.0))
    assert [] == waiting.add(batch(1), 9.9)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (batch(1, rows=5, letters=4), batch(2, letters=1), [(5, 5, position_at(2))]),
        (batch(1, letters=9), batch(2, letters=1), [(0, 10, position_at(2))]),
        (batch(1, rows=1, size_bytes=600), batch(2, rows=1, size_bytes=500), [(1, 0, position_at(1))]),
        (batch(1, rows=4), batch(2, rows=25), [(4, 0, position_at(1)), (25, 0, position_at(2))]),
    ],
    ids=["rows and dead letters", "dead letters alone", "bytes", "what is too large alone"],
)
def test_what_closes_it(
    first: NormalisedBatch, second: NormalisedBatch, expected: list[tuple[int, int, Position]]
) -> None:
    """A batch is never divided: what does not fit opens the next file."""
    waiting = window()
    assert [] == waiting.close(0.0)
    assert [] == waiting.add(first, 0.0)
    assert len(first) == len(waiting)

    closed = waiting.add(second, 0.5)

    assert expected == [(one.table.num_rows, len(one.dead_letters), one.position) for one in closed]
    assert not any(one.is_empty for one in closed)
    rest = len(first) + len(second) - sum(rows + letters for rows, letters, _ in expected)
    assert rest == len(waiting) == sum(one.table.num_rows for one in waiting.close(0.5))
    assert [] == waiting.close(0.5)


def test_the_position_moves_on_with_an_open_window() -> None:
    """An empty reply behind rows carries the position further before they land."""
    waiting = window()
    waiting.add(batch(1, rows=1), 0.0)
    waiting.add(batch(9), 0.1)

    [closed] = waiting.close(0.2)

    assert position_at(9) == closed.position


def test_an_idle_position_is_handed_on_from_time_to_time() -> None:
    """Only if it has moved, and not before its time since the last flush of any kind."""
    waiting = window()
    assert [] == waiting.add(batch(1), 9.9)
    [closed] = waiting.add(batch(2), 10.0)
    assert closed.is_empty
    assert position_at(2) == closed.position

    assert [] == waiting.add(batch(2), 20.0)
    assert [] == waiting.add(batch(3), 29.9)
    assert [position_at(3)] == [one.position for one in waiting.add(batch(3), 30.0)]

    waiting.add(batch(4, rows=1), 31.0)
    assert [(1, 0)] == sizes(waiting.add(batch(4), 33.0))
    assert [] == waiting.add(batch(5), 40.0)
    assert [True] == [one.is_empty for one in waiting.add(batch(5), 43.0)]


STEPS = st.lists(
    st.tuples(st.integers(0, 14), st.integers(0, 4), st.integers(0, 600), st.floats(0, 3, allow_nan=False)),
    max_size=30,
)
"""Rows, dead letters, bytes, and seconds until the next one."""


@given(STEPS)
def test_every_row_lands_once_in_order_behind_its_position(steps: list[tuple[int, int, int, float]]) -> None:
    """Whatever arrives when: windows together are the input, each ends where a batch and its position do."""
    waiting = window()
    now = 0.0
    closed: list[ClosedWindow] = []
    arrived_rows: list[Row] = []
    rows_until = {position_at(0).cluster_time: 0}
    letters = 0
    for second, (rows, dead, size_bytes, pause) in enumerate(steps, start=1):
        arrived = batch(second, rows=rows, letters=dead, size_bytes=size_bytes)
        arrived_rows += rows_of(arrived.table)
        letters += dead
        rows_until[arrived.position.cluster_time] = len(arrived_rows)
        closed += waiting.add(arrived, now)
        now += pause
    closed += waiting.close(now)

    landed = 0
    for one in closed:
        landed += one.table.num_rows
        assert rows_until[one.position.cluster_time] == landed
    assert [row for one in closed for row in rows_of(one.table)] == arrived_rows
    assert letters == sum(len(one.dead_letters) for one in closed)
    times = [one.position.cluster_time for one in closed]
    assert times == sorted(set(times))
