"""Replies of the server taken apart, and their events decoded, poisonous ones included."""

import struct
from datetime import datetime

import bson
import pytest
from bson import DatetimeMS, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from stream.core.change_event import Reply, UndecodableEvent, decode_batch, is_write, parse_reply
from stream.core.cluster_time import cluster_time_of
from stream.errors import StepFailedError
from tests.support.replies import POISON, event, insert, poisoned, raw_reply, token_at


@pytest.mark.parametrize("name", ["nextBatch", "firstBatch"])
def test_a_reply_is_taken_apart(name: str) -> None:
    """Cursor, events, token and operation time are found, whatever else is in the reply."""
    events = [insert({"_id": number}, 50, number) for number in range(3)]

    reply = parse_reply(raw_reply(events, token=token_at(60), name=name))

    assert (7, token_at(60), cluster_time_of(100, 1)) == (reply.cursor_id, reply.token, reply.operation_time)
    assert not reply.is_empty
    assert events == decode_batch(reply.batch)


def test_an_empty_reply_still_has_a_token() -> None:
    """That is how the position moves on while nothing happens."""
    reply = parse_reply(raw_reply([], token=token_at(60)))

    assert reply.is_empty
    assert token_at(60) == reply.token
    assert [] == decode_batch(reply.batch)


def test_a_reply_without_token_or_time_is_read() -> None:
    """Old servers and proxies may leave them out."""
    reply = parse_reply(bson.encode({"ok": 1.0, "cursor": {"nextBatch": [], "id": bson.Int64(0)}}))

    assert (None, 0, 0) == (reply.token, reply.operation_time, reply.cursor_id)


def test_no_batch_decodes_to_nothing() -> None:
    """A reply that has no batch at all is like an empty one."""
    assert [] == decode_batch(b"")
    assert Reply(0, b"", None, 0).is_empty


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bson.encode({"ok": 0.0}),
        bson.encode({"cursor": {"nextBatch": []}}),
        bson.encode({"cursor": {"id": bson.Int64(1), "postBatchResumeToken": "text"}}),
        bson.encode({"regex": bson.Regex("x")}),
        raw_reply([], token=None)[:-20],
        poisoned(raw_reply([], token={"_data": "BAD"})),
        bson.encode({"x": "text"}).replace(struct.pack("<i", 5), struct.pack("<i", -40)),
    ],
    ids=["empty", "error", "no id", "bad token", "unknown type", "truncated", "poisonous token", "negative"],
)
def test_what_is_no_reply_is_an_error(raw: bytes) -> None:
    """The connection is opened again then; nothing is guessed."""
    with pytest.raises(StepFailedError, match="cannot read the server's reply") as caught:
        parse_reply(raw)
    assert caught.value.hint.startswith("try again")


@given(st.binary(max_size=80), st.integers(0, 200))
def test_damaged_replies_never_hang_nor_break(noise: bytes, at: int) -> None:
    """Whatever the bytes are: a reply or a StepFailedError."""
    whole = raw_reply([insert({"_id": 1}, 1)], token=token_at(1))
    damaged = whole[:at] + noise + whole[at + len(noise) :]
    try:
        reply = parse_reply(damaged)
    except StepFailedError:
        return
    assert isinstance(reply, Reply)


def test_a_poisonous_event_costs_its_neighbours_nothing() -> None:
    """Only the event that cannot be decoded comes back as its bytes, with what the decoder said."""
    events = [insert({"_id": 1}, 1), insert({"_id": 2, "text": "BAD"}, 2), insert({"_id": 3}, 3)]
    reply = parse_reply(poisoned(raw_reply(events, token=token_at(3))))

    first, second, third = decode_batch(reply.batch)

    assert (first, third) == (events[0], events[2])
    assert isinstance(second, UndecodableEvent)
    assert POISON in second.raw
    assert second.problem.startswith("InvalidBSON: 'utf-8' codec can't decode")


def test_dates_are_naive_utc_and_never_out_of_range() -> None:
    """Dates beyond the years 1 to 9999 stay milliseconds instead of breaking the batch."""
    dates = {"near": datetime(2026, 1, 3, 10), "far": DatetimeMS(2**60)}  # noqa: DTZ001 - decoded so
    reply = parse_reply(raw_reply([insert({"_id": ObjectId(), **dates}, 1)], token=None))

    [decoded] = decode_batch(reply.batch)

    assert isinstance(decoded, dict)
    assert {name: decoded["fullDocument"][name] for name in dates} == dates


@pytest.mark.parametrize(
    ("operation", "expected"),
    [(each, True) for each in ("insert", "update", "replace", "delete")]
    + [(each, False) for each in ("drop", "invalidate", "createIndexes")],
)
def test_writes_are_told_from_the_rest(operation: str, expected: bool) -> None:  # noqa: FBT001
    """Only four operations concern a document."""
    assert is_write(event(operation, 1)) is expected
