"""Ranges of `_id`: where to cut a collection so that the pieces are about equally heavy. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bson
from bson import json_util
from bson.codec_options import DatetimeConversion
from bson.json_util import JSONOptions

_SAMPLES_PER_RANGE = 20
_LEAST_SAMPLES_PER_RANGE = 8
_MAX_SAMPLES = 20_000
_MAX_SHARE = 0.04
"""MongoDB samples less than a twentieth of a collection by jumping about in it, more by reading it all."""

_JSON_OPTIONS = JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    tz_aware=False,
)


@dataclass(frozen=True)
class Bound:
    """An `_id` at which two ranges meet, of any BSON type.

    Attributes:
        document: `{"_id": value}`, as `min` and `max` of a query take it.
    """

    document: dict[str, Any]

    def to_json(self) -> str:
        """Write it as Extended JSON."""
        return json_util.dumps(self.document, json_options=_JSON_OPTIONS)

    @classmethod
    def from_json(cls, text: str) -> "Bound":
        """Read what `to_json` gave.

        Raises:
            TypeError, ValueError: It is something else.
        """
        return cls(json_util.loads(text, json_options=_JSON_OPTIONS))

    @property
    def is_writable(self) -> bool:
        """Whether its text gives back the very same value; else it must not be a bound."""
        try:
            return bson.encode(Bound.from_json(self.to_json()).document) == bson.encode(self.document)
        except (TypeError, ValueError, bson.errors.BSONError):
            return False


@dataclass(frozen=True)
class Range:
    """A piece of a collection in the order of `_id`, which is the order of BSON values.

    Attributes:
        number: From 0, ascending; the sequence of its micro-batch.
        lower: Its first possible `_id`; None is open.
        upper: The first `_id` behind it; None is open.
    """

    number: int
    lower: Bound | None
    upper: Bound | None


@dataclass(frozen=True)
class Sample:
    """One document drawn by chance.

    Attributes:
        bound: Its `_id`.
        size_bytes: Of the whole document, as BSON.
    """

    bound: Bound
    size_bytes: int


def sample_size(documents: int, size_bytes: int, *, range_size_bytes: int) -> int:
    """Give how many documents to draw for a collection of this size; 0 if it is one range."""
    wanted = math.ceil(size_bytes / range_size_bytes)
    if wanted <= 1:
        return 0
    return min(wanted * _SAMPLES_PER_RANGE, _MAX_SAMPLES, int(documents * _MAX_SHARE))


def choose_bounds(samples: Sequence[Sample], *, size_bytes: int, range_size_bytes: int) -> list[Bound]:
    """Choose the `_id`s to cut at.

    Args:
        samples: In the order of `_id`.
        size_bytes: Of the whole collection.
        range_size_bytes: About so much in each range.

    Returns:
        Ascending and all different; empty if the collection is to be one range.
    """
    wanted = min(math.ceil(size_bytes / range_size_bytes), len(samples) // _LEAST_SAMPLES_PER_RANGE)
    if wanted <= 1:
        return []
    step = sum(sample.size_bytes for sample in samples) / wanted
    bounds: list[Bound] = []
    passed = 0
    for sample in samples:
        is_behind_next_cut = passed >= step * (len(bounds) + 1)
        is_new = not bounds or bounds[-1] != sample.bound
        if is_behind_next_cut and is_new and sample.bound.is_writable:
            bounds.append(sample.bound)
        passed += sample.size_bytes
    return bounds


def ranges_between(bounds: Sequence[Bound]) -> list[Range]:
    """Give the ranges that bounds make: one more than there are bounds, open at both ends."""
    edges = [None, *bounds, None]
    return [Range(number, edges[number], edges[number + 1]) for number in range(len(bounds) + 1)]
