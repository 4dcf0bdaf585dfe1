"""A purge on Iceberg: what is gone is in no file, no snapshot and no build; the rest is as it was."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from batch.lake.purged import LakePurgeSide
from batch.purge.landed import LandedPurge
from batch.purge.purge import Purge
from batch.purge.target import Target
from batch.purge.traces import Traces
from stream.clock import utc_now
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import LandingZone
from tests.support.laking import Lake, publisher_of
from tests.support.landing import delete, land, upsert

GONE = "session-that-goes"


def build(lake: Lake) -> None:
    """Make a mart, as dbt would: replaced, never dropped."""
    lake.spark.run("create namespace if not exists lake.marts", doing="build")
    lake.spark.run(
        "create or replace table lake.marts.dim_sessions using iceberg as "
        "select session_id, count(*) as lines from lake.raw.conversations group by session_id",
        doing="build",
    )


def purge_of(lake: Lake) -> Purge:
    return Purge(
        landed=LandedPurge(
            LandingZone(lake.folder / "landing", clock=utc_now),
            DeadLetterStore(lake.folder / "dead_letter", clock=utc_now),
            "500MB",
        ),
        side=LakePurgeSide(lake.loader(), lease_timeout_seconds=5),
        publisher=publisher_of(lake),
        traces=Traces(lake.folder, (), ()),
        build_marts=lambda: build(lake),
        run_id="20260103",
        lease_timeout_seconds=5,
    )


def files_with(folder: Path, text: str) -> list[str]:
    """Name the Parquet files that hold a text in a value, and any other file that holds it at all."""
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".parquet":
            content = json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=str).encode()
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
    purge = purge_of(lake)
    target = Target("session", GONE)
    assert purge.count(target)["warehouse"] == 4, "a document, its line in two loads, a session"
    assert len(files_with(lake.folder / "tables", GONE)) > 1

    done = purge.run(target)

    done.require_complete(target)
    assert done.removed["landing zone"] == 1 + 1
    assert done.removed["warehouse"] == 1
    for place in ("landing", "tables", "serving"):
        assert files_with(lake.folder / place, GONE) == [], place
    assert lake.rows("select _id from raw.conversations order by 1") == [("i:2",), ("i:3",)]
    assert lake.rows("select session_id, lines from marts.dim_sessions") == [("stays", 2)]
    assert lake.loader().load(timeout_seconds=5).micro_batches == 0
    land(lake.folder, [upsert(5, 30, sessionId="stays")])
    assert lake.loader().load(timeout_seconds=5).rows_upserted == 1
