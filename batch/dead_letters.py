"""Gives rejected documents another try, e.g. with a newer version of this program.

What has a row now lands in a lane of its own and leaves the queue; doing it twice, or being killed between
the two, changes nothing. A replayed row is given a version just below the window it was rejected in: a change
that was read later, or in the same window, always wins over it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import bson
from bson import json_util
from bson.errors import BSONError

from stream.clock import Clock
from stream.core.change_event import decode_document
from stream.core.exact_json import EXACT_JSON
from stream.core.normalise import DeadLetter, microseconds, normalise
from stream.core.schema import MICROSECONDS_PER_DAY, Row, to_table
from stream.landing.dead_letters import DeadLetterStore, StoredDeadLetter
from stream.landing.footer import Footer, footer_of
from stream.landing.micro_batch import MicroBatch
from stream.landing.places import AnyZone

REPLAY_LANE = "replay"
AS_IS_FIELD = "deadLetter"
"""Field of `extra` that tells a document taken as it is from others; holds the reason."""

_UNKNOWN_TYPE = "unknown"
_OLDEST_VERSION = 1


@dataclass(frozen=True)
class Replay:
    """What became of the letters.

    Attributes:
        replayed: Letters that left the queue.
        rejected: Those that stay, each as it is rejected now.
        micro_batch: Where the rows have landed; None if there are none.
    """

    replayed: tuple[StoredDeadLetter, ...]
    rejected: tuple[StoredDeadLetter, ...]
    micro_batch: MicroBatch | None


def replay(
    letters: Sequence[StoredDeadLetter],
    *,
    store: DeadLetterStore,
    landing: AnyZone,
    clock: Clock,
    as_is: bool = False,
    normalise_document: Callable[..., Row | DeadLetter] = normalise,
) -> Replay:
    """Land what has a row now, then take it out of the queue.

    Args:
        letters: Of the store, in its order; of several letters of one document the last counts.
        store: Where they are.
        landing: Where rows land.
        clock: Gives the time of landing.
        as_is: Give what is still rejected a row that holds the whole document in `extra`.
        normalise_document: The rule.

    Raises:
        AlreadyRunningError: Another replay is going on, or was faster; nothing has left the queue.
        LandingFullError: No space; nothing has left the queue.
        LandingNotWritableError: A folder cannot be written.
        MicroBatchCorruptError: A landed file of a letter cannot be read.
    """
    footers = landing.footers({letter.micro_batch_id for letter in letters})
    versions = {micro_batch_id: _version(footer) for micro_batch_id, footer in footers.items()}
    rows: dict[str, Row] = {}
    replayed: list[StoredDeadLetter] = []
    rejected: list[StoredDeadLetter] = []
    for letter in letters:
        version = versions[letter.micro_batch_id]
        found = _again(letter, version, normalise_document)
        if isinstance(found, DeadLetter) and as_is and found.document_id is not None:
            found = _as_is(found, version, _extracted_at(letter))
        if isinstance(found, Row):
            rows.pop(found.id, None)
            rows[found.id] = found
            replayed.append(letter)
        else:
            rejected.append(replace(letter, letter=found))
    landed = _land(list(rows.values()), landing, clock) if rows else None
    done = {letter.id for letter in replayed}
    for micro_batch_id in {letter.micro_batch_id for letter in replayed}:
        store.rewrite(micro_batch_id, lambda letter: letter.id not in done)
    return Replay(tuple(replayed), tuple(rejected), landed)


def _extracted_at(letter: StoredDeadLetter) -> int:
    return microseconds(datetime.fromisoformat(letter.rejected_at))


def _version(footer: Footer) -> int:
    """Below every row of the same window, and above every row of the windows before it."""
    if footer.position is None:  # a backfill: each document once, all of one version
        return footer.first_cluster_time or _OLDEST_VERSION
    if footer.first_cluster_time is None:
        return footer.position.cluster_time
    # Dead letters are always behind a truncate marker of their file; upserts and deletes may be before it.
    return max(footer.first_cluster_time - 1, footer.truncate_marker or 0)


def _again(
    letter: StoredDeadLetter, version: int, normalise_document: Callable[..., Row | DeadLetter]
) -> Row | DeadLetter:
    try:
        document = _document(letter.letter.raw)
    except (BSONError, TypeError, ValueError, KeyError):
        return letter.letter
    return normalise_document(document, source_version=version, extracted_at=_extracted_at(letter))


def _document(raw: str) -> dict[str, Any]:
    """Decode a document as the server's bytes would be."""
    held: Mapping[str, Any] = json_util.loads(raw, json_options=EXACT_JSON)
    content = held["$bson"] if held.keys() == {"$bson"} else bson.encode(held)
    return decode_document(content)


def _as_is(letter: DeadLetter, version: int, extracted_at: int) -> Row:
    fields = json.loads(letter.raw.replace("\\u0000", "\\ufffd"))
    kind = fields.get("type")
    extra = {AS_IS_FIELD: letter.reason, "document": fields}
    return Row(
        letter.document_id or "",
        "upsert",
        version,
        type=kind if isinstance(kind, str) and kind else _UNKNOWN_TYPE,
        extracted_at=extracted_at,
        extra=json.dumps(extra, ensure_ascii=False).encode(),
        date=extracted_at // MICROSECONDS_PER_DAY,
    )


def _land(rows: Sequence[Row], landing: AnyZone, clock: Clock) -> MicroBatch:
    lane = landing.lane(REPLAY_LANE)
    with lane.writing():
        newest = lane.newest()
        named = lane.new_name(newest.sequence + 1 if newest else 0)
        table = to_table(rows)
        return lane.land(named, table, footer_of(named.id, table, landed_at=clock()))
