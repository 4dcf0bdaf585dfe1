"""A cluster time as one number: ordered, of 64 bits for as long as BSON has seconds, read back as it was."""

import duckdb
import pytest
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from stream.core.cluster_time import (
    cluster_time_of,
    instant_of,
    second_of,
    timestamp_of,
    upgraded,
    upgraded_sql,
)

SECONDS, COUNTS = st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1)


@given(SECONDS, COUNTS)
def test_a_cluster_time_is_read_back(second: int, count: int) -> None:
    """Both of its numbers."""
    packed = cluster_time_of(second, count)
    assert (Timestamp(second, count), second) == (timestamp_of(packed), second_of(packed))


@given(SECONDS, COUNTS, SECONDS, COUNTS)
def test_the_order_is_that_of_the_server(second: int, count: int, other: int, other_count: int) -> None:
    """By seconds, then by the count within them."""
    is_before = cluster_time_of(second, count) < cluster_time_of(other, other_count)
    assert ((second, count) < (other, other_count)) == is_before


@pytest.mark.parametrize("second", [2**31, 2**32 - 1], ids=["2038", "2106"])
def test_it_lasts_as_long_as_bson(second: int) -> None:
    """A column of 64 signed bits holds it; packed as it once was, it did not beyond January 2038."""
    assert 0 < cluster_time_of(second, 2**32 - 1) < 2**63
    assert 2038 <= instant_of(cluster_time_of(second, 0)).year


@given(st.integers(0, 2**31 - 1), COUNTS)
def test_old_numbers_are_taken_over(second: int, count: int) -> None:
    """By Python and by SQL alike."""
    old = second << 32 | count
    assert cluster_time_of(second, count) == upgraded(old)
    assert [(upgraded(old),)] == duckdb.sql(f"select {upgraded_sql(f'{old}::bigint')}").fetchall()
