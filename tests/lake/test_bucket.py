"""Landing zone and tables in a real bucket: the same rows as DuckDB has of the same documents, each once."""

import random
from typing import Any

import pytest
from pymongo.collection import Collection

from stream.core.normalise import truncate_marker
from stream.core.schema import Row
from stream.errors import MicroBatchCorruptError
from tests.support.laking import Lake
from tests.support.landing import delete, upsert

Documents = Collection[dict[str, Any]]


def test_random_histories_equal_those_of_duckdb(bucket_lake: Lake) -> None:
    """Whatever the order of changes over lanes and loads, and behind a truncate marker, too."""
    chance = random.Random(11)
    version = 100
    for number in range(3):
        for lane in ("stream-1-0of2", "stream-1-1of2", "backfill-1"):
            rows: list[Row] = []
            for _ in range(30):
                version += 1
                key, when = chance.randrange(25), version - chance.choice([0, 0, 0, 40])
                gone = chance.random() < 0.25
                rows.append(
                    delete(key, when)
                    if gone
                    else upsert(key, when, sessionId=f"s{chance.randrange(4)}", uuid=f"u{version}")
                )
            if number == 2 and lane == "stream-1-1of2":
                rows.insert(15, truncate_marker(source_version=version - 20))
            bucket_lake.land(rows, lane=lane)
        bucket_lake.load()
        bucket_lake.assert_same_raw()


def test_loading_again_changes_nothing(bucket_lake: Lake) -> None:
    """A second load finds nothing to do, and commits nothing; objects are registered where they are."""
    bucket_lake.land([upsert(1, 10), upsert(2, 11)])
    bucket_lake.load()
    documents = bucket_lake.catalog.table("raw.documents")
    landed = bucket_lake.catalog.table("raw.landed")
    assert documents is not None
    assert landed is not None

    assert bucket_lake.loader().load(timeout_seconds=5).micro_batches == 0
    again = bucket_lake.catalog.table("raw.documents")
    assert again is not None
    assert documents.current_snapshot().snapshot_id == again.current_snapshot().snapshot_id
    assert bucket_lake.storage is not None
    [file] = landed.inspect.files()["file_path"].to_pylist()
    assert file == f"{bucket_lake.storage.url}/landing/stream/000000000000.parquet"
    assert list((bucket_lake.folder).glob("tables")) == []


def test_a_bucket_in_which_somebody_began_again_is_refused(bucket_lake: Lake) -> None:
    """An object under the number of one that is registered would never be loaded."""
    bucket_lake.land([upsert(1, 10), upsert(2, 11)])
    bucket_lake.load()
    assert bucket_lake.storage is not None
    bucket_lake.storage.delete("landing/stream/000000000000.parquet")
    bucket_lake.land([upsert(3, 12)])

    with pytest.raises(MicroBatchCorruptError, match="is another than the one that was registered"):
        bucket_lake.loader().load(timeout_seconds=5)
