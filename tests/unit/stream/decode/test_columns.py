"""The compiled way from BSON to columns gives what `normalise` gives, whatever the documents hold."""

import contextlib
import json
import random
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import bson
import orjson
import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from batch import shipped
from stream.core.redact import Redactor
from stream.core.schema import LANDING_SCHEMA
from stream.core.secret_rules import known_rules
from stream.core.transcribed import LEFT
from stream.decode import compiled
from stream.decode.columns import Tabulate, Tabulated, tabulate_compiled, tabulate_in_python
from tests.support.secrets_for_tests import SECRETS

pytestmark = pytest.mark.skipif(compiled.problem() is not None, reason="the extension is not built")

VERSION = 7 << 31
EXTRACTED_AT = 1_780_000_000_123_456

texts = st.one_of(
    st.text(max_size=80),
    st.text(alphabet='ab"\\/\b\f\n\r\t\x01\x1f\x7f\0é€😀', max_size=90),
    st.sampled_from(["text", "type", "x" * 31, "x" * 32, "x" * 33 + "é", '"' * 40]),
)
times = st.one_of(
    st.sampled_from(
        [
            "2026-01-31T23:59:59.999Z",
            "2024-02-29T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2026-01-31T23:59:59.123456Z",
            "2026-01-31T23:59:59.999+02:00",
            "2026-01-31",
            "0001-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-01-31T24:00:00.000Z",
            "2026-01-31T23:59:60.000Z",
            "\uff12026-01-31T23:59:59Z",
            "",
        ]
    ),
    st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)).map(  # noqa: DTZ001
        lambda instant: instant.isoformat(timespec="milliseconds") + "Z"
    ),
    st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)),  # noqa: DTZ001
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 4_000_000_000_000),
    st.floats(),
    st.just(DatetimeMS(2**60)),
    st.none(),
    st.booleans(),
)
odd = st.sampled_from(
    [
        ObjectId("0123456789abcdef01234567"), Decimal128("1.5"), Binary(b"\0x", 4), Regex("a", "i"), Int64(5),
        Code("x"), Timestamp(1, 2), MaxKey(), datetime(2026, 1, 3, 10, 0, 0, 123000), DatetimeMS(2**60),  # noqa: DTZ001
    ]
)  # fmt: skip
numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-20, 20),
    st.floats(),
    st.integers(-(10**9), 10**9).map(lambda whole: whole / 1000),
    st.sampled_from([0.0, -0.0, 0.1, 0.1 + 0.2, 1e15, 1e16, 123456789012345.0, 0.001, 0.0009, 5e-324, 12.5]),
)
leaves = st.one_of(texts, numbers, st.booleans(), st.none())
keys = st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
values = st.recursive(
    st.one_of(leaves, leaves, leaves, odd),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.fixed_dictionaries({"text": texts, "type": st.sampled_from(["text", "thinking"])}),
    st.fixed_dictionaries({"type": values, "text": values}),
    texts,
    values,
)
contents = st.one_of(texts, st.lists(blocks, max_size=5), values)
messages = st.one_of(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant"]), "content": contents}, optional={"id": texts}
    ),
    st.dictionaries(st.one_of(st.sampled_from(["role", "id", "content"]), keys), values, max_size=5),
    contents,
)
names = st.one_of(texts, texts, texts, st.none(), values)
documents = st.fixed_dictionaries(
    {"_id": st.one_of(st.builds(ObjectId), texts, st.integers(-(2**63), 2**63 - 1), values)},
    optional={
        "type": st.one_of(st.just("user"), names),
        "sessionId": names,
        "projectId": names,
        "sourceFile": names,
        "uuid": names,
        "timestamp": times,
        "ingestedAt": times,
        "message": messages,
        "isSidechain": st.booleans(),
        "toolUseResult": values,
    },
).flatmap(
    lambda known: st.tuples(st.just(known), st.dictionaries(keys, values, max_size=3)).map(
        lambda both: both[1] | both[0]
    )
)


@pytest.fixture(scope="module")
def tabulate() -> Tabulate:
    return tabulate_compiled


def array_of(*found: Any) -> bytes:
    return bson.encode({str(number): document for number, document in enumerate(found)})


def both(tabulate: Tabulate, batch: bytes) -> tuple[Tabulated, Tabulated]:
    expected = tabulate_in_python(batch, source_version=VERSION, extracted_at=EXTRACTED_AT)
    actual = tabulate(batch, source_version=VERSION, extracted_at=EXTRACTED_AT)
    actual.table.validate(full=True)
    return expected, actual


def assert_same(tabulate: Tabulate, batch: bytes) -> None:
    expected, actual = both(tabulate, batch)
    assert expected.table.to_pylist() == actual.table.to_pylist()
    # What the decoder says of the same damaged bytes is not always the same.
    assert [replace(letter, detail="") for letter in expected.dead_letters] == [
        replace(letter, detail="") for letter in actual.dead_letters
    ]
    assert expected.documents == actual.documents
    assert LANDING_SCHEMA == actual.table.schema


@settings(max_examples=300)
@given(st.lists(documents, max_size=5))
def test_both_ways_give_the_same_rows(tabulate: Tabulate, found: list[dict[str, Any]]) -> None:
    """Any documents MongoDB can hold: same rows in the same order, same dead letters."""
    assert_same(tabulate, array_of(*found))


@settings(max_examples=300)
@given(documents, st.integers(0, 2**32))
def test_damaged_bytes_make_no_difference(tabulate: Tabulate, found: dict[str, Any], seed: int) -> None:
    """Bytes changed inside a document: what cannot be decoded is a dead letter, its neighbours are rows."""
    whole = {"_id": 1, "type": "user", "message": "whole"}
    batch = bytearray(array_of(whole, found, whole))
    chance = random.Random(seed)
    start = 4 + 3 + len(bson.encode(whole)) + 3 + 4
    stop = len(batch) - 2 - len(bson.encode(whole)) - 3
    for _ in range(chance.randrange(1, 4)):
        batch[chance.randrange(start, stop)] = chance.randrange(256)
    assert_same(tabulate, bytes(batch))


@settings(max_examples=200)
@given(
    st.one_of(st.floats(), st.floats(0.001, 1000), st.integers(0, 10**15).map(lambda whole: whole / 10**4))
)
def test_numbers_are_written_as_orjson_does(tabulate: Tabulate, number: float) -> None:
    """Every double comes out with the same digits, on whichever way."""
    _, actual = both(tabulate, array_of({"_id": 1, "type": "user", "cost": number}))

    assert orjson.dumps({"cost": number}).decode() == actual.table["extra"][0].as_py()


def test_a_usual_log_takes_the_compiled_way(tabulate: Tabulate) -> None:
    """Lines as Claude Code writes them leave nothing to Python: the columns are single pieces."""
    second = datetime(2026, 1, 3, 10, 0, 0)  # noqa: DTZ001
    batch = array_of(
        *(
            {
                "_id": ObjectId(),
                "type": "assistant",
                "sessionId": "session-ä",
                "timestamp": (second + timedelta(seconds=number)).isoformat() + ".123Z",
                "ingestedAt": second,
                "message": {
                    "id": "msg",
                    "role": "assistant",
                    "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two\n"}],
                    "usage": {"input_tokens": 3, "cost": 0.25, "service_tier": None},
                },
                "isSidechain": False,
            }
            for number in range(100)
        )
    )
    assert_same(tabulate, batch)
    _, actual = both(tabulate, batch)

    assert 1 == actual.table["message_raw"].num_chunks
    assert {"one\ntwo\n"} == set(actual.table["message_content"].to_pylist())


def test_more_unusual_documents_than_usual_ones(tabulate: Tabulate) -> None:
    """They stand between the others where they stood, also when there are many."""
    found = [{"_id": n, "type": "user", "extra": Decimal128("1") if n % 3 else n} for n in range(300)]
    assert_same(tabulate, array_of(*found))


def test_a_document_too_large_for_its_share_of_memory(tabulate: Tabulate) -> None:
    """Control characters take six times the room in JSON: then Python does it."""
    assert_same(tabulate, array_of({"_id": 1, "type": "user", "message": "\x01" * 2_000_000}))


def test_a_document_of_a_hundred_levels_and_more(tabulate: Tabulate) -> None:
    """Depth is Python's to judge."""
    for depth in (98, 99, 100, 101, 300):
        nested: Any = "x"
        for _ in range(depth):
            nested = {"a": nested}
        assert_same(tabulate, array_of({"_id": 1, "type": "user", "message": nested}))


def test_a_key_that_is_there_twice(tabulate: Tabulate) -> None:
    """BSON allows it, a dict takes the last; so do both ways."""
    once = bson.encode({"_id": 1, "type": "user", "message": {"a": 1, "b": 2}})
    assert_same(tabulate, _array_of_raw(once.replace(b"\x10b\0", b"\x10a\0")))
    top = bson.encode({"_id": 1, "type": "user", "uuid": "x", "uuie": "y"})
    assert_same(tabulate, _array_of_raw(top.replace(b"uuie", b"uuid")))


@pytest.mark.parametrize("batch", [b"", bson.encode({}), b"\x05\0\0\0"], ids=["nothing", "empty", "cut"])
def test_no_documents(tabulate: Tabulate, batch: bytes) -> None:
    """An empty batch is an empty table."""
    assert 0 == tabulate(batch, source_version=VERSION, extracted_at=EXTRACTED_AT).table.num_rows


@settings(max_examples=300)
@given(st.lists(documents, max_size=3), st.integers(0, 2**32))
def test_no_bytes_at_all_break_it(found: list[dict[str, Any]], seed: int) -> None:
    """Bytes changed, cut or repeated anywhere in a batch, its own frame too: some answer, or none."""
    chance = random.Random(seed)
    batch = bytearray(array_of(*found) + array_of({"fullDocument": found[0]} if found else {}))
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(batch))
        batch[place] = chance.choice([0, 1, 2, 3, 4, 0x10, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    cut = bytes(batch[: chance.randrange(len(batch) + 1)])
    framed = struct.pack("<i", len(cut) + 5) + cut + b"\0"
    for given_bytes in (bytes(batch), cut, framed):
        for found_rows in (
            compiled.transcribe_documents(given_bytes, source_version=VERSION, extracted_at=EXTRACTED_AT),
            compiled.transcribe_events(given_bytes, extracted_at=EXTRACTED_AT),
        ):
            if found_rows is not None:
                found_rows.table.validate(full=True)
                assert found_rows.usual == len(found_rows) - found_rows.codes.count(LEFT)


def test_a_reference_keeps_its_keys_in_order(tabulate: Tabulate) -> None:
    """What looks like a DBRef, as JSON schemas in tool inputs do, is an object like any other."""
    schema = {"$id": "https://example.org/s", "title": "s", "$ref": "#/defs/s", "$db": "x"}
    batch = array_of({"_id": 1, "type": "user", "message": schema, "input": [{"schema": schema}]})
    for found in both(tabulate, batch):
        assert json.dumps(schema, separators=(",", ":")) == found.table["message_raw"][0].as_py()
        assert {"input": [{"schema": schema}]} == json.loads(found.table["extra"][0].as_py())
        assert ["$id", "title", "$ref", "$db"] == list(
            json.loads(found.table["extra"][0].as_py())["input"][0]["schema"]
        )
    assert_same(tabulate, batch)


@pytest.mark.parametrize("time", [253402300799997.0, 9_000_000_000_001.0, 99_999_999_997.0, 1.5e9, -1.0])
def test_times_written_as_doubles(tabulate: Tabulate, time: float) -> None:
    """Large ones are no exact product to Python."""
    assert_same(tabulate, array_of({"_id": 1, "type": "user", "timestamp": time}))


def test_objects_of_many_keys(tabulate: Tabulate) -> None:
    """Up to a thousand keys are compared; more are Python's."""
    for count in (1000, 1023, 1024, 1025, 5000):
        wide = {f"/home/dev/work/project/file-{number:05d}.txt": number for number in range(count)}
        assert_same(tabulate, array_of({"_id": 1, "type": "user", "message": wide, **wide}))


def usual_share(tabulate: Tabulate, found: list[dict[str, Any]]) -> float:
    batch = array_of(*found)
    expected, actual = both(tabulate, batch)
    assert expected.table.equals(actual.table.combine_chunks())
    assert expected.dead_letters == actual.dead_letters
    return actual.compiled / actual.documents


def lines_of(files: Iterable[Path]) -> list[dict[str, Any]]:
    found = []
    for line in (line for path in sorted(files) for line in path.read_bytes().split(b"\n")):
        with contextlib.suppress(orjson.JSONDecodeError):
            found.append({"_id": ObjectId(), "sourceFile": "f", "projectId": "p", **orjson.loads(line)})
    return found


def test_the_sample_takes_the_compiled_way(tabulate: Tabulate) -> None:
    """At least 99 of 100 lines."""
    assert usual_share(tabulate, lines_of(shipped.sample_logs().rglob("*.jsonl"))) >= 0.99


def test_real_logs_take_the_compiled_way(tabulate: Tabulate, shared_logs: Path) -> None:
    """At least 99 of 100 lines of real conversations, and the same rows."""
    assert usual_share(tabulate, lines_of(shared_logs.rglob("*.jsonl"))) >= 0.99


def _array_of_raw(*raw: bytes) -> bytes:
    body = b"".join(b"\x03" + str(number).encode() + b"\0" + each for number, each in enumerate(raw))
    return struct.pack("<i", len(body) + 5) + body + b"\0"


secretive = st.tuples(
    documents,
    st.sampled_from(["cwd", "message", "projectId", "type"]),
    st.sampled_from(["plain", "mail ana@example.org", SECRETS["github"][0], SECRETS["private_key"][0]]),
).map(lambda parts: parts[0] | {parts[1]: parts[2]})


@settings(max_examples=200)
@given(st.lists(st.one_of(documents, secretive), max_size=6))
def test_both_ways_take_the_same_secrets_out(
    redacting: tuple[Tabulate, Counter[str]], found: list[dict[str, Any]]
) -> None:
    """A document that may hold a secret leaves the compiled way, and comes back to its place."""
    tabulate, counted = redacting
    counted.clear()
    in_python: Counter[str] = Counter()
    redactor = Redactor(known_rules(), on_found=lambda kind: in_python.update([kind]))
    batch = array_of(*found)
    expected = tabulate_in_python(batch, source_version=VERSION, extracted_at=EXTRACTED_AT, redactor=redactor)
    actual = tabulate(batch, source_version=VERSION, extracted_at=EXTRACTED_AT)
    actual.table.validate(full=True)

    assert expected.table.to_pylist() == actual.table.to_pylist()
    assert expected.dead_letters == actual.dead_letters
    assert in_python == counted
    for secret in ("ana@example.org", SECRETS["github"][0], SECRETS["private_key"][0]):
        shown = actual.table.drop_columns(["_id"]).to_pylist()
        assert secret not in repr([shown, actual.dead_letters])


@pytest.fixture(scope="module")
def redacting() -> tuple[Tabulate, Counter[str]]:
    counted: Counter[str] = Counter()
    return partial(
        tabulate_compiled, redactor=Redactor(known_rules(), on_found=lambda kind: counted.update([kind]))
    ), counted
