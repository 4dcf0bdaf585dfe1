"""What is registered of the lanes, in a few words."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from batch.lake.registered import LaneRegistered, Registered

numbers = st.lists(st.integers(0, 30), max_size=20)


def ids(lane: str, *found: int) -> list[str]:
    """Return ids as a folder has them."""
    return [f"{lane}/{number:012d}-0a1b2c3d" for number in found]


def test_a_lane_in_order_takes_one_run() -> None:
    """However many files there are."""
    found = Registered({}).adding(ids("stream", *range(1_000))).naming({"stream": "stream/x"})

    assert found.lanes == {"stream": LaneRegistered(((0, 999),), "stream/x")}
    assert len(found.to_json()) < 50
    assert {"stream": 999} == found.known_to()


def test_ranges_that_land_in_another_order_are_not_passed_over() -> None:
    """Numbers before the first gap are known; those behind it are looked at again."""
    found = Registered({}).adding(ids("backfill-1", 0, 1, 2, 5, 7, 6)).adding(ids("late", 4))

    assert ((0, 2), (5, 7)) == found.lanes["backfill-1"].runs
    assert {"backfill-1": 2, "late": 0} == found.known_to()
    assert "backfill-1/000000000003" not in found
    assert "backfill-1/000000000006-ffffffff" in found
    assert "stream/000000000000" not in found


def test_the_newest_is_known_until_there_is_a_newer_one() -> None:
    """A hole that is filled leaves it."""
    found = Registered({}).adding(ids("stream", 0, 3)).naming({"stream": "stream/3", "other": "?"})

    assert found.adding(ids("stream", 1)).lanes["stream"] == LaneRegistered(((0, 1), (3, 3)), "stream/3")
    assert found.adding(ids("stream", 4)).lanes["stream"] == LaneRegistered(((0, 0), (3, 4)), "")


@given(first=numbers, then=numbers)
def test_it_contains_what_was_added(first: list[int], then: list[int]) -> None:
    """And nothing else, in whatever order, also after it was written down."""
    found = Registered.from_json(Registered({}).adding(ids("a", *first)).to_json()).adding(ids("a", *then))

    contained = [number for number in range(32) if ids("a", number)[0] in found]
    assert contained == sorted({*first, *then})
    runs = found.lanes["a"].runs if found.lanes else ()
    assert all(first <= last for first, last in runs)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(runs))
