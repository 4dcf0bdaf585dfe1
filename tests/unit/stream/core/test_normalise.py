"""Document → row or dead letter: every rule, and that nothing ever raises or gets lost."""

import contextlib
import copy
import json
import math
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import bson
import pytest
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
    json_util,
)
from bson import Timestamp as BsonTimestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.core.change_event import CODEC_OPTIONS
from stream.core.normalise import (
    REASONS,
    DeadLetter,
    deletion,
    document_key,
    microseconds,
    normalise,
    undecodable,
)
from stream.core.schema import LANDING_SCHEMA, RAW_CONVERSATIONS_COLUMNS, Row
from tests.support.bson_documents import DOCUMENTS, VALUES, as_decoded, at, is_same
from tests.support.paths import SHARED

NOW = at("2026-07-01T12:00:00Z")


def row_of(**fields: Any) -> Row:
    document = as_decoded({"_id": 1, "type": "user"} | fields)
    row = normalise(document, source_version=7, extracted_at=NOW)
    assert isinstance(row, Row), row
    return row


def letter_of(**fields: Any) -> DeadLetter:
    document = as_decoded({"_id": 1, "type": "user"} | fields)
    letter = normalise(document, source_version=7, extracted_at=NOW)
    assert isinstance(letter, DeadLetter), letter
    assert kept_bson(letter) == bson.encode(document)
    return letter


EXACTLY = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    tz_aware=False,
    datetime_conversion=CODEC_OPTIONS.datetime_conversion,
)


def kept_bson(letter: DeadLetter) -> bytes:
    """Return the document that a dead letter holds, as BSON."""
    kept = json_util.loads(letter.raw, json_options=EXACTLY)
    found: bytes = kept["$bson"] if "$bson" in kept else bson.encode(kept)
    return found


def test_a_whole_document_becomes_a_whole_row() -> None:
    """Each column has its value; what has no column is in `extra`."""
    row = row_of(
        _id=ObjectId("65a000000000000000000001"),
        type="assistant",
        sessionId="s1",
        projectId="p1",
        timestamp="2026-01-03T10:00:00.123Z",
        ingestedAt=datetime(2026, 1, 4, tzinfo=UTC),
        message={
            "role": "assistant",
            "id": "m1",
            "content": [{"type": "text", "text": "hi"}],
            "usage": {"x": 1},
        },
        sourceFile="p1/s1.jsonl",
        uuid="u1",
        cwd="/home",
        isSidechain=False,
    )

    assert (
        Row(
            id="65a000000000000000000001",
            op="upsert",
            source_version=7,
            type="assistant",
            session_id="s1",
            project_id="p1",
            timestamp=at("2026-01-03T10:00:00.123Z"),
            ingested_at=at("2026-01-04T00:00:00Z"),
            extracted_at=NOW,
            message_role="assistant",
            message_content="hi",
            message_raw=b'{"role":"assistant","id":"m1","content":[{"type":"text","text":"hi"}],"usage":{"x":1}}',
            source_file="p1/s1.jsonl",
            date=20456,
            content_length=2,
            uuid="u1",
            message_id="m1",
            extra=b'{"cwd":"/home","isSidechain":false}',
        )
        == row
    )


def test_a_bare_document_becomes_a_bare_row() -> None:
    """Everything but the type may be missing."""
    row = row_of()

    given_columns = {name: value for name, value in row._asdict().items() if value is not None}
    assert {
        "id": "i:1",
        "op": "upsert",
        "source_version": 7,
        "type": "user",
        "extracted_at": NOW,
        "date": NOW // 86_400_000_000,
        "content_length": 0,
    } == given_columns


def test_nulls_are_like_missing_fields() -> None:
    """A field that is null says nothing."""
    names = ["sessionId", "projectId", "sourceFile", "uuid", "timestamp", "ingestedAt", "message"]

    assert row_of(**dict.fromkeys(names)) == row_of()


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-01-03T10:00:00.123Z", "2026-01-03T10:00:00.123Z"),
        ("2026-01-03T10:00:00", "2026-01-03T10:00:00Z"),
        ("2026-01-03T12:30:00+02:30", "2026-01-03T10:00:00Z"),
        ("2026-01-03T00:30:00+02:00", "2026-01-02T22:30:00Z"),
        ("2026-01-03 10:00:00.123456789Z", "2026-01-03T10:00:00.123456Z"),
        ("2026-01-03", "2026-01-03T00:00:00Z"),
        (datetime(2026, 1, 3, 10, 0, 0, 123000, tzinfo=UTC), "2026-01-03T10:00:00.123Z"),
        (1_767_434_400_123, "2026-01-03T10:00:00.123Z"),
        (Int64(1_767_434_400_123), "2026-01-03T10:00:00.123Z"),
        (1_767_434_400_123.0, "2026-01-03T10:00:00.123Z"),
        (1_767_434_400, "2026-01-03T10:00:00Z"),
        (Int64(1_767_434_400), "2026-01-03T10:00:00Z"),
        (1_767_434_400.25, "2026-01-03T10:00:00.250Z"),
        (1_767_434_400_123.5, "2026-01-03T10:00:00.123500Z"),
        (99_999_999_999, "5138-11-16T09:46:39Z"),
        (100_000_000_000, "1973-03-03T09:46:40Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_every_form_of_a_time_is_read(timestamp: object, expected: str) -> None:
    """Text with or without offset, BSON date, seconds or milliseconds of any number type; always UTC."""
    row = row_of(timestamp=timestamp)

    assert row.timestamp == at(expected)
    assert row.date == at(expected) // 86_400_000_000
    assert row_of(ingestedAt=timestamp).ingested_at == at(expected)


@pytest.mark.parametrize(
    ("timestamp", "detail"),
    [
        ("yesterday", "`timestamp` is no ISO 8601 time"),
        ("", "`timestamp` is no ISO 8601 time"),
        ("2026-13-01", "`timestamp` is no ISO 8601 time"),
        ("0001-01-01T00:00:00+14:00", "`timestamp` lies outside the years 1 to 9999"),
        ("9999-12-31T23:59:59-14:00", "`timestamp` lies outside the years 1 to 9999"),
        (True, "`timestamp` is of type bool"),
        (float("nan"), "`timestamp` is of type float"),
        (float("inf"), "`timestamp` is of type float"),
        (1e300, "`timestamp` lies outside the years 1 to 9999"),
        (Int64(2**62), "`timestamp` lies outside the years 1 to 9999"),
        (DatetimeMS(2**62), "`timestamp` lies outside the years 1 to 9999"),
        ([], "`timestamp` is of type list"),
        ({"$date": 1}, "`timestamp` is of type dict"),
        (BsonTimestamp(1, 1), "`timestamp` is of type Timestamp"),
    ],
)
def test_what_is_no_time_is_rejected(timestamp: object, detail: str) -> None:
    """Never a guess: the document is kept with the reason."""
    letter = letter_of(timestamp=timestamp)

    assert ("bad_timestamp", detail) == (letter.reason, letter.detail)
    assert letter_of(ingestedAt=timestamp).detail == detail.replace("timestamp`", "ingestedAt`")


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"timestamp": "2026-01-03T23:59:59Z", "ingestedAt": "2026-02-01"}, "2026-01-03"),
        ({"ingestedAt": "2026-02-01"}, "2026-02-01"),
        ({}, "2026-07-01"),
        ({"timestamp": 0, "ingestedAt": "2026-02-01"}, "1970-01-01"),
        ({"timestamp": "1969-12-31T23:59:59Z"}, "1969-12-31"),
    ],
    ids=["timestamp", "ingestedAt", "neither", "zero is a time", "before 1970"],
)
def test_the_date_comes_from_the_first_time_there_is(times: dict[str, Any], expected: str) -> None:
    """Timestamp, else ingestion, else extraction; in UTC."""
    assert row_of(**times).date == at(f"{expected}T00:00:00Z") // 86_400_000_000


@pytest.mark.parametrize(
    ("message", "role", "content", "message_id"),
    [
        ("text", None, "text", None),
        ("", None, "", None),
        ({"role": "user", "content": "text"}, "user", "text", None),
        ({"role": 1, "content": "text", "id": 2}, None, "text", None),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "id": "m"},
         None, "a\nb", "m"),
        ({"content": [{"type": "tool_use", "text": "no"}, {"type": "text"}, {"type": "text", "text": 1}, 5]},
         None, None, None),
        ({"content": ["plain", {"type": "text", "text": "block"}]}, None, "plain\nblock", None),
        ({"content": []}, None, None, None),
        ({"content": {"text": "x"}}, None, None, None),
        ({"content": 5}, None, None, None),
        ({"content": Code("a")}, None, None, None),
        ({"content": [Code("a"), {"type": "text", "text": Code("b")}]}, None, None, None),
        ({}, None, None, None),
        ([{"type": "text", "text": "a"}, "b"], None, "a\nb", None),
        ([], None, None, None),
        (None, None, None, None),
    ],
)  # fmt: skip
def test_every_shape_of_a_message_is_read(
    message: object, role: str | None, content: str | None, message_id: str | None
) -> None:
    """String, object, array, or nothing; the text blocks, a line each."""
    row = row_of(message=message)

    assert (row.message_role, row.message_content, row.message_id) == (role, content, message_id)
    assert row.content_length == len(content or "")
    assert row.message_raw == (
        None if message is None else json.dumps(message, separators=(",", ":")).encode()
    )


@pytest.mark.parametrize(
    "message", [1, 1.5, True, datetime(2026, 1, 1, tzinfo=UTC), ObjectId(), b"bytes", Code("text")]
)
def test_a_message_of_another_type_is_rejected(message: object) -> None:
    """It has no text, and no reader expects it; code is none."""
    assert "bad_message" == letter_of(message=message).reason


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ({"type": None}, "missing_type", "the document has no `type`"),
        ({"type": ""}, "missing_type", "the document has no `type`"),
        ({"type": 5}, "bad_envelope", "`type`: input should be a valid string"),
        ({"sessionId": 5}, "bad_envelope", "`sessionId`: input should be a valid string"),
        ({"type": Code("user")}, "bad_envelope", "JavaScript code stands where text should"),
        ({"sessionId": Code("s")}, "bad_envelope", "JavaScript code stands where text should"),
        ({"uuid": ["u"], "projectId": {}, "sourceFile": 1.0}, "bad_envelope",
         ("`projectId`: input should be a valid string; `sourceFile`: input should be a valid string; "
          "`uuid`: input should be a valid string")),
    ],
    ids=["null type", "empty type", "type", "session", "code for type", "code for session", "three"],
)  # fmt: skip
def test_an_envelope_of_wrong_types_is_rejected(fields: dict[str, Any], reason: str, detail: str) -> None:
    """All that is wrong is named, without the values."""
    letter = letter_of(**fields)

    assert (reason, detail, "i:1") == (letter.reason, letter.detail, letter.document_id)


def test_a_missing_type_is_rejected() -> None:
    """The document is kept whole."""
    letter = normalise({"_id": "x", "message": "text"}, source_version=1, extracted_at=NOW)

    assert isinstance(letter, DeadLetter)
    assert ("missing_type", "s:x") == (letter.reason, letter.document_id)
    assert {"_id": "x", "message": "text"} == json.loads(letter.raw)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 1, 3, 10, 0, 0, 123000, tzinfo=UTC), '"2026-01-03T10:00:00.123000Z"'),
        (DatetimeMS(2**60), '{"$date":{"$numberLong":"1152921504606846976"}}'),
        (ObjectId("65a000000000000000000001"), '{"$oid":"65a000000000000000000001"}'),
        (Decimal128("1.50"), '{"$numberDecimal":"1.50"}'),
        (b"\x00\xff", '{"$binary":{"base64":"AP8=","subType":"00"}}'),
        (Binary(b"\x01", 5), '{"$binary":{"base64":"AQ==","subType":"05"}}'),
        (Regex("a.*", "i"), '{"$regularExpression":{"pattern":"a.*","options":"i"}}'),
        (BsonTimestamp(1, 2), '{"$timestamp":{"t":1,"i":2}}'),
        (MinKey(), '{"$minKey":1}'),
        (MaxKey(), '{"$maxKey":1}'),
        (DBRef("logs", 5), '{"$ref":"logs","$id":5}'),
        (Code("return 1"), '"return 1"'),
        (Int64(2**62), "4611686018427387904"),
        (float("nan"), "null"),
        (float("inf"), "null"),
        (float("-inf"), "null"),
        (1.0, "1.0"),
        ("é\u2028", '"é\u2028"'),
        ("a\0b", '"a\ufffdb"'),
        ("\\u0000", '"\\\\u0000"'),
        (Code("a\0b"), '"a\ufffdb"'),
        (DBRef("a\0b", 1), '{"$ref":"a\ufffdb","$id":1}'),
        ([{"a.b": [None, True]}], '[{"a.b":[null,true]}]'),
        ({"a": "x\0", "b": [1.5, "y\0", {"c": None}]}, '{"a":"x\ufffd","b":[1.5,"y\ufffd",{"c":null}]}'),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
def test_each_type_has_its_form_in_json(value: object, written: str) -> None:
    """As the docstring of the module says, in `extra` and inside a message."""
    row = row_of(field=value, message={"inner": value})

    assert row.extra is not None
    assert row.message_raw is not None
    assert f'{{"field":{written}}}' == row.extra.decode()
    assert f'{{"inner":{written}}}' == row.message_raw.decode()


def test_nul_characters_become_replacement_characters() -> None:
    """In every text column; the key is told apart by its own form."""
    row = row_of(
        _id="a\0", type="t\0", sessionId="s\0", projectId="p\0", sourceFile="f\0", uuid="u\0",
        message={"role": "r\0", "id": "m\0", "content": "c\0d"},
    )  # fmt: skip

    assert (row.type, row.session_id, row.project_id, row.source_file, row.uuid) == tuple(
        f"{letter}\ufffd" for letter in "tspfu"
    )
    assert ("r\ufffd", "m\ufffd", "c\ufffdd") == (row.message_role, row.message_id, row.message_content)
    assert 3 == row.content_length
    assert f"x:{bson.encode({'': chr(97) + chr(0)}).hex()}" == row.id


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"in": value}
    return value


def test_a_hundred_levels_pass_and_what_is_too_deep_is_rejected() -> None:
    """More than MongoDB itself accepts from clients; what is too deep for JSON too is kept as BSON."""
    expected = b'{"toolUseResult":' + b'{"in":' * 100 + b"{}" + b"}" * 101
    assert expected == row_of(toolUseResult=nested(100)).extra
    for levels in (300, 450):
        letter = letter_of(x=nested(levels))
        assert ("too_deep", "i:1") == (letter.reason, letter.document_id)


def test_a_document_that_nothing_can_write_is_still_a_dead_letter() -> None:
    """MongoDB holds no such document; the reason is kept at least."""
    for impossible in ({"x": nested(5000)}, {"_id": object()}, {"x": object()}):
        letter = normalise({"_id": 1, "type": "user"} | impossible, source_version=1, extracted_at=NOW)
        assert isinstance(letter, DeadLetter)
        assert "$unwritable" in letter.raw


@pytest.mark.parametrize(
    "fields",
    [{"x": {"$date": 1}}, {"x": {"$oid": "no"}}, {"x": {"$numberLong": "5"}}, {"x": Decimal128("-NaN")}],
    ids=["$date", "$oid", "$numberLong", "-NaN"],
)
def test_what_only_looks_like_extended_json_is_kept_exactly(fields: dict[str, Any]) -> None:
    """Logs of people who work with MongoDB hold such fields."""
    letter = letter_of(type=None, **fields)

    assert "$bson" in json.loads(letter.raw)


def test_what_nobody_foresaw_is_kept_with_its_reason() -> None:
    """A number that cannot be used stands for a defect of ours."""
    document = {"_id": 1, "type": "user", "timestamp": Unforeseen(5)}

    letter = normalise(document, source_version=1, extracted_at=NOW)

    assert isinstance(letter, DeadLetter)
    assert ("undecodable", "ZeroDivisionError: unforeseen") == (letter.reason, letter.detail)


class Unforeseen(int):
    """A number that cannot be used."""

    def __abs__(self) -> int:
        raise ZeroDivisionError("unforeseen")


def test_undecodable_bytes_are_kept() -> None:
    """They come back from the dead letter as they were."""
    letter = undecodable(b"\x00\xff", "InvalidBSON: odd")

    assert ("undecodable", "InvalidBSON: odd", None) == (letter.reason, letter.detail, letter.document_id)
    assert {"$bson": b"\x00\xff"} == json_util.loads(letter.raw)


def test_a_deletion_is_a_key_and_a_version() -> None:
    """Nothing else is known."""
    assert Row("65a000000000000000000001", "delete", 9) == deletion(
        ObjectId("65a000000000000000000001"), source_version=9
    )


def test_microseconds_of_an_instant() -> None:
    """Exact, before 1970 too."""
    assert 0 == microseconds(datetime(1970, 1, 1, tzinfo=UTC))
    assert -1 == microseconds(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
    assert 1_767_434_400_000_001 == microseconds(datetime(2026, 1, 3, 10, 0, 0, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (ObjectId("65A000000000000000000001"), "65a000000000000000000001"),
        ("text", "s:text"),
        ("", "s:"),
        (1, "i:1"),
        (Int64(1), "i:1"),
        (-5, "i:-5"),
        (1.0, "i:1"),
        (-0.0, "i:0"),
        (0.1, "d:0.1"),
        (Decimal128("1.50"), "d:1.5"),
        (Decimal128("0.10"), "n:0.1"),
        (float("nan"), "d:nan"),
        (b"\x01", "b:00:01"),
        (Binary(b"\x01", 4), "b:04:01"),
    ],
)
def test_keys_of_the_usual_types_can_be_read(value: object, key: str) -> None:
    """An ObjectId stays bare, so that ids in order of time are text in order."""
    assert key == document_key(value)


@given(
    VALUES.map(lambda value: as_decoded({"": value})[""]),
    VALUES.map(lambda value: as_decoded({"": value})[""]),
)
@example(Code("x"), "x")
@example(1, 1.0)
@example(1, "1")
@example(True, 1)  # noqa: FBT003 - the ids of two documents
@example(None, "")
@example(b"\0", Binary(b"\0", 5))
@example("65a000000000000000000001", ObjectId("65a000000000000000000001"))
@example("a\0b", "a\ufffdb")
@example({"a": 1}, {"a": 1.0})
@example(0.5, Decimal128("0.50"))
@example(0.1, Decimal128("0.1"))
@example(2.0**63, Decimal128("9223372036854775808"))
@example({"a": {"b": [1]}}, {"a": {"b": [Decimal128("1.0")]}})
@example({"$ref": "a", "$id": 1}, {"$id": 1, "$ref": "a"})
def test_different_ids_have_different_keys(one: object, other: object) -> None:
    """Two values share a key exactly if they are one to MongoDB: equal numbers are, whatever their type."""
    assert (document_key(one) == document_key(other)) == (as_compared(one) == as_compared(other))


def as_compared(value: Any) -> object:
    """Return a value as MongoDB compares it: numbers by what they are, all else by type and content."""
    if isinstance(value, DBRef):
        value = value.as_doc()
    if isinstance(value, int | float | Decimal128) and not isinstance(value, bool):
        number = value.to_decimal() if isinstance(value, Decimal128) else value
        if isinstance(value, Decimal128) and number.is_nan():
            return "number", "nan"
        if not math.isfinite(number):
            return "number", str(float(number))
        return "number", Fraction(number)
    if isinstance(value, dict):
        return "object", [(name, as_compared(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return "array", [as_compared(inner) for inner in value]
    return "other", bson.encode({"": value})


@settings(max_examples=300)
@given(DOCUMENTS)
def test_normalise_is_total_and_pure(document: dict[str, Any]) -> None:
    """A document becomes a row, or a dead letter that holds all of it; twice the same; unchanged itself."""
    before = copy.deepcopy(document)

    found = normalise(document, source_version=7, extracted_at=NOW)

    assert is_same(document, before)
    assert found == normalise(document, source_version=7, extracted_at=NOW)
    if isinstance(found, DeadLetter):
        assert found.reason in REASONS
        assert found.detail
        assert kept_bson(found) == bson.encode(document)
        return
    assert found.id == document_key(document.get("_id"))
    assert len(found) == len(LANDING_SCHEMA)
    texts = [value for value in found if isinstance(value, str)]
    assert not any("\0" in text for text in texts)
    for written in (found.message_raw, found.extra):
        if written is not None:
            json.loads(written)
            assert b"\\u0000" not in written.replace(b"\\\\", b"")
    assert found.content_length == len(found.message_content or "")


@settings(max_examples=100)
@given(DOCUMENTS, st.integers(0, 2**62), st.integers(0, 2**50))
def test_the_row_depends_on_the_document_alone(document: dict[str, Any], version: int, now: int) -> None:
    """Version and time of reading show in their own columns only (and in the date of the undated)."""
    one = normalise(document, source_version=7, extracted_at=NOW)
    other = normalise(document, source_version=version, extracted_at=now)

    if isinstance(one, Row) and isinstance(other, Row):
        assert other == one._replace(
            source_version=version,
            extracted_at=now,
            date=one.date
            if one.timestamp is not None or one.ingested_at is not None
            else now // 86_400_000_000,
        )
    else:
        assert one == other


def test_rows_and_columns_match() -> None:
    """Python, Parquet and DuckDB name the same things in one place."""
    landing = ["_id" if name == "id" else name for name in Row._fields]
    assert landing == LANDING_SCHEMA.names
    assert {"micro_batch_id"} == set(RAW_CONVERSATIONS_COLUMNS) - set(landing)
    assert {"op", "message_id"} == set(landing) - set(RAW_CONVERSATIONS_COLUMNS)


def real_lines(folder: Path) -> list[tuple[Path, int, Any]]:
    found = []
    for path in sorted(folder.rglob("*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, text in enumerate(file):
                with contextlib.suppress(ValueError):
                    found.append((path, number, json.loads(text)))
    return [each for each in found if isinstance(each[2], dict)]


@pytest.mark.parametrize("folder", ["claude", "claude-fixtures"])
def test_real_logs_become_rows(folder: str) -> None:
    """Each JSON object with a `type` is a row, each other one a dead letter that says why."""
    if not (SHARED / folder).is_dir():
        pytest.skip("no real logs beside the checkout")
    reasons: Counter[str] = Counter()
    for path, number, line in real_lines(SHARED / folder):
        document = as_decoded({"_id": ObjectId(), **{name: line[name] for name in line if name != "_id"}})
        found = normalise(document, source_version=1, extracted_at=NOW)
        if isinstance(found, DeadLetter):
            reasons[found.reason] += 1
            assert "type" not in line or found.reason != "missing_type", (path, number)
        else:
            reasons["row"] += 1
            assert found.type == line["type"]
            assert found.session_id == line.get("sessionId")
            assert (found.message_raw is None) == (line.get("message") is None)
    assert reasons["row"] > 0
    assert set(reasons) <= {"row", "missing_type"}
