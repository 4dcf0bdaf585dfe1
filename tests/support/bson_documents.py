"""Documents of all BSON types, for property tests; as the stream decodes them."""

import math
from datetime import UTC, datetime
from typing import Any

import bson
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from hypothesis import strategies as st

from stream.core.change_event import CODEC_OPTIONS

NAMES = st.one_of(
    st.sampled_from(["_id", "type", "sessionId", "projectId", "timestamp", "ingestedAt", "message",
                     "sourceFile", "uuid", "role", "content", "text", "id", "a.b", "$date", "$oid", ""]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
)  # fmt: skip

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INSTANTS = st.one_of(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(  # noqa: DTZ001 - decoded so
        lambda found: found.replace(microsecond=found.microsecond // 1000 * 1000)
    ),
    st.integers(-(2**63), 2**63 - 1).map(DatetimeMS),
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.floats(),
    TEXTS,
    INSTANTS,
    st.sampled_from(["2026-01-03T10:00:00Z", "2026-01-03", "user", "assistant", "1e999", "0000-00-00"]),
    st.integers(0, 4_000_000_000_000).map(float),
    st.binary(max_size=8),
    st.builds(Binary, st.binary(max_size=8), st.sampled_from([0, 1, 5, 6, 8, 128])),
    st.binary(min_size=16, max_size=16).map(lambda found: Binary(found, 4)),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.decimals(allow_nan=True, places=3, min_value=-(10**12), max_value=10**12).map(Decimal128),
    st.sampled_from([Decimal128("NaN"), Decimal128("-Infinity"), MinKey(), MaxKey(), Regex("a.*", "im")]),
    TEXTS.map(Code),
    st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.builds(DBRef, TEXTS.filter(bool), st.integers(0, 9)),
)

VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


def as_decoded(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as it comes out of MongoDB."""
    return bson.decode(bson.encode(document), CODEC_OPTIONS)


DOCUMENTS = st.one_of(
    st.dictionaries(NAMES, VALUES, max_size=8),
    st.fixed_dictionaries(
        {"_id": VALUES, "type": TEXTS},
        optional={
            "message": VALUES,
            "timestamp": SCALARS,
            "ingestedAt": INSTANTS,
            "sessionId": st.one_of(st.none(), TEXTS),
            "uuid": st.one_of(st.none(), TEXTS),
            "toolUseResult": VALUES,
        },
    ),
).map(as_decoded)


def is_same(one: Any, other: Any) -> bool:
    """Compare two values, NaN being equal to itself, and types telling apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(is_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


def at(text: str) -> int:
    """Return an instant as microseconds since 1970."""
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
