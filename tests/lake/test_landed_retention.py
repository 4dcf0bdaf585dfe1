"""Old landed files and objects go once they are loaded and no snapshot names them; nothing is lost."""

import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from batch.lake.landed import registered
from batch.lake.landed_retention import LandedRetention
from batch.lake.maintain import LakeMaintenance
from batch.lake.tables import DOCUMENTS
from stream.clock import utc_now
from stream.core.normalise import DeadLetter, truncate_marker
from stream.errors import LandingTrimmedError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedZone
from stream.landing.landed_file import Failpoint, no_failpoint
from stream.landing.places import AnyZone
from stream.landing.retention import low_water_mark
from stream.landing.zone import LandingZone
from tests.support.laking import Lake
from tests.support.landing import delete, land_in, upsert
from tests.support.paths import ROOT

EVERYTHING = f"select {', '.join(DOCUMENTS)} from raw.documents order by _id"

_PROGRAM = """
import os, signal, sys
from pathlib import Path
from tests.lake.test_landed_retention import retention_of
from tests.support.laking import Lake

folder, uri, bucket, where = Path(sys.argv[1]), sys.argv[2], sys.argv[3] or None, sys.argv[4]

def at_failpoint(name):
    if name == where:
        os.kill(os.getpid(), signal.SIGKILL)

retention_of(Lake(folder, uri, bucket=bucket), at_failpoint).run()
"""


def zone_of(lake: Lake) -> AnyZone:
    if lake.storage:
        return FencedZone(lake.storage, clock=utc_now)
    return LandingZone(lake.folder / "landing", clock=utc_now)


def letters_of(lake: Lake) -> DeadLetterStore:
    return DeadLetterStore(lake.folder / "letters", clock=utc_now)


def retention_of(lake: Lake, at_failpoint: Failpoint = no_failpoint, *, days: int = 2) -> LandedRetention:
    """Return what removes old files, ten days later."""
    return LandedRetention(
        lake.loader(),
        zone_of(lake),
        letters_of(lake),
        clock=lambda: utc_now() + timedelta(days=10),
        days=days,
        lease_timeout_seconds=5,
        at_failpoint=at_failpoint,
    )


def killed_at(where: str, lake: Lake) -> int:
    """Remove old files in a process of its own, which dies at a failpoint; return how it ended."""
    bucket = lake.storage.url if lake.storage else ""
    words = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(lake.folder), lake.uri, bucket, where]
    return subprocess.run(words, cwd=ROOT, stderr=subprocess.DEVNULL, check=False).returncode


def expire(lake: Lake) -> None:
    """Let all snapshots expire but those that are needed."""
    LakeMaintenance(lake.spark, lake.catalog, utc_now, snapshots_kept=timedelta(0)).run()


def there(lake: Lake) -> dict[str, list[int]]:
    """Return the numbers of what is in the landing zone, by lane."""
    found: dict[str, list[int]] = {}
    for each in lake.loader().landed.files():
        found.setdefault(each.lane, []).append(each.sequence)
    return found


def in_table(lake: Lake) -> list[str]:
    landed = lake.catalog.table("raw.landed")
    assert landed is not None
    return sorted(name[: len("stream/000000000000")] for name in registered(landed))


def three_loads(lake: Lake) -> None:
    for number in range(3):
        lake.land([upsert(1, 10 + number), upsert(100 + number, 20), delete(99 + number, 30)])
        lake.load()


def test_old_files_go_once_no_snapshot_names_them(either_lake: Lake) -> None:
    """First they leave the table; rows stay, loads go on, and what is not loaded is not touched."""
    lake = either_lake
    three_loads(lake)
    lake.land([upsert(1, 40)])
    lake.land([upsert(2, 41)])
    assert [] == retention_of(lake, days=10).run()
    assert low_water_mark(zone_of(lake).state) is None

    assert ["3 old landed files taken out of `raw.landed`"] == retention_of(lake).run()

    assert [] == in_table(lake)
    assert {"stream": [0, 1, 2, 3, 4]} == there(lake)
    assert utc_now().date() + timedelta(days=1) == low_water_mark(zone_of(lake).state)
    assert [] == retention_of(lake).run()
    assert 2 == lake.load().micro_batches
    lake.assert_same_raw()

    expire(lake)
    assert {"stream": [0, 1, 2, 3, 4]} == there(lake)
    assert [
        "1 old landed files taken out of `raw.landed`",
        "3 old landed files removed",
    ] == retention_of(lake).run()
    assert {"stream": [3, 4]} == there(lake)
    assert ["stream/000000000004"] == in_table(lake)
    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches
    lake.land([upsert(1, 50), delete(2, 51)])
    assert 1 == lake.load().micro_batches
    lake.assert_same_raw()


@pytest.mark.fault(
    1,
    "`kill -9` where old landed files go from under Iceberg: they are marked, out of the table, half gone",
    "loads go on, nothing is lost or loaded twice; the next run ends the work",
)
def test_a_removal_that_was_killed_is_ended_by_the_next(either_lake: Lake) -> None:
    """Between any two of its steps the same rows are in sight, and what lands meanwhile is loaded once."""
    lake = either_lake
    three_loads(lake)

    for number, where in enumerate(["mark_raised", "table_left", "file_removed"]):
        if where == "file_removed":
            expire(lake)
        assert -signal.SIGKILL == killed_at(where, lake)
        lake.land([upsert(1, 60 + number), upsert(600 + number, 60)])
        assert 1 == lake.load().micro_batches

    assert {"stream": [1, 2, 3, 4, 5]} == there(lake)
    retention_of(lake).run()
    expire(lake)
    retention_of(lake).run()
    assert {"stream": [5]} == there(lake)
    assert ["stream/000000000005"] == in_table(lake)
    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches
    theirs = lake.duckdb_rows("select _id, source_version from raw.conversations order by _id")
    assert theirs == lake.rows("select _id, source_version from raw.conversations order by _id")


def test_what_is_still_needed_stays(either_lake: Lake) -> None:
    """Dead letters in the queue, the newest of a lane, an unfinished backfill, and truncate markers."""
    lake = either_lake
    unfinished = "backfill-20260102T000000Z-abcd"
    lake.land([truncate_marker(source_version=5), upsert(99, 10)], lane="other")
    lake.land([], lane="other")
    letter = DeadLetter("not_a_document", "it is none", "s:x", "{}")
    for number in range(3):
        landed = land_in(zone_of(lake).lane("replay"), [upsert(number, 10)], dead_letters=int(number == 0))
        if number == 0:
            letters_of(lake).store(landed, [letter])
        lake.land([upsert(100 + number, 10)], lane="backfill-20260101T000000Z-abcd")
        lake.land([upsert(200 + number, 10)], lane=unfinished)
    zone_of(lake).state.put(f"{unfinished}/plan.json", PLAN)
    lake.load()

    retention_of(lake).run()
    expire(lake)
    retention_of(lake).run()

    assert {
        "backfill-20260101T000000Z-abcd": [2],
        unfinished: [0, 1, 2],
        "other": [0, 1],
        "replay": [0, 2],
    } == there(lake)


PLAN = b"""{"schema_version": 1, "id": "20260102T000000Z-abcd", "created_at": "2026-01-02T00:00:00+00:00",
"source": {"cluster_id": null, "set_name": "rs0", "namespace": "a.b", "pipeline": "1"}, "collection_id": null,
"filters": {"since": null, "until": null, "project": null}, "documents": 1, "size_bytes": 1, "bounds": []}"""


def test_tables_are_not_made_from_what_is_left(either_lake: Lake) -> None:
    """Neither a rebuild nor new tables lose rows in silence; the way out is named, and works."""
    lake = either_lake
    three_loads(lake)
    retention_of(lake).run()
    expire(lake)
    retention_of(lake).run()
    before = lake.rows(EVERYTHING)

    with pytest.raises(LandingTrimmedError, match=r"files that landed before .* were removed") as refused:
        lake.loader().rebuild(timeout_seconds=5)
    assert 2 == refused.value.exit_code
    assert "`claude-analytics backfill`" in refused.value.hint
    assert before == lake.rows(EVERYTHING)
    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches

    assert 3 == lake.loader().rebuild(timeout_seconds=5, is_incomplete=True).rows
    assert ["i:1", "i:101", "i:102"] == sorted(
        key for key, op in lake.rows("select _id, op from raw.documents") if op
    )
    lake.land([upsert(100, 70)], lane="backfill-1")
    assert 1 == lake.loader().load(timeout_seconds=5).rows_upserted

    lake.spark.run("drop table lake.raw.documents", doing="lose it")
    with pytest.raises(LandingTrimmedError, match="were removed"):
        lake.loader().load(timeout_seconds=5)
    assert 2 == lake.loader().rebuild(timeout_seconds=5, is_incomplete=True).micro_batches


def test_a_load_is_not_waited_for(lake: Lake) -> None:
    """It goes on, and old files are for the next run."""
    three_loads(lake)
    with lake.loader().lock(5):
        said = LandedRetention(
            lake.loader(), zone_of(lake), letters_of(lake), lambda: utc_now() + timedelta(days=10), 2, 0.1
        ).run()

    assert ["a load goes on, old landed files are left for the next run"] == said
    assert low_water_mark(zone_of(lake).state) is None
