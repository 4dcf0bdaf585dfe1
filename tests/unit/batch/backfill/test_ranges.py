"""Ranges of `_id`: bounds that survive on disk, and how many documents make a range."""

from datetime import datetime
from typing import Any

import bson
import pytest
from bson import Binary, DatetimeMS, Decimal128, Int64, ObjectId, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from batch.backfill.ranges import Bound, documents_per_range, ranges_between

IDS = [
    ObjectId("0123456789abcdef01234567"), "text", "", 1, Int64(1), 1.0, 1.5, float("inf"), True, None,
    Binary(b"x", 4), b"bytes", Decimal128("1.10"), Timestamp(1, 2), DatetimeMS(2**60),
    datetime(2026, 1, 3, 10),  # noqa: DTZ001
    {"b": 1, "a": {"c": [1, "x"]}},
]  # fmt: skip


@pytest.mark.parametrize("value", IDS, ids=repr)
def test_a_bound_of_any_type_survives_on_disk(value: Any) -> None:
    """Read back, it is the same value of the same BSON type, fields in the same order."""
    bound = Bound({"_id": value})

    assert bson.encode(bound.document) == bson.encode(Bound.from_json(bound.to_json()).document)
    assert bound.is_writable


@given(st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)))
def test_common_bounds_survive_on_disk(value: Any) -> None:
    """Any text, any whole number, any double."""
    assert Bound({"_id": value}).is_writable


def test_a_bound_that_text_cannot_hold_is_known() -> None:
    """Some NaNs lose their bits on the way: such an `_id` must not be a bound."""
    assert not Bound({"_id": {"$numberInt": "5"}}).is_writable


def test_ranges_cover_everything_once() -> None:
    """Each begins where the one before it ends; the first and the last are open."""
    low, high = Bound({"_id": 1}), Bound({"_id": "x"})

    ranges = ranges_between([low, high])

    assert [(0, None, low), (1, low, high), (2, high, None)] == [(r.number, r.lower, r.upper) for r in ranges]
    assert [(0, None, None)] == [(r.number, r.lower, r.upper) for r in ranges_between([])]


@pytest.mark.parametrize(
    ("documents", "size_bytes", "expected"),
    [(1000, 2_000_000, 500), (1000, 0, 500), (0, 0, 500), (10, 100_000_000, 100)],
    ids=["by mean size", "size unknown", "empty", "huge documents"],
)
def test_documents_per_range(documents: int, size_bytes: int, expected: int) -> None:
    """A range is about as heavy as asked for, but never of a few documents only."""
    assert expected == documents_per_range(documents, size_bytes, range_size_bytes=1_000_000)
