"""Micro-batches in an object store: landed by hand, and brought into a warehouse to be compared."""

import json
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pymongo.collection import Collection

from stream.clock import utc_now
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedZone, read_object_footer
from stream.landing.micro_batch import MicroBatch
from stream.landing.zone import LandingZone
from stream.storage.prefixed import Prefixed
from stream.storage.storage import Storage
from tests.support.equality import assert_same
from tests.support.streaming import make_warehouse


def landed_rows(storage: Storage) -> list[dict[str, Any]]:
    """Read every row that has landed, lane by lane and in order."""
    return [row for _, table in _tables(storage) for row in table.to_pylist()]


def assert_nothing_lost_nothing_twice(
    storage: Storage,
    collection: Collection[dict[str, Any]],
    folder: Path,
    *,
    is_stream_alone: bool = True,
) -> int:
    """Load all that has landed into a warehouse in an empty folder, compare it with the collection.

    Where the stream alone has landed, no event is in two objects, and each bad document is one dead letter.
    Return the number of documents.
    """
    copy_landed(storage, folder)
    warehouse = make_warehouse(folder)
    warehouse.load(timeout_seconds=10)
    documents = assert_same(collection, warehouse)
    if not is_stream_alone:
        return documents
    events = Counter((row["_id"], row["source_version"], row["op"]) for row in landed_rows(storage))
    assert [] == [event for event, times in events.items() if times > 1]
    zone, letters = (
        FencedZone(storage, clock=utc_now),
        DeadLetterStore(Prefixed(storage, "dead_letter"), clock=utc_now),
    )
    by_document = Counter(one.letter.document_id for one in letters.list(zone))
    bad = [f"s:{one['_id']}" for one in collection.find({"_id": {"$regex": "^bad-"}})]
    assert Counter(bad) == by_document
    return documents


def copy_landed(storage: Storage, folder: Path) -> None:
    """Land what is in a bucket in a folder as well, under the same ids; what is there already is left out."""
    zone, local = FencedZone(storage, clock=utc_now), LandingZone(folder / "landing", clock=utc_now)
    there = {each.id for each in local.micro_batches()}
    for lane in zone.lanes():
        for landed in lane.landed():
            footer = read_object_footer(storage, landed)
            if landed.first is None and footer.micro_batch_id not in there:
                stem = footer.micro_batch_id.partition("/")[2]
                day = local.root / lane.name / f"date={footer.landed_at.date()}"
                named = MicroBatch(day / f"{stem}.parquet", lane.name, landed.sequence)
                local.lane(lane.name).land(named, _table(storage, landed.key), footer)


def objects_with(storage: Storage, texts: Iterable[str]) -> list[str]:
    """Read every object there is, and name those that hold one of the texts, compressed or cut to 16 letters.

    Iceberg's manifests keep the beginning of values as the bounds of a file.
    """
    wanted = [part.encode() for text in texts for part in (text, text[:16])]
    found = []
    for each in storage.list_after(""):
        content = storage.get(each.key) or b""
        if each.key.endswith(".parquet"):
            rows = pq.read_table(pa.BufferReader(content)).to_pylist()
            content += json.dumps(rows, default=str).encode()
        elif each.key.endswith(".avro"):
            content += unpacked(content)
        if any(text in content for text in wanted):
            found.append(each.key)
    return found


def unpacked(avro: bytes) -> bytes:
    """Return the records of an Avro file as they are before they are compressed."""
    sync = avro[-16:]
    _, *blocks = avro.split(sync)[:-1]
    plain = b""
    for block in blocks:
        at = 0
        for _ in range(2):  # the number of records, the size in bytes
            while block[at] & 0x80:
                at += 1
            at += 1
        plain += zlib.decompress(block[at:], wbits=-15)
    return plain


def _tables(storage: Storage) -> list[tuple[str, pa.Table]]:
    zone = FencedZone(storage, clock=utc_now)
    return [(each.key, _table(storage, each.key)) for lane in zone.lanes() for each in lane.landed()]


def _table(storage: Storage, key: str) -> pa.Table:
    content = storage.get(key)
    assert content is not None
    return pq.read_table(pa.BufferReader(content))
