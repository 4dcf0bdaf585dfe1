"""Lands micro-batches by hand, without any MongoDB."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from stream.clock import Clock, utc_now
from stream.core.cluster_time import timestamp_of
from stream.core.normalise import DeadLetter, deletion, normalise
from stream.core.position import Fingerprint, Position
from stream.core.schema import Row, to_table
from stream.landing.fenced import FencedLane
from stream.landing.footer import footer_of
from stream.landing.micro_batch import MicroBatch
from stream.landing.zone import STREAM_LANE, Failpoint, LandingZone, Lane, no_failpoint

SOURCE = Fingerprint("6507", "rs0", "claude_logs.conversations", "1")
EXTRACTED_AT = 1_767_434_400_000_000
LETTER = DeadLetter("missing_type", "the document has no `type`", None, "{}")


def position_at(cluster_time: int) -> Position:
    """Return a position of the hand-made source."""
    time = timestamp_of(cluster_time)
    return Position({"_data": f"82{time.time:08X}{time.inc:08X}"}, cluster_time, SOURCE)


def upsert(document_id: object, version: int, **fields: Any) -> Row:
    """Return the row of a document."""
    document = {"_id": document_id, "type": "user", "timestamp": "2026-01-03T10:00:00Z"} | fields
    row = normalise(document, source_version=version, extracted_at=EXTRACTED_AT)
    assert isinstance(row, Row)
    return row


def random_changes(chance: Random, version: int, *, documents: int = 25, changes: int = 30) -> list[Row]:
    """Return changes of a few documents, deletes among them, and some that are older than they seem.

    Args:
        chance: Chooses.
        version: Behind which theirs begin; the last has `version + changes`.
        documents: So many keys.
        changes: So many rows.
    """
    rows: list[Row] = []
    for each in range(version + 1, version + changes + 1):
        key, when = chance.randrange(documents), each - chance.choice([0, 0, 0, 40])
        is_gone = chance.random() < 0.25
        fields = {} if is_gone else {"sessionId": f"s{chance.randrange(4)}", "uuid": f"u{each}"}
        rows.append(delete(key, when) if is_gone else upsert(key, when, **fields))
    return rows


def delete(document_id: object, version: int) -> Row:
    """Return the row that says a document is gone."""
    return deletion(document_id, source_version=version)


def land(
    folder: Path,
    rows: Sequence[Row],
    *,
    lane: str = STREAM_LANE,
    dead_letters: Sequence[DeadLetter] = (),
    position: Position | None = None,
    clock: Clock = utc_now,
    at_failpoint: Failpoint = no_failpoint,
) -> MicroBatch:
    """Land rows as the next micro-batch of a lane below `<folder>/landing`."""
    target = lane_of(folder, lane, clock=clock, at_failpoint=at_failpoint)
    target.folder.mkdir(parents=True, exist_ok=True)
    return land_in(target, rows, dead_letters=len(dead_letters), position=position, clock=clock)


def land_in(
    lane: Lane | FencedLane,
    rows: Sequence[Row],
    *,
    dead_letters: int = 0,
    position: Position | None = None,
    clock: Clock = utc_now,
) -> MicroBatch:
    """Land rows as the next micro-batch of a lane, in a folder or in a bucket."""
    newest = lane.newest()
    named = lane.new_name(newest.sequence + 1 if newest else 0)
    latest = max((row.source_version for row in rows), default=1)
    table = to_table(rows)
    footer = footer_of(
        named.id,
        table,
        landed_at=clock(),
        dead_letters=dead_letters,
        position=position or position_at(latest),
    )
    return lane.land(named, table, footer)


def lane_of(
    folder: Path, name: str = STREAM_LANE, *, clock: Clock = utc_now, at_failpoint: Failpoint = no_failpoint
) -> Lane:
    """Return a lane below `<folder>/landing`."""
    return LandingZone(folder / "landing", clock=clock).lane(name, at_failpoint=at_failpoint)
