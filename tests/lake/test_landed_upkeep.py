"""Small landed objects are merged in a bucket: the same rows, fewer objects, nothing loaded twice."""

from datetime import timedelta

import pytest

from batch.lake.landed import registered
from batch.lake.landed_upkeep import LandedUpkeep
from batch.lake.maintain import LakeMaintenance
from batch.maintenance.object_merges import ObjectCompaction
from stream.clock import utc_now
from stream.landing.fenced import FencedZone
from stream.landing.landed_file import Failpoint, no_failpoint
from tests.support.laking import Killed, Lake
from tests.support.landing import delete, upsert

MERGED = "stream/000000000000-000000000002"


def upkeep_of(lake: Lake, at_failpoint: Failpoint = no_failpoint, *, grace_hours: int = 0) -> LandedUpkeep:
    """Return what merges, on the day after."""
    assert lake.storage is not None
    return LandedUpkeep(
        lake.loader(),
        ObjectCompaction(
            FencedZone(lake.storage, clock=utc_now),
            lambda: utc_now() + timedelta(days=1),
            lake.folder,
            "500MB",
            at_failpoint=at_failpoint,
        ),
        grace=timedelta(hours=grace_hours),
        lease_timeout_seconds=5,
    )


def keys(lake: Lake) -> list[str]:
    assert lake.storage is not None
    return [each.key.removeprefix("landing/") for each in lake.storage.list_after("landing")]


def in_table(lake: Lake) -> list[str]:
    landed = lake.catalog.table("raw.landed")
    assert landed is not None
    return sorted(registered(landed))


def four_objects(lake: Lake) -> None:
    for number in range(4):
        lake.land([upsert(1, 10 + number), upsert(100 + number, 20), delete(99 + number, 30)])
    lake.load()


def test_small_objects_become_one_in_the_tables_too(bucket_lake: Lake) -> None:
    """What was replaced stays for a while; loads find nothing new, and go on behind; so does maintenance."""
    four_objects(bucket_lake)

    said = upkeep_of(bucket_lake, grace_hours=1).run()

    assert ["3 landed objects merged"] == said
    assert 5 == len(keys(bucket_lake))
    assert [MERGED, "stream/000000000003"] == in_table(bucket_lake)
    before = bucket_lake.catalog.table("raw.documents")
    assert 0 == bucket_lake.loader().load(timeout_seconds=5).micro_batches
    after = bucket_lake.catalog.table("raw.documents")
    assert before is not None
    assert after is not None
    assert before.current_snapshot().snapshot_id == after.current_snapshot().snapshot_id

    assert ["3 merged objects removed"] == upkeep_of(bucket_lake).run()
    assert keys(bucket_lake) == [f"{MERGED}.parquet", "stream/000000000003.parquet"]
    assert [] == upkeep_of(bucket_lake).run()
    tables = LakeMaintenance(bucket_lake.spark, bucket_lake.catalog, utc_now, snapshots_kept=timedelta(0))
    tables.run()
    assert 2 == len(keys(bucket_lake))
    bucket_lake.land([upsert(1, 40), upsert(500, 41)])
    assert 1 == bucket_lake.load().micro_batches
    bucket_lake.assert_same_raw()
    assert [(7, 41)] == bucket_lake.rows("select count(distinct _id), max(source_version) from raw.landed")


@pytest.mark.fault(
    1,
    "merging in a bucket dies once an object is merged, once the tables know it, among what is removed",
    "loads go on, nothing is loaded twice; the next run ends the work",
)
def test_a_merge_that_was_killed_is_ended_by_the_next(bucket_lake: Lake) -> None:
    """Between any two of its steps the same rows are in sight, and what lands meanwhile is loaded once."""
    four_objects(bucket_lake)

    for number, where in enumerate(["object_merged", "merge_registered", "object_removed"]):

        def killed(name: str, where: str = where) -> None:
            if name == where:
                raise Killed

        with pytest.raises(Killed):
            upkeep_of(bucket_lake, killed).run()
        bucket_lake.land([upsert(1, 50 + number), upsert(600 + number, 50)])
        assert 1 == bucket_lake.load().micro_batches
        bucket_lake.assert_same_raw()

    assert 7 + 2 - 1 == len(keys(bucket_lake))
    upkeep_of(bucket_lake).run()
    upkeep_of(bucket_lake).run()
    assert keys(bucket_lake) == [
        f"{MERGED}.parquet",
        "stream/000000000003-000000000004.parquet",
        "stream/000000000005.parquet",
        "stream/000000000006.parquet",
    ]
    assert in_table(bucket_lake) == [key.removesuffix(".parquet") for key in keys(bucket_lake)]
    assert 0 == bucket_lake.loader().load(timeout_seconds=5).micro_batches
    bucket_lake.assert_same_raw()
