"""A cluster time of MongoDB as one whole number that orders like it. Pure.

A BSON timestamp has two unsigned numbers of 32 bits: seconds since 1970, and a count within the second. Here
the seconds stand above 31 bits of the count, so that all seconds there are, up to 2106, fit into a signed
number of 64 bits; no server counts two thousand million operations in a second.
"""

from datetime import UTC, datetime

from bson.timestamp import Timestamp

COUNT_BITS = 31
_MOST_COUNT = (1 << COUNT_BITS) - 1

_OLD_COUNT_BITS = 32
"""Before landing schema version 4; in 2038 that would have overflowed."""


def cluster_time_of(seconds: int, count: int) -> int:
    """Pack a cluster time into one number."""
    return seconds << COUNT_BITS | min(count, _MOST_COUNT)


def second_of(cluster_time: int) -> int:
    """Return the second that a cluster time lies in, since 1970."""
    return cluster_time >> COUNT_BITS


def instant_of(cluster_time: int) -> datetime:
    """Return the second that a cluster time lies in, in UTC."""
    return datetime.fromtimestamp(second_of(cluster_time), tz=UTC)


def timestamp_of(cluster_time: int) -> Timestamp:
    """Return a cluster time as the server takes it."""
    return Timestamp(second_of(cluster_time), cluster_time & _MOST_COUNT)


def upgraded(old: int) -> int:
    """Return a cluster time that was packed before landing schema version 4."""
    return cluster_time_of(old >> _OLD_COUNT_BITS, old & ((1 << _OLD_COUNT_BITS) - 1))


def upgraded_sql(expression: str) -> str:
    """Return SQL that does the same as `upgraded`."""
    return (
        f"(({expression} >> {_OLD_COUNT_BITS}) << {COUNT_BITS} "
        f"| least({expression} & {(1 << _OLD_COUNT_BITS) - 1}, {_MOST_COUNT}))"
    )
