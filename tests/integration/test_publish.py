"""What readers see of the marts, before, between and after publishes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from batch.runs.ops_tables import PUBLISHED, note_runs
from stream.clock import utc_now
from stream.core.normalise import deletion, truncate_marker
from stream.errors import LandingNotWritableError, SettingsError, StepFailedError
from tests.support.platform_runs import platform_runs
from tests.support.publishing import Shop, message

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


def test_the_first_publish(shop: Shop) -> None:
    """Readers find views, files have the warehouse's rows and types, and the manifest tells about them."""
    shop.land(message(1, version=7 << 31))
    shop.warehouse.load(timeout_seconds=5)
    shop.build(1, more="create table marts.empty_one (day date, cost double, seen_at timestamptz);")
    published = shop.publish(1)

    assert (None, (), True) == (published.previous, tuple(published.removed), published.has_new_views)
    assert (1, 1, 101) == shop.seen_build()
    assert [] == shop.ask("select * from marts.empty_one")
    manifest = json.loads((shop.serving.current / "MANIFEST.json").read_text())
    assert "build-0001" == manifest["build_id"]
    rows = {f"{table['schema']}.{table['name']}": table["rows"] for table in manifest["tables"]}
    assert {"marts.dim_items": 7, "marts.empty_one": 0, "marts.fct_sales": 101} == {
        name: count for name, count in rows.items() if name.startswith("marts.")
    }
    assert {f"ops.{name}" for name in PUBLISHED} == rows.keys() - {
        "marts.dim_items",
        "marts.empty_one",
        "marts.fct_sales",
    }
    assert [["day", "DATE"], ["cost", "DOUBLE"], ["seen_at", "TIMESTAMP WITH TIME ZONE"]] == manifest[
        "tables"
    ][1]["columns"]
    assert (1, 1, 7 << 31) == tuple(
        manifest["source"][name] for name in ("load_id", "micro_batches", "cluster_time")
    )
    assert published.manifest == shop.serving.manifest("build-0001")


def test_the_manifest_says_how_far_the_marts_reach_not_the_warehouse(shop: Shop) -> None:
    """What the stream has loaded since the build is not in it."""
    for number in (1, 2):
        shop.land(message(number, version=number << 31))
        shop.warehouse.load(timeout_seconds=5)
    shop.build(
        1,
        more="create table ops.model_inputs as select 'raw' as input, 1::bigint as input_sequence;",
    )

    source = shop.publish(1).manifest.source
    assert (1, 1, 1 << 31) == (source.load_id, source.micro_batches, source.cluster_time)


def test_the_note_of_a_build_waits_in_the_log(shop: Shop) -> None:
    """Publishing rewrites nothing of a large file; whoever opens it next has the note, and leaves no log."""
    shop.build(1)
    shop.publish(1)
    log = shop.warehouse.path.with_name(f"{shop.warehouse.path.name}.wal")
    assert log.exists()
    query = "select build_id from ops.published_build"
    with duckdb.connect(shop.warehouse.path, read_only=True) as reader:
        assert [("build-0001",)] == reader.execute(query).fetchall()
    with shop.warehouse.opened(timeout_seconds=5) as connection:
        assert [("build-0001",)] == connection.execute(query).fetchall()
    assert not log.exists()


def test_an_open_reader_sees_the_next_build(shop: Shop) -> None:
    """Nobody has to open the file of views again, and it is not touched."""
    shop.build(1)
    shop.publish(1)
    with duckdb.connect(shop.serving.database, read_only=True) as reader:
        inode = shop.serving.database.stat().st_ino
        shop.build(2)
        published = shop.publish(2)
        seen = reader.execute("select min(build), max(build), count(*) from marts.fct_sales").fetchone()

    assert (2, 2, 102) == seen
    assert ("build-0001", False) == (published.previous, published.has_new_views)
    assert inode == shop.serving.database.stat().st_ino


def test_an_open_reader_survives_more_columns_and_tables(shop: Shop) -> None:
    """What it had open goes on to work; who opens the file anew sees what is new."""
    shop.build(1)
    shop.publish(1)
    with duckdb.connect(shop.serving.database, read_only=True) as reader:
        shop.build(
            2,
            more="alter table marts.fct_sales add column price double;"
            "create table marts.agg as select 1 as x;",
        )
        assert shop.publish(2).has_new_views
        assert (102,) == reader.execute("select count(*) from marts.fct_sales").fetchone()

    assert [(None,)] == shop.ask("select price from marts.fct_sales limit 1")
    assert [(1,)] == shop.ask("select x from marts.agg")


def test_old_builds_go_but_for_some(shop: Shop) -> None:
    """The newest and as many before it as asked for stay; a build rolled back to stays, however old."""
    for number in range(1, 6):
        shop.build(number)
        shop.publish(number)
    assert ["build-0003", "build-0004", "build-0005"] == shop.serving.builds()

    shop.publisher.roll_back("build-0003")
    assert (3, 3, 103) == shop.seen_build()
    assert "build-0003" == shop.serving.current.readlink().name
    shop.serving.remove_old(keep=0)
    assert ["build-0003", "build-0005"] == shop.serving.builds()
    assert (3, 3, 103) == shop.seen_build()


def test_rolling_back_brings_the_old_views_back(shop: Shop) -> None:
    """The views fit the build, also backwards."""
    shop.build(1)
    shop.publish(1)
    shop.build(2, more="create table marts.agg as select 1 as x;")
    shop.publish(2)
    assert shop.publisher.roll_back("build-0001").has_new_views
    with pytest.raises(duckdb.CatalogException):
        shop.ask("select * from marts.agg")


def test_an_unknown_build(shop: Shop) -> None:
    """The message names the builds there are."""
    shop.build(1)
    shop.publish(1)
    with pytest.raises(SettingsError, match="no usable build `build-0009`") as caught:
        shop.publisher.roll_back("build-0009")
    assert "builds at hand, newest first: `build-0001`" == caught.value.hint


def test_nothing_to_publish(shop: Shop) -> None:
    """Without marts nothing becomes visible, and the message says what to run."""
    with pytest.raises(StepFailedError, match="there is nothing to publish") as caught:
        shop.publish(1)
    assert "run `claude-analytics transform` first" == caught.value.hint
    assert (None, []) == (shop.serving.current_build(), shop.serving.builds())


def test_a_publish_that_cannot_write(shop: Shop) -> None:
    """A folder that is none is reported with what to do; the build before it stays."""
    shop.build(1)
    shop.publish(1)
    (shop.serving.root / ".current.inflight").mkdir()
    (shop.serving.root / ".current.inflight" / "stuck").touch()
    shop.build(2)
    shop.publish(2)
    assert (2, 2, 102) == shop.seen_build()

    (shop.serving.root / "builds").rename(shop.serving.root / "moved")
    (shop.serving.root / "builds").touch()
    with pytest.raises(LandingNotWritableError, match="cannot write"):
        shop.publish(3)


def test_live_views_are_as_fresh_as_the_landing_zone(shop: Shop) -> None:
    """What has landed is seen without load or build: newest versions, no deleted ones, only today's."""
    call = (
        b'{"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}]}'
    )
    result = b'{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": true}]}'
    shop.land(message(1, version=1))
    shop.warehouse.load(timeout_seconds=5)
    shop.build(1)
    shop.publish(1)
    with duckdb.connect(shop.serving.database, read_only=True) as reader:
        assert [("session-1", 1, 0, 0)] == reader.execute(
            "select session_id, messages, tool_calls, tool_errors from live.conversations"
        ).fetchall()

        shop.land(
            message(2, version=2, raw=call, type="assistant", message_role="assistant"),
            message(3, version=3),
            message(4, version=4, session_id="of-yesterday", at=datetime.now(UTC) - timedelta(days=2)),
        )
        assert [("Bash", "running")] == reader.execute(
            "select tool_name, status from live.tool_calls"
        ).fetchall()

        shop.land(
            message(3, version=5, raw=result),
            deletion("", source_version=6)._replace(id=f"{1:024x}"),
            message(5, version=7, uuid="uuid-2", session_id="a-fork", raw=call),
        )
        assert [("session-1", 2, 1, 1)] == reader.execute(
            "select session_id, messages, tool_calls, tool_errors from live.conversations"
        ).fetchall()
        assert [("assistant", 1), ("user", 1)] == reader.execute(
            "select role, sum(messages)::bigint from live.messages_per_minute group by all order by all"
        ).fetchall()
        assert [("error",)] == reader.execute("select status from live.tool_calls").fetchall()


def test_live_views_forget_a_dropped_collection(shop: Shop) -> None:
    """What is older than the truncate marker is not shown, what came after it is."""
    shop.land(message(1, version=1), message(2, version=2))
    shop.build(1)
    shop.publish(1)
    assert [(2,)] == shop.ask("select count(*) from live.documents")

    shop.land(truncate_marker(10), message(2, version=11))

    assert [(f"{2:024x}",)] == shop.ask("select _id from live.documents")


def test_live_views_open_only_the_files_of_late(shop: Shop) -> None:
    """A landing zone of years costs no more to look at than one of days."""
    shop.land(message(1, version=1))
    today = next(iter(shop.lane.folder.glob("date=*")))
    old = today.with_name("date=2020-01-01")
    today.rename(old)
    shop.land(message(2, version=2))
    shop.build(1)
    shop.publish(1)
    assert [(1,)] == shop.ask("select count(*) from live.documents")
    plan = shop.ask("explain analyze select count(*) from live.messages")[0][1]
    assert "Scanning Files: 1/3" in plan


def test_live_views_are_there_before_anything_has_landed(shop: Shop) -> None:
    """The first publish of an installation brings them, empty; what lands then is seen at once."""
    shop.build(1)
    shop.publish(1)
    views = ("documents", "messages", "messages_per_minute", "tool_calls", "conversations")
    with duckdb.connect(shop.serving.database, read_only=True) as reader:
        assert [[]] * len(views) == [
            reader.execute(f"select * from live.{view}").fetchall() for view in views
        ]
        shop.land(message(1, version=1))
        assert [(1,)] == reader.execute("select count(*) from live.messages").fetchall()
    assert [("stream", 1)] == [(lane.name, len(lane.micro_batches())) for lane in shop.landing.lanes()]


def test_readers_see_how_the_platform_is_doing(shop: Shop) -> None:
    """Runs, checks and deliveries are published beside the marts; what was noted twice is there once."""
    landed_at = utc_now()
    shop.land(message(1, version=int(landed_at.timestamp() - 30) << 31), message(2, version=2 << 31))
    shop.warehouse.load(timeout_seconds=5)
    shop.build(1)
    with shop.warehouse.opened(timeout_seconds=5) as connection:
        note_runs(platform_runs(), connection)
        note_runs(platform_runs()[-20:], connection)
    shop.publish(1)

    assert [(len(platform_runs()),)] == shop.ask("select count(*) from ops.runs")
    assert [(1, 1)] == shop.ask(
        "select count(*) filter (outcome = 'failed'), count(*) filter (outcome = 'killed') "
        "from ops.runs where step = 'pipeline'"
    )
    # One run was killed before its validation.
    assert [("bronze", 59, 0), ("gold", 59, 2), ("silver", 59, 0)] == shop.ask(
        "select layer, count(*), sum(failed)::bigint from ops.checks group by all order by all"
    )
    assert [("silver.valid_timestamps", "warning", 59, "_id=1 written_at=1970-01-01")] == shop.ask(
        "select rule, severity, count(*), min(example) from ops.findings group by all"
    )
    assert [("stream", 1, 2, 0)] == shop.ask(
        "select lane, micro_batches, upserts, deletes from ops.deliveries"
    )
    # The oldest change of the file counts: it waited longest.
    assert [("landed", True), ("loaded", True)] == shop.ask(
        f"select stage, lag_ms between 0.9e3 * {landed_at.timestamp()} and 1.1e3 * {landed_at.timestamp()} "
        "from ops.delivery_lags order by all"
    )
    assert [("build-0001", 1)] == shop.ask("select build_id, micro_batches from ops.published_build")
    shop.publish(2)
    assert [("build-0002", 1)] == shop.ask("select build_id, micro_batches from ops.published_build")
