"""Pieces: every `_id` and every row lies in exactly one of them."""

import random
import uuid
from collections import Counter
from typing import Any

import duckdb
import pytest
from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId

from batch.backfill.ranges import Bound
from batch.verify.ranges import KeyRange, choose_sample, plan_ranges
from stream.core.normalise import document_key

ASCENDING: list[Any] = [
    None,
    -3,
    1,
    1.5,
    Decimal128("7"),
    "",
    "1",
    "64b000000000000000000000",
    "s:1",
    "zoo",
    "\U0010ffff",
    {},
    {"a": 1},
    b"bytes",
    Binary.from_uuid(uuid.UUID(int=7)),
    ObjectId("0" * 24),
    ObjectId("64b000000000000000000000"),
    ObjectId("b" * 24),
    ObjectId("f" * 24),
    False,
    True,
]
"""In MongoDB's order."""


def pieces_of_rows(pieces: list[KeyRange], keys: list[str]) -> Counter[tuple[str, int]]:
    """Let DuckDB say which piece takes which key."""
    with duckdb.connect() as connection:
        connection.execute("create table rows (_id varchar)")
        for key in keys:
            connection.execute("insert into rows values (?)", [key])
        return Counter(
            (key, number)
            for number, piece in enumerate(pieces)
            for (key,) in connection.execute(f"select _id from rows where {piece.predicate}").fetchall()
        )


def place_of(value: Any) -> int:
    """Return the place of a value in `ASCENDING`; of the first one behind, for bounds that are not in it."""
    return next(number for number, each in enumerate(ASCENDING) if document_key(each) == document_key(value))


@pytest.mark.parametrize("seed", range(20))
def test_each_id_lies_where_its_row_lies(seed: int) -> None:
    """Wherever a collection is cut, the range of a document and the predicate of its row are of one piece."""
    chosen = sorted(random.Random(seed).sample(range(len(ASCENDING)), seed))
    pieces = plan_ranges([Bound({"_id": ASCENDING[number]}) for number in chosen])
    expected: Counter[tuple[str, int]] = Counter()
    for number, piece in enumerate(pieces):
        for part in piece.ranges:
            first = 0 if part.lower is None else place_of(part.lower.document["_id"])
            behind = len(ASCENDING) if part.upper is None else place_of(part.upper.document["_id"])
            assert first <= behind
            expected.update((document_key(value), number) for value in ASCENDING[first:behind])
    assert len(ASCENDING) == expected.total()
    assert expected == pieces_of_rows(pieces, [document_key(value) for value in ASCENDING])


def test_damaged_keys_lie_somewhere() -> None:
    """A row whose key is of no known form is looked at as well, once."""
    keys = ["", "nonsense", "ffffffffffffffffffffffffff", "zz", "ABC", "s", "é", "x:"]
    pieces = plan_ranges([Bound({"_id": ObjectId("b" * 24)}), Bound({"_id": True})])
    assert Counter(key for key, _ in pieces_of_rows(pieces, keys).elements()) == dict.fromkeys(keys, 1)


def test_text_with_quotes_is_no_sql() -> None:
    """A bound with quotes stays a value."""
    pieces = plan_ranges([Bound({"_id": "it's"})])
    assert {("s:it's", 1): 1} == pieces_of_rows(pieces, ["s:it's"])


def test_a_sample_is_a_share_of_the_pieces() -> None:
    """The share is drawn by chance, in order, the same for the same seed, and never empty."""
    pieces = plan_ranges([Bound({"_id": f"{number:03d}"}) for number in range(97)])
    assert pieces == choose_sample(pieces, 1.0, seed=1)
    sample = choose_sample(pieces, 0.1, seed=1)
    assert (10, sample) == (len(sample), choose_sample(pieces, 0.1, seed=1))
    assert sample != choose_sample(pieces, 0.1, seed=2)
    assert sample == sorted(sample, key=pieces.index)
    assert 1 == len(choose_sample(pieces, 0.0, seed=1))
