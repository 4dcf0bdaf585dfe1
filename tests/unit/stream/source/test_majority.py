"""What is taken for confirmed, by what a primary answers to `hello`."""

import math
from collections.abc import Iterator
from typing import Any, cast

import pytest
from bson import Timestamp

from stream.core.cluster_time import cluster_time_of
from stream.errors import MajorityLostError
from stream.source.client import Client
from stream.source.majority import Majority, majority_of, require_majority

NEWEST = {"opTime": {"ts": Timestamp(100, 7)}}
BEHIND = NEWEST | {"majorityOpTime": {"ts": Timestamp(90, 1)}}
CONFIRMED = NEWEST | {"majorityOpTime": {"ts": Timestamp(100, 7)}}


class Answering:
    """A primary whose answers to `hello` follow each other; the last one stays."""

    def __init__(self, *writes: dict[str, Any]) -> None:
        self.admin = self
        self._writes: Iterator[dict[str, Any]] = iter(writes)
        self._last: dict[str, Any] = {}

    def command(self, _name: str) -> dict[str, Any]:
        """Answer `hello`."""
        self._last = next(self._writes, self._last)
        return {"lastWrite": self._last}


def primary(*writes: dict[str, Any]) -> Client:
    return cast("Client", Answering(*writes))


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (CONFIRMED, Majority(cluster_time_of(100, 7), cluster_time_of(100, 7), 0)),
        (BEHIND, Majority(cluster_time_of(100, 7), cluster_time_of(90, 1), 10)),
        (NEWEST, Majority(cluster_time_of(100, 7), 0, math.inf)),
        ({"lastWriteDate": 100}, None),
    ],
)
def test_what_is_confirmed(write: dict[str, Any], expected: Majority | None) -> None:
    """A primary that names no confirmed write knows of none; a `mongos` names no write at all."""
    assert expected == majority_of(primary(write))


@pytest.mark.parametrize(
    ("write", "expected"), [(BEHIND, r"the last 10 s of them wait"), (NEWEST, r"all of them wait")]
)
def test_a_majority_that_does_not_come_is_said(write: dict[str, Any], expected: str) -> None:
    """Only then: the sentence says how much waits."""
    with pytest.raises(MajorityLostError, match=expected):
        require_majority(primary(write), "a.b", patience_seconds=0)


def test_a_majority_that_comes_late_is_one() -> None:
    """It is asked again until patience ends."""
    slept: list[float] = []
    require_majority(primary(NEWEST, BEHIND, CONFIRMED), "a.b", sleep=slept.append)
    assert 2 == len(slept)
