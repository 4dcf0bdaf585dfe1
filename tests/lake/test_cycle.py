"""The Iceberg tables as a run and `status` see them."""

from datetime import date, timedelta

from batch.lake.cycle import LakeCycleSide
from batch.lake.maintain import LakeMaintenance
from batch.pipeline.side import no_progress
from batch.status.lake import LakeGlance, summarise_lake
from batch.validate.suites import SUITES
from stream.clock import utc_now
from tests.support.laking import Lake
from tests.support.landing import delete, land, upsert


def test_a_run_loads_and_status_follows(lake: Lake) -> None:
    """How many rows there are, what waits and when was the last load, by metadata; a delete keeps its row."""
    loader = lake.loader()
    upkeep = LakeMaintenance(loader.spark, loader.catalog, utc_now)
    side = LakeCycleSide(loader, upkeep, None, None, lake.folder / "gx", lease_timeout_seconds=5)
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
    counted = summarise_lake(loader)
    assert (1, 0, 2, 0, 1) == (
        counted.documents,
        counted.conversations,
        counted.micro_batches,
        counted.dead_letters,
        counted.days,
    )
    assert {"user": 1} == counted.documents_by_type
    assert (date(2026, 1, 3), 1, after.last_loaded_at) == (
        counted.first_date,
        counted.tombstones,
        counted.last_loaded_at,
    )


def test_data_docs_say_what_spark_found(lake: Lake) -> None:
    """A page for the run, with each rule of the layer, what holds and what does not."""
    land(lake.folder, [upsert(1, 10), upsert(2, 11)])
    loader = lake.loader()
    upkeep = LakeMaintenance(loader.spark, loader.catalog, utc_now)
    side = LakeCycleSide(loader, upkeep, None, None, lake.folder / "gx", lease_timeout_seconds=5)
    side.load(no_progress)

    found = side.check(["bronze"], run_id="the-run", least_documents=3, build_docs=True)

    assert found.data_docs is not None
    assert "the-run" in found.data_docs.read_text()
    [page] = found.data_docs.parent.glob("validations/bronze_expectations/the-run/*/raw.conversations.html")
    text = page.read_text()
    assert all(rule.description in text for rule in SUITES[0].rules)
    assert {"volume", "fresh"} >= {each.rule for each in found.findings} >= {"volume"}
    assert "Failed" in text
