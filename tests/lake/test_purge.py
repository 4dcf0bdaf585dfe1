"""A purge on Iceberg: what is gone is in no file, no snapshot and no build; the rest is as it was."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batch.lake.purged import LakePurgeSide
from batch.purge.target import Target
from stream.clock import utc_now
from stream.core.normalise import DeadLetter
from stream.errors import AlreadyRunningError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedZone
from stream.storage.prefixed import Prefixed
from tests.support.laking import Killed, Lake, publisher_of, purge_of
from tests.support.landing import delete, land, land_in, upsert
from tests.support.objects import objects_with, unpacked

GONE = "session-that-goes"


def build(lake: Lake) -> None:
    """Make a mart, as dbt would: replaced, never dropped."""
    lake.spark.run("create namespace if not exists lake.marts", doing="build")
    lake.spark.run(
        "create or replace table lake.marts.dim_sessions using iceberg as "
        "select session_id, count(*) as lines from lake.raw.conversations group by session_id",
        doing="build",
    )


def files_with(folder: Path, text: str) -> list[str]:
    """Name the Parquet files that hold a text in a value, and any other file that holds it at all."""
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".parquet":
            content = json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=str).encode()
        elif path.suffix == ".avro":
            content = unpacked(path.read_bytes())
        else:
            content = path.read_bytes()
        if text.encode() in content or text[:16].encode() in content:
            found.append(path.relative_to(folder).as_posix())
    return found


def test_a_conversation_is_removed_everywhere(lake: Lake) -> None:
    """Its rows, older versions of them, what built upon them; loads and builds go on afterwards."""
    land(lake.folder, [upsert(1, 10, sessionId=GONE), upsert(2, 11, sessionId="stays")])
    lake.load()
    build(lake)
    publisher_of(lake).publish("20260101", timeout_seconds=5)
    land(lake.folder, [upsert(1, 20, sessionId=GONE), upsert(3, 21, sessionId="stays"), delete(4, 22)])
    lake.load()
    build(lake)
    publisher_of(lake).publish("20260102", timeout_seconds=5)
    purge = purge_of(lake, lambda: build(lake))
    target = Target("session", GONE)
    assert 4 == purge.count(target)["warehouse"], "a document, its line in two loads, a session"
    assert len(files_with(lake.folder / "tables", GONE)) > 1

    done = purge.run(target)

    done.require_complete(target)
    assert 1 + 1 == done.removed["landing zone"]
    assert 1 == done.removed["warehouse"]
    for place in ("landing", "tables", "serving"):
        assert [] == files_with(lake.folder / place, GONE), place
    assert [("i:2",), ("i:3",)] == lake.rows("select _id from raw.conversations order by 1")
    assert [("stays", 2)] == lake.rows("select session_id, lines from marts.dim_sessions")
    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches
    land(lake.folder, [upsert(5, 30, sessionId="stays")])
    assert 1 == lake.loader().load(timeout_seconds=5).rows_upserted


def test_what_a_killed_load_has_registered_is_not_taken_for_loaded(lake: Lake) -> None:
    """A load that dies while older snapshots are removed has its rows loaded."""

    def dies_at(name: str) -> None:
        if name == "files_registered":
            raise Killed

    land(lake.folder, [upsert(1, 10)])
    lake.load()
    land(lake.folder, [upsert(2, 11)])
    with pytest.raises(Killed):
        lake.loader(dies_at).load(timeout_seconds=5)

    LakePurgeSide(lake.loader(), lease_timeout_seconds=5).wipe()

    lake.load()
    assert [("i:1",), ("i:2",)] == lake.rows("select _id from raw.conversations order by 1")


CANARY = "canary-of-the-content"


def letter_of(session: str, text: str) -> DeadLetter:
    return DeadLetter("bad_message", "text", "s:x", json.dumps({"sessionId": session, "message": text}))


def letters_of(lake: Lake) -> DeadLetterStore:
    assert lake.storage is not None
    return DeadLetterStore(Prefixed(lake.storage, "dead_letter"), clock=utc_now)


def two_builds(lake: Lake) -> FencedZone:
    """Land, load and publish twice in a bucket; what is to go is in rows, letters, builds, notes."""
    assert lake.storage is not None
    zone = FencedZone(lake.storage, clock=utc_now)
    said = {"message": {"role": "user", "content": CANARY}}
    lake.land([upsert(1, 10, sessionId=GONE, **said), upsert(2, 11, sessionId="stays")])
    letters_of(lake).store(
        zone.lane("stream").new_name(1), [letter_of(GONE, CANARY), letter_of("stays", "kept")]
    )
    lake.loader().load(timeout_seconds=5)
    build(lake)
    publisher_of(lake).publish("20260101", timeout_seconds=5)
    lake.land([upsert(1, 20, sessionId=GONE, **said), upsert(3, 21, sessionId="stays"), delete(4, 22)])
    lake.land([upsert(5, 9, sessionId=GONE, **said)], lane="backfill-1")
    zone.state.put("backfill-1/plan.json", json.dumps({"filters": {"project": GONE}}).encode())
    zone.state.put("backfill-1/finished.json", b"{}")
    lake.loader().load(timeout_seconds=5)
    build(lake)
    publisher_of(lake).publish("20260102", timeout_seconds=5)
    return zone


def test_a_conversation_is_in_no_object_of_a_bucket_any_more(bucket_lake: Lake) -> None:
    """All objects are read: the log, letters, plans, tables of all builds; numbers and positions stay."""
    zone, storage = two_builds(bucket_lake), bucket_lake.storage
    assert storage is not None
    worker = zone.lane("stream")
    position = worker.position()
    assert len(objects_with(storage, [GONE, CANARY])) > 12
    target = Target("session", GONE)

    done = purge_of(bucket_lake, lambda: build(bucket_lake)).run(target)

    done.require_complete(target)
    assert 3 == done.removed["landing zone"]
    assert 1 == done.removed["dead letters"]
    assert 2 == done.removed["warehouse"]
    assert done.seconds > 0
    assert [] == objects_with(storage, [GONE, CANARY])
    assert [("i:2",), ("i:3",)] == bucket_lake.rows("select _id from raw.conversations order by 1")
    assert [("stays", 2)] == bucket_lake.rows("select session_id, lines from marts.dim_sessions")
    assert [1] == [len(each) for each in letters_of(bucket_lake).by_micro_batch().values()]
    with pytest.raises(AlreadyRunningError, match="another worker writes the lane `stream`"):
        land_in(worker, [upsert(1, 30, sessionId=GONE)])
    successor = zone.lane("stream")
    assert successor.position() == position
    assert [0, 1, 2] == [each.sequence for each in successor.landed()]
    land_in(successor, [upsert(6, 31, sessionId="stays")])
    assert 1 == bucket_lake.loader().load(timeout_seconds=5).rows_upserted
    assert [(3,)] == bucket_lake.rows("select count(*) from raw.landed where op = 'upsert'")


@pytest.mark.fault(
    1,
    "a purge in a bucket dies among the objects that it rewrites",
    "loads go on; the same purge ends the work",
)
def test_a_purge_that_was_killed_in_a_bucket_is_completed(
    bucket_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some objects are rewritten, none is registered as it is now: a load does that, and loads what came."""
    zone, storage = two_builds(bucket_lake), bucket_lake.storage
    assert storage is not None
    target = Target("session", GONE)
    put, keys = storage.put, list[str]()

    def killed(key: str, content: bytes) -> None:
        if keys and key.startswith("landing/"):
            raise Killed
        put(key, content)
        keys.extend([key] if key.startswith("landing/") else [])

    with monkeypatch.context() as patch:
        patch.setattr(storage, "put", killed)
        with pytest.raises(Killed):
            purge_of(bucket_lake, lambda: build(bucket_lake)).run(target)
    assert 1 == len(keys)
    land_in(zone.lane("stream"), [upsert(7, 40, sessionId="stays")])
    assert 1 == bucket_lake.loader().load(timeout_seconds=5).rows_upserted
    assert [(5,)] == bucket_lake.rows("select count(*) from raw.landed where op = 'upsert'")

    done = purge_of(bucket_lake, lambda: build(bucket_lake)).run(target)

    done.require_complete(target)
    assert 2 == done.removed["landing zone"]
    assert [] == objects_with(storage, [GONE, CANARY])
    assert [("i:2",), ("i:3",), ("i:7",)] == bucket_lake.rows("select _id from raw.conversations order by 1")
    # The number that it took is loaded by itself.
    assert 0 == bucket_lake.loader().load(timeout_seconds=5).micro_batches
