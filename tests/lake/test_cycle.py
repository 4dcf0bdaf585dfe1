"""The Iceberg tables as a run and `status` see them."""

from datetime import timedelta

import pytest

from batch.lake.cycle import LakeCycleSide
from batch.lake.maintain import LakeMaintenance
from batch.pipeline.side import no_progress
from batch.status.lake import LakeGlance
from stream.clock import utc_now
from stream.errors import SettingsError
from tests.support.laking import Lake
from tests.support.landing import delete, land, upsert


def test_a_run_loads_and_status_follows(lake: Lake) -> None:
    """How many rows there are, what waits and when was the last load, by metadata; a delete keeps its row."""
    loader = lake.loader()
    upkeep = LakeMaintenance(loader.spark, loader.catalog, utc_now)
    side = LakeCycleSide(loader, upkeep, landed_upkeep=None, landed_retention=None, lease_timeout_seconds=5)
    glance = LakeGlance(loader)
    assert not glance.look([]).exists
    assert side.newest_load() is None

    land(lake.folder, [upsert(1, 10), upsert(2, 11)])
    assert 2 == side.load(no_progress)
    land(lake.folder, [delete(2, 20)])
    before = glance.look([])
    assert 1 == side.load(no_progress)
    after = glance.look([])

    assert 2 == side.newest_load()
    assert (2, 1, 2, 0) == (before.rows, before.pending, after.rows, after.pending)
    assert after.size_bytes > 0
    assert after.last_loaded_at is not None
    assert utc_now() - after.last_loaded_at < timedelta(hours=1)
    assert (None, None) == (after.summary, after.problem)
    assert 1 == side.check(["bronze"], run_id="1", least_documents=1, build_docs=False).documents
    with pytest.raises(SettingsError, match="build-docs"):
        side.check(["bronze"], run_id="1", least_documents=1, build_docs=True)
