"""Which rows of the warehouse belong to which range of the collection. Pure.

MongoDB orders `_id`s as BSON values, the warehouse as text. Both orders agree among ObjectIds, and among
strings: such ranges have an interval of text of their own. All other types share one piece, of many ranges.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bson.binary import Binary
from bson.code import Code
from bson.decimal128 import Decimal128
from bson.min_key import MinKey
from bson.objectid import ObjectId

from batch.backfill.ranges import Bound, Range
from stream import sql

_FIRST_OBJECT_ID = ObjectId("0" * 24)
_BRACKETS: tuple[Any, ...] = ("", {}, _FIRST_OBJECT_ID, False)
"""The first value of: strings, what follows strings, ObjectIds, what follows ObjectIds."""
_STRINGS, _OBJECT_IDS = 1, 3
_FIRST_STRING, _BEHIND_STRINGS = "s:", "s;"
_BEHIND_HEX = "g"
_IS_OBJECT_ID = f"(_id < '{_BEHIND_HEX}' and substr(_id, 2, 1) <> ':')"
_IS_STRING = f"(_id >= '{_FIRST_STRING}' and _id < '{_BEHIND_STRINGS}')"


@dataclass(frozen=True)
class KeyRange:
    """A part of the collection, and the part of the warehouse that must equal it.

    Every `_id` and every row lies in exactly one piece, but for strings with U+0000: they lie in the ranges
    of the strings, and their rows among those of all other types.

    Attributes:
        ranges: To read, one after the other.
        predicate: Which rows of `raw.conversations`, as SQL.
        is_of_other_types: Whether it is the one of neither strings nor ObjectIds.
    """

    ranges: Sequence[Range]
    predicate: str
    is_of_other_types: bool = False


def plan_ranges(bounds: Sequence[Bound]) -> list[KeyRange]:
    """Make the pieces of a collection.

    Args:
        bounds: Where to cut, ascending in MongoDB's order, of any type.

    Returns:
        Strings, ObjectIds, and last the one piece of all other types.
    """
    by_bracket: list[list[Bound]] = [[] for _ in range(len(_BRACKETS) + 1)]
    for bound in bounds:
        by_bracket[_bracket_of(bound.document["_id"])].append(bound)
    pieces: list[KeyRange] = []
    others: list[Range] = []
    number = 0
    edges = [None, *(Bound({"_id": value}) for value in _BRACKETS), None]
    for bracket, cuts in enumerate(by_bracket):
        first, behind = edges[bracket : bracket + 2]
        for lower, upper in pairwise([first, *(cut for cut in cuts if cut != first), behind]):
            part = Range(number, lower, upper)
            number += 1
            if bracket == _STRINGS:
                pieces.append(KeyRange([part], _strings(_value(lower), _value(upper))))
            elif bracket == _OBJECT_IDS:
                pieces.append(KeyRange([part], _object_ids(_value(lower), _value(upper))))
            else:
                others.append(part)
    rest = KeyRange(others, f"not {_IS_STRING} and not {_IS_OBJECT_ID}", is_of_other_types=True)
    return [*pieces, rest]


def _bracket_of(value: object) -> int:
    """Return the place of a value's type in the order of BSON types, as cut by `_BRACKETS`."""
    if isinstance(value, ObjectId):
        return _OBJECT_IDS
    if isinstance(value, bool | Code):
        return 4
    if isinstance(value, str):
        return _STRINGS
    if value is None or isinstance(value, int | float | Decimal128 | MinKey):
        return 0
    return 2 if isinstance(value, dict | list | bytes | Binary) else 4


def _value(bound: Bound | None) -> Any:  # noqa: ANN401 - an `_id` is of any type
    return None if bound is None else bound.document["_id"]


def _strings(lower: str, upper: object) -> str:
    behind = f"s:{upper}" if isinstance(upper, str) else _BEHIND_STRINGS
    return f"_id >= {sql.literal(f's:{lower}')} and _id < {sql.literal(behind)}"


def _object_ids(lower: ObjectId, upper: object) -> str:
    first = "" if lower == _FIRST_OBJECT_ID else str(lower)
    behind = str(upper) if isinstance(upper, ObjectId) else _BEHIND_HEX
    return f"_id >= {sql.literal(first)} and _id < {sql.literal(behind)} and {_IS_OBJECT_ID}"


def choose_sample(pieces: Sequence[KeyRange], fraction: float, *, seed: int) -> list[KeyRange]:
    """Draw so large a share of the pieces, one at least; the same ones for the same seed."""
    if fraction >= 1:
        return list(pieces)
    count = max(1, round(len(pieces) * fraction))
    chosen = random.Random(seed).sample(range(len(pieces)), count)  # noqa: S311 - chance, not secrecy
    return [pieces[number] for number in sorted(chosen)]
