"""The `_id` of a document → the text that names its row, one for each key as MongoDB compares keys. Pure.

To MongoDB equal numbers are one key whatever their BSON type, also inside a sub-document: `1`, `1.0`, a long
1 and `Decimal128("1.00")`. So they are one key here.
"""

import math
from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

import bson
from bson.binary import Binary
from bson.dbref import DBRef
from bson.decimal128 import Decimal128, create_decimal128_context
from bson.objectid import ObjectId

LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**63 - 1
"""Whole numbers outside of these are doubles or decimals: BSON has no longer integers."""


def document_key(value: object) -> str:
    """Return the canonical text of an `_id`: equal for two values exactly if MongoDB takes them for one key.

    An ObjectId is its 24 hex digits, so that time-ordered ids stay time-ordered text; every other type has a
    prefix of its own: `s:` string, `i:` whole number, `d:` number that only a double holds exactly, `n:`
    number that only a decimal holds exactly, `b:` binary with its subtype, `x:` the BSON of anything else.
    """
    if type(value) is ObjectId:
        return str(value)
    if type(value) is str and "\0" not in value:  # JavaScript code is a `str` too, but another `_id`
        return f"s:{value}"
    if isinstance(value, int | float | Decimal128) and not isinstance(value, bool):
        number = canonical_number(value)
        prefix = {int: "i", float: "d"}.get(type(number), "n")
        return f"{prefix}:{number if prefix != 'd' else repr(number)}"
    if isinstance(value, bytes):
        return f"b:{value.subtype if isinstance(value, Binary) else 0:02x}:{value.hex()}"
    return f"x:{bson.encode({'': _canonical(value)}).hex()}"


def canonical_number(  # noqa: PLR0911 - a form for each kind
    value: int | float | Decimal128,  # noqa: PYI041 - said in full
) -> int | float | Decimal128:
    """Return the one form of a number: an integer of 64 bits, else a double if exact, else a decimal."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if value.is_integer() and LEAST_INTEGER <= value <= MOST_INTEGER:
            return int(value)
        return math.nan if math.isnan(value) else value
    with localcontext(create_decimal128_context()):
        decimal = value.to_decimal()
        if decimal.is_nan():
            return math.nan
        if LEAST_INTEGER <= decimal <= MOST_INTEGER and decimal == decimal.to_integral_value():
            return int(decimal)
        as_double = float(decimal)
        if Decimal(as_double) == decimal:
            return as_double
        return Decimal128(decimal.normalize())


def canonical_sql(key: str) -> str:
    """Return SQL for the canonical text of a key that was written before landing schema version 4.

    Whole doubles alone, the common case; what else is written otherwise now, `verify --repair` mends.

    Args:
        key: The SQL of the old text.
    """
    number = f"try_cast(substr({key}, 3) as double)"
    is_whole = (
        f"trunc({number}) = {number} and {number} >= -9223372036854775808 and {number} < 9223372036854775808"
    )
    return (
        f"case when starts_with({key}, 'd:') and isfinite({number}) and {is_whole} "
        f"then 'i:' || cast({number} as bigint) else {key} end"
    )


def _canonical(value: Any) -> Any:  # noqa: ANN401 - an `_id` is of any type
    if isinstance(value, int | float | Decimal128) and not isinstance(value, bool):
        return canonical_number(value)
    if isinstance(value, DBRef):
        return _canonical(value.as_doc())
    if isinstance(value, Mapping):
        return {name: _canonical(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    return value
