"""When too much is rejected: counted over the last minute."""

from stream.core.dead_letter_limit import DeadLetterLimit


def test_as_many_as_the_limit_are_allowed() -> None:
    """One more is too many."""
    limit = DeadLetterLimit(10)
    assert [False, False, True] == [limit.is_exceeded(number, 0) for number in (4, 6, 1)]


def test_a_minute_later_they_no_longer_count() -> None:
    """However many there have been in all."""
    limit = DeadLetterLimit(10)
    assert [False] * 20 == [limit.is_exceeded(10, minute * 60.0) for minute in range(20)]
    assert [False, True] == [limit.is_exceeded(0, 1199.9), limit.is_exceeded(1, 1199.9)]
    assert not limit.is_exceeded(9, 1201)


def test_zero_is_no_limit() -> None:
    """All may be rejected."""
    assert not DeadLetterLimit(0).is_exceeded(10**9, 0)
