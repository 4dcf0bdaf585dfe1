"""Ranges of `_id`: pieces of a collection that are about equally heavy. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bson
from bson import json_util

from stream.core.exact_json import EXACT_JSON

_USUAL_DOCUMENT_SIZE_BYTES = 2000
"""Of a log line, where the server does not tell."""
_LEAST_DOCUMENTS = 100


@dataclass(frozen=True)
class Bound:
    """An `_id` at which two ranges meet, of any BSON type.

    Attributes:
        document: `{"_id": value}`, as `min` and `max` of a query take it.
    """

    document: dict[str, Any]

    def to_json(self) -> str:
        """Write it as Extended JSON."""
        return json_util.dumps(self.document, json_options=EXACT_JSON)

    @classmethod
    def from_json(cls, text: str) -> "Bound":
        """Read what `to_json` gave.

        Raises:
            TypeError, ValueError: It is something else.
        """
        return cls(json_util.loads(text, json_options=EXACT_JSON))

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


def documents_per_range(documents: int, size_bytes: int, *, range_size_bytes: int) -> int:
    """Return how many documents make a range of about the wanted size.

    Args:
        documents: In the collection, about.
        size_bytes: Of all of them; 0 if unknown.
        range_size_bytes: The wanted size.
    """
    mean = size_bytes / documents if documents and size_bytes else _USUAL_DOCUMENT_SIZE_BYTES
    return max(_LEAST_DOCUMENTS, round(range_size_bytes / mean))


def ranges_between(bounds: Sequence[Bound]) -> list[Range]:
    """Return the ranges that bounds make: one more than there are bounds, open at both ends."""
    edges = [None, *bounds, None]
    return [Range(number, edges[number], edges[number + 1]) for number in range(len(bounds) + 1)]
