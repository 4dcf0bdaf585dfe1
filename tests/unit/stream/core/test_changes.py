"""What each kind of change event means for the copy, on both ways from BSON to rows."""

from dataclasses import replace
from typing import Any

import bson
import pytest
from bson import json_util

from stream.core.change_event import parse_reply
from stream.core.changes import Changes, read_changes
from stream.core.cluster_time import cluster_time_of
from stream.core.collection_event import InvalidationPolicy
from stream.core.normalise import normalise
from stream.core.schema import Row
from stream.decode import compiled
from tests.support.replies import BEGINNING, SOURCE, event, insert, poisoned, position_at, raw_reply, token_at
from tests.support.rows import rows_of

NOW = 1_767_434_400_000_000
DELETING = InvalidationPolicy()
STOPPING = InvalidationPolicy("stop")


def changes_of(
    events: list[dict[str, Any]],
    *,
    token: dict[str, Any] | None = None,
    policy: InvalidationPolicy = DELETING,
) -> Changes:
    reply = parse_reply(raw_reply(events, token=token))
    found = read_changes(reply, behind=BEGINNING, extracted_at=NOW, policy=policy)
    if compiled.problem() is None:
        same = read_changes(
            reply, behind=BEGINNING, extracted_at=NOW, policy=policy, transcribe=compiled.transcribe_events
        )
        assert found == replace(same, compiled=0, ended_by=found.ended_by)
        assert str(found.ended_by) == str(same.ended_by)
    return found


def document(number: int, **fields: Any) -> dict[str, Any]:
    return {"_id": number, "type": "user", **fields}


@pytest.mark.parametrize("operation", ["insert", "update", "replace"])
def test_a_written_document_becomes_its_row(operation: str) -> None:
    """The row is the document as the server looked it up, with the event's cluster time as version."""
    written = event(operation, 50, 2, documentKey={"_id": 1}, fullDocument=document(1, message="text"))

    changes = changes_of([written], token=token_at(60))

    assert [
        normalise(document(1, message="text"), source_version=cluster_time_of(50, 2), extracted_at=NOW)
    ] == rows_of(changes.batch.table)
    assert {operation: 1} == changes.operations
    assert [] == changes.batch.dead_letters
    assert changes.ended_by is None


@pytest.mark.parametrize(
    ("operation", "fields"),
    [("delete", {}), ("update", {}), ("update", {"fullDocument": None})],
    ids=["delete", "update, absent", "update, null"],
)
def test_a_document_that_is_gone_becomes_a_row_that_says_so(operation: str, fields: dict[str, None]) -> None:
    """Only the key is known of it, whether the event says so or the look-up: never an empty document."""
    changes = changes_of([event(operation, 50, documentKey={"_id": "x"}, **fields)], token=token_at(60))

    assert [Row("s:x", "delete", cluster_time_of(50, 1))] == rows_of(changes.batch.table)
    assert {operation: 1} == changes.operations


def test_the_stream_order_is_kept() -> None:
    """Rows of one reply, also of one transaction with one cluster time, stay in their order."""
    events = [
        insert(document(1), 50),
        event("delete", 50, documentKey={"_id": 1}),
        insert(document(1, uuid="again"), 50),
        insert(document(2), 51),
    ]

    changes = changes_of(events, token=token_at(60))

    assert [
        ("i:1", "upsert", None),
        ("i:1", "delete", None),
        ("i:1", "upsert", "again"),
        ("i:2", "upsert", None),
    ] == [(row.id, row.op, row.uuid) for row in rows_of(changes.batch.table)]
    assert {"insert": 3, "delete": 1} == changes.operations


def test_the_position_is_the_one_behind_the_reply() -> None:
    """The server's token counts, which may be further than the last event's; with neither it stays."""
    assert position_at(60) == changes_of([insert(document(1), 50)], token=token_at(60)).batch.position
    assert position_at(60) == changes_of([], token=token_at(60)).batch.position
    assert position_at(50, 3) == changes_of([insert(document(1), 50, 3)]).batch.position
    assert changes_of([]).batch.position is BEGINNING


def test_a_position_that_has_not_moved_is_the_same_object() -> None:
    """An idle stream makes no new position."""
    reply = parse_reply(raw_reply([], token=token_at(60)))
    here = position_at(60)

    assert read_changes(reply, behind=here, extracted_at=NOW).batch.position is here


def test_a_token_without_time_takes_the_server_s() -> None:
    """Another server version may write other tokens."""
    position = changes_of([], token={"_data": "new form"}).batch.position

    assert ({"_data": "new form"}, cluster_time_of(100, 1)) == (position.token, position.cluster_time)
    assert SOURCE == position.fingerprint


@pytest.mark.parametrize("operation", ["drop", "rename", "dropDatabase"])
def test_a_dropped_collection_becomes_a_truncate_marker(operation: str) -> None:
    """All that is older is gone, and the position moves on; what was rejected before is gone as well."""
    events = [
        insert(document(1), 50),
        insert({"_id": 2}, 51),
        event(operation, 52),
        event("invalidate", 52),
        insert({"_id": 3}, 53),
        insert(document(4), 54),
    ]

    changes = changes_of(events, token=token_at(60))

    assert [
        ("i:1", "upsert", cluster_time_of(50, 1)),
        ("", "truncate", cluster_time_of(52, 1)),
        ("i:4", "upsert", cluster_time_of(54, 1)),
    ] == [(row.id, row.op, row.source_version) for row in rows_of(changes.batch.table)]
    assert ["i:3"] == [letter.document_id for letter in changes.batch.dead_letters]
    assert changes.batch.has_truncate_marker
    assert position_at(60) == changes.batch.position
    assert [operation] == [each.operation for each in changes.invalidating_events]
    assert {"insert": 4} == changes.operations
    assert changes.ended_by is None


def test_a_drop_may_leave_the_rows() -> None:
    """Nothing lands for it, and the position moves on all the same."""
    changes = changes_of([event("drop", 51)], token=token_at(60), policy=InvalidationPolicy("keep"))

    assert ([], False) == (rows_of(changes.batch.table), changes.batch.has_truncate_marker)
    assert position_at(60) == changes.batch.position
    assert ["keep"] == [each.action for each in changes.invalidating_events]


@pytest.mark.parametrize("operation", ["drop", "rename", "dropDatabase"])
def test_the_end_of_the_collection_cuts_the_batch(operation: str) -> None:
    """What is before it counts; the position stays before it, so that a restart comes upon it again."""
    events = [insert(document(1), 50), event(operation, 51), insert(document(2), 52)]

    changes = changes_of(events, token=token_at(60), policy=STOPPING)

    assert ["i:1"] == [row.id for row in rows_of(changes.batch.table)]
    assert position_at(50) == changes.batch.position
    assert {"insert": 1} == changes.operations
    assert changes.ended_by is not None
    assert (
        f"the collection `claude_logs.conversations` has been changed as a whole: `{operation}`"
    ) == changes.ended_by.message
    assert "--on-drop=delete" in changes.ended_by.hint
    assert 2 == changes.ended_by.exit_code


def test_the_end_at_the_beginning_of_a_batch_leaves_the_position() -> None:
    """Nothing was read, nothing moves."""
    changes = changes_of([event("drop", 51)], token=token_at(60), policy=STOPPING)

    assert 0 == len(changes.batch)
    assert changes.batch.position is BEGINNING


def test_a_rename_says_where_to() -> None:
    """The new name helps whoever has to act."""
    renamed = event("rename", 51, to={"db": "a", "coll": "b.c"})
    changes = changes_of([renamed], token=token_at(60), policy=STOPPING)

    assert changes.ended_by is not None
    assert changes.ended_by.message.endswith("`rename` to `a.b.c`")


def test_what_is_no_row_does_not_stop_the_stream() -> None:
    """Bad documents become dead letters in their order; an operation of a later server is passed over."""
    events = [
        insert({"_id": 1}, 50),
        event("createIndexes", 50),
        insert(document(2), 51),
        insert(document(3, message=1.5), 52),
    ]

    changes = changes_of(events, token=token_at(60))

    assert ["i:2"] == [row.id for row in rows_of(changes.batch.table)]
    letters = [(letter.document_id, letter.reason) for letter in changes.batch.dead_letters]
    assert [("i:1", "missing_type"), ("i:3", "bad_message")] == letters
    assert {"insert": 3} == changes.operations


def test_undecodable_events_become_dead_letters_with_their_bytes() -> None:
    """The document of the event is kept under its key, and the position moves past it."""
    events = [insert(document(1), 50), insert(document(2, message="BAD"), 51)]
    reply = parse_reply(poisoned(raw_reply(events, token=token_at(60))))

    changes = read_changes(reply, behind=BEGINNING, extracted_at=NOW)

    [letter] = changes.batch.dead_letters
    assert ("undecodable", "i:2") == (letter.reason, letter.document_id)
    assert json_util.loads(letter.raw)["$bson"] == poisoned(bson.encode(document(2, message="BAD")))
    assert position_at(60) == changes.batch.position


def test_an_undecodable_event_before_the_end_leaves_the_position() -> None:
    """Its own token cannot be read, so it is read once more after the restart rather than skipped."""
    events = [insert(document(2, message="BAD"), 50), event("drop", 51)]
    reply = parse_reply(poisoned(raw_reply(events, token=token_at(60))))

    changes = read_changes(reply, behind=BEGINNING, extracted_at=NOW, policy=STOPPING)

    assert changes.batch.position is BEGINNING
    assert 1 == len(changes.batch.dead_letters)


def test_the_size_is_that_of_the_bson() -> None:
    """Windows are bounded in the bytes that came over the wire."""
    events = [insert(document(1, message="x" * 1000), 50)]
    reply = parse_reply(raw_reply(events, token=token_at(60)))

    batch = read_changes(reply, behind=BEGINNING, extracted_at=NOW).batch

    assert batch.size_bytes == len(reply.batch) > 1000


@pytest.mark.parametrize("count", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("second", [0, 50, 2**31, 2**32 - 1])
def test_every_cluster_time_is_packed_alike(second: int, count: int) -> None:
    """Also one beyond 2038, and one of more operations in a second than there are."""
    written = event("insert", second, count, documentKey={"_id": 1}, fullDocument=document(1))

    changes = changes_of([written], token=token_at(60))

    assert [cluster_time_of(second, count)] == changes.batch.table["source_version"].to_pylist()
