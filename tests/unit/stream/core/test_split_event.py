"""Fragments as MongoDB 7 sends them, made by hand: joined to whole events, whichever reply they come in."""

from typing import Any

import bson
import pytest
from bson import Int64

from stream.core.change_event import Reply, decode_batch, parse_reply
from stream.core.split_event import SplitEvents
from stream.errors import StepFailedError
from tests.support.replies import fragments, insert, poisoned, raw_reply, token_at


def reply(*events: Any) -> Reply:
    """Return a reply whose token is that of its last event."""
    return parse_reply(raw_reply(list(events), token=events[-1]["_id"] if events else token_at(99)))


def ids(found: Reply | None) -> list[Any]:
    assert found is not None
    return [event["documentKey"]["_id"] for event in decode_batch(found.batch) if isinstance(event, dict)]


def document(number: int) -> dict[str, Any]:
    return {"_id": number, "type": "user", "splitEvent": {"fragment": "a field of the document"}}


@pytest.mark.fault(8, "an event over 16 MB comes in fragments", "one whole event, no position inside it")
def test_fragments_become_one_event() -> None:
    """All fields, none of the marks, and the token of the last fragment."""
    parts = fragments(document(1), 10)

    found = SplitEvents().joined(reply(*parts))

    assert found is not None
    assert [insert(document(1), 10) | {"_id": token_at(10, 3)}] == decode_batch(found.batch)
    assert token_at(10, 3) == found.token


def test_no_position_inside_an_event_is_given() -> None:
    """A reply that ends in fragments ends, to the outside, behind its last whole event."""
    parts = fragments(document(2), 11)
    events = SplitEvents()

    first = events.joined(reply(insert(document(1), 10), parts[0]))
    assert ([1], token_at(10)) == (ids(first), first and first.token)
    assert events.joined(reply(parts[1])) is None
    assert events.joined(reply()) is None
    last = events.joined(reply(parts[2], insert(document(3), 12)))
    assert ([2, 3], token_at(12)) == (ids(last), last and last.token)


def test_whole_events_pass_as_they_are() -> None:
    """Not even decoded, unless something in them looks like a fragment."""
    plain, alike = reply(insert({"_id": 1, "type": "user"}, 10)), reply(insert(document(1), 10))
    events = SplitEvents()

    assert events.joined(plain) is plain
    assert [1] == ids(events.joined(alike))


def test_several_split_events_in_a_row() -> None:
    """Each becomes one event."""
    found = SplitEvents().joined(reply(*fragments(document(1), 10, of=2), *fragments(document(2), 11, of=4)))

    assert [1, 2] == ids(found)


def test_what_cannot_be_decoded_stays_as_it_is() -> None:
    """A document inside is not touched: whoever reads it makes a dead letter of it."""
    parts = fragments({"_id": 1, "type": "user", "message": "BAD"}, 10)
    raw = parse_reply(poisoned(raw_reply(parts, token=token_at(10, 3))))

    found = SplitEvents().joined(raw)

    assert found is not None
    assert b"\xff\xfe\xff" in found.batch


def test_the_whole_may_be_larger_than_any_document() -> None:
    """Two fragments of 10 MB are an event of 20 MB."""
    half = "x" * 10_000_000
    parts = [
        {"_id": token_at(10, 1), "splitEvent": {"fragment": 1, "of": 2}, "fullDocument": {"half": half}},
        {"_id": token_at(10, 2), "splitEvent": {"fragment": 2, "of": 2}, "documentKey": {"_id": half}},
    ]
    events = SplitEvents()

    assert events.joined(reply(parts[0])) is None
    assert [half] == ids(events.joined(reply(parts[1])))


def test_a_missing_fragment_is_an_error() -> None:
    """Half an event is never taken for a whole one."""
    parts = fragments(document(1), 10)

    with pytest.raises(
        StepFailedError, match="fragment 3 of an event stands where fragment 2 should"
    ) as caught:
        SplitEvents().joined(reply(parts[0], parts[2]))
    assert "read again from its beginning" in caught.value.hint


def test_numbers_of_any_width_count() -> None:
    """Servers may send them as 64 bits."""
    parts = [
        part | {"splitEvent": {"fragment": Int64(part["splitEvent"]["fragment"]), "of": Int64(3)}}
        for part in fragments(document(1), 10)
    ]

    assert [1] == ids(SplitEvents().joined(reply(*parts)))
    assert bson.encode(parts[0]) != bson.encode(fragments(document(1), 10)[0])
