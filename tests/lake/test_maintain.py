"""Maintenance rewrites, expires and removes; what is loaded stays known, and loads go on."""

import os
from datetime import timedelta
from pathlib import Path

from batch.lake.gate import validate
from batch.lake.maintain import LakeMaintenance
from batch.validate.rules import ROW_COUNT, Rule, Suite, no_rows
from stream.clock import utc_now
from tests.support.laking import Lake
from tests.support.landing import delete, land, upsert

LONG_AGO = (utc_now() - timedelta(days=30)).timestamp()


def test_loads_go_on_after_maintenance(lake: Lake) -> None:
    """Every snapshot but the last expires, an orphan goes, and nothing is loaded twice."""
    for number in range(7):
        land(lake.folder, [upsert(1, 10 + number), upsert(100 + number, 20), delete(99 + number, 30)])
        lake.load()
    orphan = Path(lake.folder / "tables" / "raw" / "documents" / "data" / "orphan.parquet")
    orphan.write_bytes(b"left by a crash")
    os.utime(orphan, (LONG_AGO, LONG_AGO))
    upkeep = LakeMaintenance(lake.spark, lake.catalog, utc_now, snapshots_kept=timedelta(0))

    first, second = upkeep.run(), upkeep.run()

    assert any("orphan files removed" in each for each in first)
    assert any("files of old snapshots removed" in each for each in [*first, *second])
    assert not orphan.exists()
    assert 0 == lake.loader().load(timeout_seconds=5).micro_batches
    land(lake.folder, [upsert(1, 40), upsert(500, 41)])
    assert 1 == lake.load().micro_batches
    lake.assert_same_raw()


def test_what_every_model_has_seen_of_changed_lines_goes(lake: Lake) -> None:
    """Of three loads one model has seen two, another one: the first is forgotten, and the rest stays."""
    upkeep = LakeMaintenance(lake.spark, lake.catalog, utc_now)
    for number in (1, 2, 3):
        land(lake.folder, [upsert(number, 10, sessionId=f"s{number}")])
        lake.load()
    assert [] == upkeep.run()
    lake.spark.run(
        "create table lake.ops.model_inputs using iceberg as select * from values "
        "('base_lines', 1L, 'raw', 2L), ('base_blocks', 1L, 'raw', 1L), "
        "('dim_sessions', 1L, 'base_lines', 0L) "
        "as inputs (model, sequence, input, input_sequence)",
        doing="build",
    )

    assert ["1 changed lines forgotten"] == upkeep.run()
    assert [(2,), (3,)] == lake.rows("select distinct load_id from raw.changed_lines order by 1")
    assert [] == upkeep.run()


def test_rules_are_checked_in_spark(lake: Lake) -> None:
    """A rule that holds, one that does not, one about the volume, and one that cannot be asked."""
    land(lake.folder, [upsert(1, 10, type="it's"), upsert(2, 11)])
    lake.load()
    suite = Suite(
        "bronze_expectations",
        "bronze",
        "raw",
        "conversations",
        "_id",
        (
            no_rows("holds", "d", "select \"_id\" from raw.conversations where type = 'none'", fix="f"),
            no_rows("broken", "d", "select _id, type from raw.conversations where type = 'it''s'", fix="f"),
            no_rows("old", "d", "select timestamp '0000-12-31' as at from raw.loads", fix="f"),
            Rule("volume", "d", "f", ROW_COUNT),
            no_rows("wrong", "d", "select nothing from raw.nowhere", fix="f"),
        ),
    )

    found = validate(lake.spark, [suite], ["bronze"], least=3)

    assert (5, 2) == (found.checked, found.documents)
    assert [
        ("broken", "1 row breaks it", ("_id=i:1 type=it's",)),
        ("old", "1 row breaks it", ("at=0000-12-31 00:00:00",)),
        ("volume", "there are 2 documents, f", ()),
        ("wrong", "it could not be checked:", ()),
    ] == [(each.rule, each.found[:24], each.examples) for each in found.findings]
