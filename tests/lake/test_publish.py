"""Builds in Iceberg are seen whole: by who reads the pointer, and by who reads `serving/`."""

from pathlib import Path

import duckdb
import pytest

from batch.lake.builds import current, tag_of
from tests.support.laking import Lake, publisher_of
from tests.support.landing import land, upsert

Totals = dict[str, int]


def build(lake: Lake, total: int) -> None:
    """Make two marts, as dbt would: replaced, never dropped."""
    lake.spark.run("create namespace if not exists lake.marts", doing="build")
    for name in ("agg_daily_cost", "dim_date"):
        lake.spark.run(
            f"create or replace table lake.marts.{name} using iceberg as "
            f"select 'x' as name, cast({total} as bigint) as total, timestamp '2026-01-03 10:00:00' as at",
            doing="build",
        )


def by_pointer(lake: Lake) -> tuple[str, Totals]:
    """Read the current build as another engine would."""
    found = current(lake.catalog)
    assert found is not None
    build_id, tables = found
    totals: Totals = {}
    for each in tables:
        table = lake.catalog.table(f"{each.schema}.{each.name}")
        assert table is not None
        totals[each.name] = table.scan(snapshot_id=each.snapshot_id).to_arrow()["total"].to_pylist()[0]
    return build_id, totals


def by_serving(folder: Path) -> Totals:
    with duckdb.connect(folder / "serving" / "analytics.duckdb", read_only=True) as connection:
        return {
            name: connection.execute(f"select total from marts.{name}").fetchall()[0][0]
            for name in ("agg_daily_cost", "dim_date")
        }


def both(total: int) -> Totals:
    return {"agg_daily_cost": total, "dim_date": total}


def test_readers_see_whole_builds_and_go_back(lake: Lake) -> None:
    """A build under way is not seen; the next publish shows it; a rollback shows the earlier one again."""
    land(lake.folder, [upsert(1, 10)])
    lake.load()
    build(lake, 1)
    publisher = publisher_of(lake)
    publisher.publish("20260101", timeout_seconds=5)
    build(lake, 2)

    assert by_pointer(lake) == ("20260101", both(1))
    assert by_serving(lake.folder) == both(1)

    published = publisher.publish("20260102", timeout_seconds=5)

    assert by_pointer(lake) == ("20260102", both(2))
    assert by_serving(lake.folder) == both(2)
    assert published.manifest.source.load_id is None or 1 == published.manifest.source.load_id
    assert 1 == published.manifest.source.micro_batches

    publisher.roll_back("20260101")

    assert by_pointer(lake) == ("20260101", both(1))
    assert by_serving(lake.folder) == both(1)


@pytest.mark.parametrize("where", ["tables_tagged", "build_finished", "pointer_moved"])
def test_a_killed_publish_leaves_a_whole_build(lake: Lake, where: str) -> None:
    """Wherever it ends, each reader sees one build; publishing again shows the new one to all."""
    land(lake.folder, [upsert(1, 10)])
    lake.load()
    build(lake, 1)
    publisher_of(lake).publish("20260101", timeout_seconds=5)
    build(lake, 2)

    def crash(name: str) -> None:
        if name == where:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publisher_of(lake, at_failpoint=crash).publish("20260102", timeout_seconds=5)

    assert by_pointer(lake) == (("20260102", both(2)) if where == "pointer_moved" else ("20260101", both(1)))
    assert by_serving(lake.folder) == both(1)

    publisher_of(lake).publish("20260103", timeout_seconds=5)

    assert by_pointer(lake) == ("20260103", both(2))
    assert by_serving(lake.folder) == both(2)


def test_tags_go_with_their_builds(lake: Lake) -> None:
    """What nobody can go back to may expire."""
    land(lake.folder, [upsert(1, 10)])
    lake.load()
    for number in (1, 2, 3):
        build(lake, number)
        publisher_of(lake, keep=1).publish(f"2026010{number}", timeout_seconds=5)

    table = lake.catalog.table("marts.dim_date")
    assert table is not None
    assert {tag_of("20260102"), tag_of("20260103"), "main"} == set(table.refs())
