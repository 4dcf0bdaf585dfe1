"""A line → a document: what is kept, what is converted by rule, what is refused, and its `_id`."""

import json
import math
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import bson
import pytest
from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from batch.importer.cursor import LogCursor
from batch.importer.document import MAX_NESTING, Unreadable, parse, seconds_of

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LINE = b'{"type":"user","timestamp":"2025-06-25T10:17:07.201Z"}'
SECONDS = 1_750_846_627


def cursor(source_file: str = "app/one.jsonl") -> LogCursor:
    return LogCursor(source_file=source_file, project_id=source_file.partition("/")[0])


def documents(lines: list[bytes], source_file: str = "app/one.jsonl") -> list[dict[str, Any]]:
    one = cursor(source_file)
    taken = [one.take(line, ingested_at=NOW) for line in lines]
    return [document for document in taken if isinstance(document, dict)]


def ids(lines: list[bytes], source_file: str = "app/one.jsonl") -> list[ObjectId]:
    return [document["_id"] for document in documents(lines, source_file)]


def nested(levels: int) -> bytes:
    return b'{"v":' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (LINE, {"type": "user", "timestamp": "2025-06-25T10:17:07.201Z"}),
        (
            b'{"_id": 1, "sourceFile": "x", "original_sourceFile": "y"}',
            {"original__id": 1, "original_sourceFile": "y", "original_original_sourceFile": "x"},
        ),
    ],
    ids=["usual", "own fields step aside"],
)
def test_a_line_becomes_a_document_as_it_is(line: bytes, kept: dict[str, Any]) -> None:
    """Every field stays, under another name if the import needs its own; three and the `_id` are added."""
    [document] = documents([line])

    assert isinstance(document.pop("_id"), ObjectId)
    assert kept | {"projectId": "app", "sourceFile": "app/one.jsonl", "ingestedAt": NOW} == document


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1, 2]", "not an object"),
        (b'"text"', "not an object"),
        (b"null", "not an object"),
        (b"12345678901234567890", "not an object"),
        (b"{", "not JSON at column 2: expecting property name enclosed in double quotes"),
        (b'{"a": 1} {"b": 2}', "not JSON at column 10: extra data"),
        (b'{"a": "\x01"}', "not JSON at column 8: invalid control character at"),
        (b"\x00\x00", "not JSON at column 1: expecting value"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 8"),
        (b'{"a":' + b"[" * 100_000, "nested too deep"),
        (
            b'{"v": {"a\\u0000": 1, "a\\ud800": 2}}',
            "two field names differ only in characters that MongoDB cannot store",
        ),
    ],
    ids=[
        "array", "string", "null", "long number", "torn", "two objects", "control character", "NUL bytes",
        "not UTF-8", "bottomless", "colliding names",
    ],
)  # fmt: skip
def test_what_is_no_object_is_unreadable(line: bytes, reason: str) -> None:
    """The reason says what is wrong and where, never what is in the line."""
    assert Unreadable(reason) == parse(line)


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        (b'{"v": 9223372036854775807}', 9223372036854775807),
        (b'{"v": -9223372036854775808}', -9223372036854775808),
        (b'{"v": 9223372036854775808}', "9223372036854775808"),
        (b'{"v": 18446744073709551616}', "18446744073709551616"),
        (b'{"v": -9223372036854775809}', "-9223372036854775809"),
        (b'{"v": ' + b"9" * 5000 + b"}", "9" * 5000),
        (b'{"v": 1e999}', "1e999"),
        (b'{"v": -1e999}', "-1e999"),
        (b'{"v": 0.1234567890123456789}', 0.1234567890123456789),
        (b'{"v": "12345678901234567890"}', "12345678901234567890"),
        (b'{"v": Infinity}', math.inf),
        (b'{"v": -Infinity}', -math.inf),
        (b'{"v": "a\\u0000b"}', "a\0b"),
        (b'{"v": "\\ud800"}', "\ufffd"),
        (b'{"v": "x\\udc00y"}', "x\ufffdy"),
        (b'{"v": "\\ud83d\\ude00"}', "\U0001f600"),
        (b'{"v": {"a\\u0000b": 1}}', {"a\ufffdb": 1}),
        (b'{"v": {"\\udc00": [1]}}', {"\ufffd": [1]}),
        (b'{"v": {"a.b": 1, "$set": 2, "": 3}}', {"a.b": 1, "$set": 2, "": 3}),
        (b'{"v": 1, "v": 2}', 2),
    ],
    ids=[
        "largest int64", "smallest int64", "int64 + 1", "uint64 + 1", "int64 - 1", "5000 digits",
        "beyond double", "beyond double, negative", "many decimals", "digits in text", "Infinity",
        "-Infinity", "NUL in text", "high surrogate", "low surrogate", "whole pair", "NUL in a name",
        "surrogate in a name", "dots and dollars", "twice",
    ],
)  # fmt: skip
def test_values_are_kept_or_converted_by_rule(line: bytes, stored: object) -> None:
    """What MongoDB can store stays; the rest is converted without loss, or to U+FFFD."""
    document = parse(line)

    assert document == {"v": stored}
    assert bson.decode(bson.encode(document)) == {"v": stored}


def test_nan_stays_nan() -> None:
    """A double has NaN, so it need not be converted."""
    document = parse(b'{"v": NaN}')

    assert isinstance(document, dict)
    assert math.isnan(document["v"])


def test_nesting_that_mongodb_allows_stays() -> None:
    """At the limit nothing is converted."""
    line = nested(MAX_NESTING)

    assert parse(line) == json.loads(line)


def test_nesting_beyond_the_limit_becomes_text() -> None:
    """What lies deeper than the limit is kept as its JSON text."""
    line = b'{"v":' + b'{"a":' * MAX_NESTING + b'{"deep":[1,"\xc3\xa9"]}' + b"}" * MAX_NESTING + b"}"

    value: Any = parse(line)
    for name in ["v"] + ["a"] * MAX_NESTING:
        value = value[name]

    assert {"deep": [1, "é"]} == json.loads(value)


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ({"timestamp": "2025-06-25T10:17:07.201Z"}, SECONDS),
        ({"timestamp": "2025-06-25T12:17:07+02:00"}, SECONDS),
        ({"timestamp": "2025-06-25T10:17:07"}, SECONDS),
        ({"timestamp": SECONDS * 1000 + 999}, SECONDS),
        ({"timestamp": SECONDS * 1000.5}, round(SECONDS * 1.0005)),
        ({"snapshot": {"timestamp": "2025-06-25T10:17:07Z"}}, SECONDS),
        ({"timestamp": None, "snapshot": {"timestamp": "2025-06-25T10:17:07Z"}}, SECONDS),
        ({}, None),
        ({"timestamp": "yesterday"}, None),
        ({"timestamp": True}, None),
        ({"timestamp": math.nan}, None),
        ({"timestamp": -5}, None),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, None),
        ({"timestamp": "9999-12-31T23:59:59-14:00"}, None),
        ({"timestamp": ["2025"]}, None),
        ({"snapshot": "text"}, None),
    ],
    ids=[
        "UTC", "offset", "no zone", "epoch ms", "fraction of ms", "snapshot", "null, snapshot", "none",
        "no date", "boolean", "NaN", "before 1970", "year 1", "year 9999", "array", "snapshot is text",
    ],
)  # fmt: skip
def test_the_time_of_a_line(line: dict[str, Any], seconds: int | None) -> None:
    """A line's time is its own, else its snapshot's, if an ObjectId can hold it."""
    assert seconds_of(line) == seconds


def test_a_line_without_time_takes_the_last_one_before() -> None:
    """Only what lies before a line may matter: 0 at the start of a log, then the last time seen."""
    timeless = b'{"type":"summary"}'

    times = [int(str(object_id)[:8], 16) for object_id in ids([timeless, LINE, timeless])]

    assert [0, SECONDS, SECONDS] == times


def test_equal_lines_all_survive() -> None:
    """Within a log as in two: the name of the log is part of the `_id`."""
    assert 50 == len(set(ids([LINE] * 50)))
    assert ids([LINE], "app/one.jsonl") != ids([LINE], "app/two.jsonl")


@pytest.mark.parametrize(
    "variant",
    [LINE + b"\n", LINE + b"\r\n", b"\xef\xbb\xbf" + LINE + b"\n", b"  " + LINE + b"\t\n"],
    ids=["LF", "CRLF", "byte order mark", "space around"],
)
def test_the_end_of_a_line_does_not_matter(variant: bytes) -> None:
    """Line ends, a byte order mark and space around a line change neither document nor `_id`."""
    assert documents([variant]) == documents([LINE])


def test_a_byte_order_mark_is_only_one_at_the_start() -> None:
    """Within a log these bytes are garbage."""
    one = cursor()
    one.take(LINE, ingested_at=NOW)

    assert Unreadable("not JSON at column 1: unexpected utf-8 bom (decode using utf-8-sig)") == one.take(
        b"\xef\xbb\xbf" + LINE, ingested_at=NOW
    )


def test_empty_lines_are_nothing() -> None:
    """An empty line is counted, so that line numbers are right, and gives nothing."""
    one = cursor()

    assert [None, None] == [one.take(line, ingested_at=NOW) for line in (b"\n", b" \r\n")]
    assert 2 == one.line_number


def test_a_peek_changes_nothing() -> None:
    """An open last line gives the document that it gives once it has its end."""
    one = cursor()
    one.take(LINE, ingested_at=NOW)
    peeked = one.peek(LINE, ingested_at=NOW)

    assert peeked == one.take(LINE + b"\n", ingested_at=NOW)
    assert 2 == one.line_number


@pytest.mark.parametrize("end", range(len(LINE)))
def test_no_beginning_of_a_line_is_taken_for_a_line(end: int) -> None:
    """A half-written line is never mistaken for a whole one."""
    assert cursor().peek(LINE[:end], ingested_at=NOW) is None


JSON_LINES = st.lists(
    st.sampled_from(
        [
            LINE,
            b'{"type":"summary"}',
            b'{"timestamp": 1700000000000}',
            b"",
            b"garbage",
            b'{"timestamp":"x"}',
            b"[]",
        ]
    )
    | st.builds(
        lambda value: json.dumps({"v": value}).encode(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=8,
        ),
    ),
    max_size=12,
)


@given(JSON_LINES, JSON_LINES)
def test_appending_changes_no_id(before: list[bytes], after: list[bytes]) -> None:
    """The `_id`s of a log are those of any longer one, as far as it goes."""
    assert ids(before + after)[: len(ids(before))] == ids(before)


@given(JSON_LINES)
def test_every_object_has_its_own_storable_document(lines: list[bytes]) -> None:
    """Whatever the lines hold: no two documents share an `_id`, and MongoDB's format takes each."""
    made = documents(lines)

    assert len({document["_id"] for document in made}) == len(made)
    assert all(len(bson.encode(document)) > 0 for document in made)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(line: bytes) -> None:
    """No line, whatever its bytes, raises."""
    assert isinstance(parse(line), dict | Unreadable)


def test_documents_stay_what_earlier_versions_made() -> None:
    """Every byte of a document, its `_id` among them, is as ever: a later version imports nothing twice."""
    twice = (
        b'{"type":"user","timestamp":"2026-01-03T10:00:00.123Z","message":{"content":"hi \\ud83d\\ude00"}}'
    )
    made = documents(
        [
            twice,
            twice,
            b'{"n":[1,2.5,-3e300,9223372036854775807,9223372036854775808,null,true,{"a.b":{}}]}',
            b'{"snapshot":{"timestamp":"2026-01-03T11:00:00+01:00"},"_id":7,"original__id":1}',
            b'{"timestamp":1767434400000,"half":"\\ud83d","nul\\u0000":"\\u0000"}',
            nested(181),
            b'{"a":1,"b":2,"a":NaN}',
        ]
    )

    assert [
        ("6958e8a09a035c2f030c86d3", "555c2dcbfee9002e"),
        ("6958e8a04d1750652098f09f", "1305f640ac824933"),
        ("6958e8a07cc6def4b9f1d788", "6c94c144072c6a02"),
        ("6958e8a0759dee2ac88112b2", "e66e1c5d0171566e"),
        ("6958e8a0e0fc4eb0ba7e096f", "fd2793ea3662f9d9"),
        ("6958e8a0194ae93180c615ef", "6d092fea7c210fdf"),
        ("6958e8a0103816afc255b2dc", "b7191ee03577251e"),
    ] == [(str(each["_id"]), sha256(bson.encode(each)).hexdigest()[:16]) for each in made]
