"""Canonical `_id`s can be read back, whatever their type."""

import uuid
from datetime import datetime
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.decimal128 import Decimal128
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from batch.verify.keys import document_id
from stream.core.change_event import CODEC_OPTIONS
from stream.core.normalise import document_key

IDS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.uuids().map(Binary.from_uuid),
    st.datetimes(datetime(1, 1, 2), datetime(9999, 1, 1)),  # noqa: DTZ001 - as BSON stores it
    st.dictionaries(st.text().filter(lambda name: "\0" not in name), st.integers(-9, 9), max_size=3),
)


@given(IDS)
def test_every_id_can_be_read_back(value: Any) -> None:
    """The `_id` read from a canonical text is the original to MongoDB: equal numbers are."""
    stored = bson.decode(bson.encode({"_id": value}), CODEC_OPTIONS)["_id"]
    found = document_id(document_key(stored))
    assert document_key(stored) == document_key(found)
    is_number = isinstance(stored, int | float) and not isinstance(stored, bool)
    assert stored == found if is_number else bson.encode({"": stored}) == bson.encode({"": found})


@pytest.mark.parametrize(
    "value",
    [
        MinKey(),
        MaxKey(),
        Decimal128("1.1"),
        {"$id": 1, "$ref": "a"},
        Timestamp(7, 8),
        Code("f()"),
        Binary.from_uuid(uuid.UUID(int=7)),
        -0.5,
        float("-inf"),
        "i:1",
        "64b000000000000000000000",
        "\0",
    ],
    ids=repr,
)
def test_unusual_ids_can_be_read_back(value: Any) -> None:
    """Rare types, and text that looks like another type's, come back as they were."""
    assert bson.encode({"": value}) == bson.encode({"": document_id(document_key(value))})


@pytest.mark.parametrize(
    "key",
    [
        "",
        "64B000000000000000000000",
        "64b0",
        "i:one",
        f"i:{2**63}",
        "d:x",
        "d:1.0",
        "n:1.5",
        "n:x",
        "b:00",
        "b:00:0",
        "x:00",
        "y:1",
        "s",
    ],
)
def test_other_text_is_no_id(key: str) -> None:
    """Text that no `_id` has is refused, so that a damaged row is never taken for a document."""
    with pytest.raises(ValueError, match="is no canonical `_id`"):
        document_id(key)
