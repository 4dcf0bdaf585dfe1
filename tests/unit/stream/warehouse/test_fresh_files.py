"""Which files overlap by their ids."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.warehouse.fresh_files import FileIds, bundled, group_by_overlap


def ids(*intervals: tuple[str, str]) -> list[FileIds]:
    return [FileIds(f"{first}-{last}", first, last, is_plain=True) for first, last in intervals]


def paths(groups: list[list[FileIds]]) -> list[list[str]]:
    return [[file.path for file in group] for group in groups]


@pytest.mark.parametrize(
    ("intervals", "groups"),
    [
        (["cd", "ab"], [["a-b"], ["c-d"]]),
        (["ac", "cd"], [["a-c", "c-d"]]),
        (["bc", "de", "ax", "yz"], [["a-x", "b-c", "d-e"], ["y-z"]]),
    ],
    ids=["apart, in the order of their ids", "both ends belong to it", "a wide one joins those within"],
)
def test_files_that_share_an_id_are_one_group(intervals: list[str], groups: list[list[str]]) -> None:
    """Also such as have nothing in common with each other, but with a third."""
    assert groups == paths(group_by_overlap(ids(*((each[0], each[1]) for each in intervals))))


@given(st.lists(st.tuples(st.text("abcd", max_size=3), st.text("abcd", max_size=3)).map(sorted).map(tuple)))
def test_no_two_groups_overlap(intervals: list[tuple[str, str]]) -> None:
    """Whatever the intervals: every file is in one group, and groups lie apart, ascending."""
    groups = group_by_overlap(ids(*intervals))

    assert len(intervals) == sum(map(len, groups))
    edges = [(min(f.first for f in group), max(f.last for f in group)) for group in groups]
    assert all(before[1] < behind[0] for before, behind in pairwise(edges))


@pytest.mark.parametrize(("groups", "expected"), [(0, 0), (1, 1), (4, 4), (5, 3), (8, 4), (1000, 4)])
def test_many_groups_are_few_questions(groups: int, expected: int) -> None:
    """Neighbours are asked about together: the cost of a question does not grow with the number of files."""
    apart = group_by_overlap(ids(*((f"{n:04}", f"{n:04}") for n in range(groups))))

    found = bundled(apart, 4)

    assert expected == len(found)
    assert [file for group in apart for file in group] == [file for bundle in found for file in bundle]
