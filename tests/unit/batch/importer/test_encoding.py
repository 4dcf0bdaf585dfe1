"""The compiled way from a line to its document gives what Python gives, whatever the line holds."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch import shipped
from batch.importer import encoding
from batch.importer.cursor import Encode, EncodedDocument, LogCursor
from batch.importer.encoding import as_bson, encode_way
from batch.importer.files import LogFile, find_logs
from batch.importer.tail import LogTail

IS_BUILT = encoding._absent is None
pytestmark = pytest.mark.skipif(not IS_BUILT, reason="the extension is not built")
NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)

texts = st.one_of(
    st.text(max_size=40),
    st.text(alphabet='ab"\\/\b\f\n\r\t\x7f é€😀\x00\ud83d\ude00', max_size=50),
    st.sampled_from(
        ["timestamp", "snapshot", "x" * 7, "x" * 8, "x" * 9 + "é", '"' * 20, "12345678901234567890"]
    ),
)
times: st.SearchStrategy[Any] = st.one_of(
    st.datetimes(min_value=datetime(1960, 1, 1), max_value=datetime(2120, 1, 1)).map(  # noqa: DTZ001
        lambda instant: instant.isoformat(timespec="milliseconds") + "Z"
    ),
    st.sampled_from(
        [
            "2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2026-01-31T23:59:59.999999Z",
            "1970-01-01T00:00:00.999Z", "2026-01-31T23:59:59.999+02:00", "2026-01-31",
            "2106-02-07T06:28:15Z", "2106-02-07T06:28:16Z",
            "2026-01-31T24:00:00.000Z", "2026-01-31T23:59:60Z", "2026-01-31t23:59:59Z",
            "\uff12026-01-31T23:59Z", "",
            None, True, 0, 1_700_000_000_000, 1.7e12, 1e300, [], {},
        ]
    ),
)  # fmt: skip
numbers = st.one_of(
    st.integers(-(2**31) - 2, -(2**31) + 2),
    st.integers(2**31 - 2, 2**31 + 2),
    st.integers(-(10**19), 10**19),
    st.floats(),
    st.decimals(min_value=-(10**6), max_value=10**6, places=4).map(float),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=12), st.dictionaries(texts, inner, max_size=5)),
    max_leaves=25,
)
lines = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": times,
        "snapshot": st.one_of(values, st.fixed_dictionaries({}, optional={"timestamp": times, "a": texts})),
        "type": texts,
        "message": values,
        "sourceFile": values,
    },
)  # fmt: skip
written_numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
)
"""Numbers as JSON writes them, however long."""


def cursors() -> tuple[LogCursor, LogCursor]:
    python, compiled = (
        LogCursor(source_file="app/é.jsonl", project_id="app", encode=way) for way in (None, encode_way())
    )
    return python, compiled


def compare(given_lines: list[bytes]) -> int:
    """Require the same of both ways, line by line; return how many lines took the compiled one."""
    python, compiled = cursors()
    taken = 0
    for line in given_lines:
        expected, actual = (each.take(line, ingested_at=NOW) for each in (python, compiled))
        if isinstance(actual, EncodedDocument):
            taken += 1
            assert bson.decode(actual.bson)["_id"] == actual.object_id
        try:
            expected_bson = as_bson(expected)
        except (bson.errors.InvalidDocument, OverflowError):
            assert expected == actual or str(expected) == str(actual)
            continue
        assert expected_bson == as_bson(actual)
    return taken


def test_the_compiled_way_is_trusted() -> None:
    """Where it is built, it is used."""
    assert encoding.problem() is None


@settings(max_examples=150, deadline=None)
@given(st.lists(lines, max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_any_lines(found: list[dict[str, Any]], indent: int | None, is_ascii: bool) -> None:  # noqa: FBT001
    """Whatever a line holds, however JSON writes it, equal lines and lines without a time among them."""
    written = [json.dumps(each, indent=indent, ensure_ascii=is_ascii) for each in found + found]
    compare([each.replace("\n", " ").encode("utf-8", "surrogatepass") for each in written])


@settings(max_examples=150, deadline=None)
@given(st.lists(written_numbers, max_size=6))
def test_any_number(found: list[str]) -> None:
    """Rounded as Python rounds, of the same type, and none is changed without a word."""
    compare([b'{"v":[' + ",".join(found).encode() + b"]}"])


@settings(max_examples=150, deadline=None)
@given(lines, st.data())
def test_any_bytes(found: dict[str, Any], data: st.DataObject) -> None:
    """Bytes changed, taken out and put in."""
    line = bytearray(json.dumps(found).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(line) - 1)) if line else 0
        put_in = data.draw(
            st.sampled_from([b"", b'"', b"\\", b"\\u", b",", b"{", b"}", b"[", b"0", b"-", b"\xff"])
        )
        line[place : place + data.draw(st.integers(0, 2))] = put_in
    compare([bytes(line).replace(b"\n", b" ")])


USUAL = [
    b'{"a":{"b":[1,"x",null]}}',
    b"{}",
    b' {"a" : [ ] , "b" : { } } \r\n',
    b'\xef\xbb\xbf{"a":1}',
    b'{"v":' + b"[" * 99 + b"]" * 99 + b"}",
    b"{" + b",".join(b'"%d":0' % number for number in range(1_000)) + b"}",
    b'{"v":123456789012345678}',
    b'{"a":"\\ud83d\\ude00"}',
    b'{"a":{"_id":1,"sourceFile":2}}',
]
UNUSUAL = [
    b'{"v":' + b"[" * 101 + b"]" * 101 + b"}",
    b'{"v":[' + b"0," * 30_000 + b"0]}",
    b"{" + b",".join(b'"%d":0' % number for number in range(2_000)) + b"}",
    b'{"v":1234567890123456789}',
    b'{"v":0.30000000000000004}',
    b'{"v":-0}',
    b'{"v":01}',
    b'{"v":1.}',
    b'{"a":1,"a":1}',
    b'{"a":{"b":1,"b":2}}',
    b'{"a":1,}',
    b'{"a":1} x',
    b'{"a":tru}',
    b'{"a":"\\ud83d"}',
    b'{"a":"\\u0000"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"_id":1}',
    b'{"timestamp":1700000000000}',
    b'{"v":"' + b"x" * (16 << 20) + b'"}',
]


@pytest.mark.parametrize(
    ("taken", "line"), [*((1, each) for each in USUAL), *((0, each) for each in UNUSUAL)]
)
def test_which_lines_are_usual(taken: int, line: bytes) -> None:
    """The others are left to Python; both give the same."""
    assert taken == compare([line])


def test_the_sample_takes_the_compiled_way() -> None:
    """At least 99 of 100 lines."""
    check_share(shipped.sample_logs())


def test_real_logs_take_the_compiled_way(shared_logs: Path) -> None:
    """At least 99 of 100 lines."""
    check_share(shared_logs)


def check_share(folder: Path) -> None:
    count = taken = 0
    for log in find_logs([folder]).files:
        found = log.path.read_bytes().splitlines(keepends=True)
        count += len(found)
        taken += compare(found)
    assert taken >= 0.99 * count > 0


def test_a_log_read_by_both_ways(tmp_path: Path) -> None:
    """A log that is read twice gets the same `_id`s, whichever way reads it first: nothing comes twice."""
    chance = random.Random(3)
    path = tmp_path / "log.jsonl"
    some = [b'{"n":%d}\n' % chance.randrange(5) for _ in range(30)] + [b'{"n":1,"n":2}\n', b"torn\n", b"\n"]
    chance.shuffle(some)
    path.write_bytes(b"".join(some))

    def ids(way: Encode | None) -> Iterator[object]:
        for line in LogTail(LogFile(path, "app/log.jsonl", 0), encode=way).read(ingested_at=NOW):
            match line.content:
                case EncodedDocument(object_id=object_id):
                    yield object_id
                case {"_id": object_id}:
                    yield object_id

    found = list(ids(None))
    assert 31 == len(set(found))
    assert found == list(ids(encode_way()))


def wrong(text: bytes, digest: bytes, earlier: int, added: bytes) -> tuple[bytes, int] | None:
    """Make a mistake in one value."""
    encode = encode_way()
    assert encode is not None
    return encode(text.replace(b"user", b"uses"), digest, earlier, added)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (wrong, "its documents of test lines are not those that Python makes"),
        (lambda *_arguments: None, "it makes 0 of the 6 usual documents of test lines"),
    ],
    ids=["wrong", "idle"],
)
def test_a_way_that_is_wrong_or_idle_is_found_out(way: Encode, expected: str) -> None:
    """Then Python reads every line."""
    assert expected == encoding.difference(way)
