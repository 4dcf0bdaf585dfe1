"""Positions: cluster times, resume tokens, fingerprints, and their way through JSON."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from bson import Binary, ObjectId
from pydantic import TypeAdapter, ValidationError

from stream.core.cluster_time import cluster_time_of, instant_of
from stream.core.position import Fingerprint, Position, cluster_time_of_token
from stream.errors import PositionMismatchError

WRITTEN = TypeAdapter(Position)
"""As in the files that hold a position."""

OURS = Fingerprint("6507", "rs0", "claude_logs.conversations", "1")


def test_the_instant_of_a_cluster_time_is_its_second_in_utc() -> None:
    """The increment does not count."""
    assert datetime(2026, 1, 3, 10, tzinfo=UTC) == instant_of(cluster_time_of(1_767_434_400, 7))


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ({"_data": f"82{1_767_434_400:08X}{3:08X}2B0229296E04"}, cluster_time_of(1_767_434_400, 3)),
        *((each, None) for each in ({}, {"_data": Binary(b"\x82old")}, {"_data": "81AABB"})),
        *((each, None) for each in ({"_data": "82no hex digits!!"}, {"_data": "82"})),
    ],
    ids=["usual", "empty", "binary", "other type", "no hex", "too short"],
)
def test_a_token_tells_its_cluster_time(token: dict[str, object], expected: int | None) -> None:
    """The hex digits behind 0x82 are seconds and increment; a server that changes that breaks nothing."""
    assert expected == cluster_time_of_token(token)


@pytest.mark.parametrize(
    "token",
    [{"_data": "8263"}, {"_data": "8263", "_typeBits": b"\x01\x02"}, {"id": ObjectId()}],
    ids=["text", "type bits", "ObjectId"],
)
def test_a_position_survives_json(token: dict[str, object]) -> None:
    """What is written to a footer or to `position.json` is read back equal."""
    position = Position(token, cluster_time_of(1_767_434_400, 3), OURS)

    assert position == WRITTEN.validate_json(WRITTEN.dump_json(position, by_alias=True))


@pytest.mark.parametrize("missing", ["token", "time", "fingerprint"])
def test_an_incomplete_position_is_no_position(missing: str) -> None:
    """A missing field is an error, not a default."""
    written = WRITTEN.dump_python(Position({"_data": "82"}, 1, OURS), by_alias=True)
    del written[missing]

    with pytest.raises(ValidationError, match=missing):
        WRITTEN.validate_python(written)


@pytest.mark.parametrize(
    ("other", "differences"),
    [
        (OURS, []),
        (Fingerprint(None, "rs0", "claude_logs.conversations", "1"), []),
        (Fingerprint("9", "rs0", "claude_logs.conversations", "1"), ["cluster_id is `9`, was `6507`"]),
        (Fingerprint("6507", "rs1", "claude_logs.conversations", "1"), ["set_name is `rs1`, was `rs0`"]),
        (Fingerprint("6507", "rs0", "a.b", "2"), ["namespace is `a.b`, was `claude_logs.conversations`",
                                                  "pipeline is `2`, was `1`"]),
    ],
    ids=["same", "unknown cluster", "other cluster", "other set", "other namespace and pipeline"],
)  # fmt: skip
def test_fingerprints_tell_sources_apart(other: Fingerprint, differences: list[str]) -> None:
    """Each difference is named; a cluster that an account may not identify matches any."""
    assert differences == OURS.differences(other)
    if differences:
        with pytest.raises(PositionMismatchError) as caught:
            Position({}, 0, OURS).require_source(other)
        assert (
            f"the saved position belongs to another source: {'; '.join(differences)}" == caught.value.message
        )
    else:
        Position({}, 0, OURS).require_source(other)


def test_the_anchor_stays_until_the_stream_has_come_to_it() -> None:
    """The newest operation that must be in the source's history is the anchor's, then the position's own."""
    token = {"_data": "82"}
    position = Position(token, 10, OURS, anchor=20)
    assert (20, 20) == (position.newest_operation, position.moved(token, 15).newest_operation)
    assert (None, 20) == (position.moved(token, 20).anchor, position.moved(token, 20).newest_operation)


def test_a_beginning_rests_on_its_anchor_alone() -> None:
    """Its own tick is that of no operation; older versions noted none."""
    beginning = Position({"_data": "82"}, 10, OURS, is_beginning=True)
    assert beginning.newest_operation is None
    assert 9 == replace(beginning, anchor=9).newest_operation
