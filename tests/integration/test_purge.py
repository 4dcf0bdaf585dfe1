"""A purged conversation is nowhere, and everything else is as it was."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from pymongo.collection import Collection
from typer.testing import CliRunner, Result

from batch.cli.app import app
from batch.cli.commands.purge import make_purge
from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_pipeline
from batch.pipeline.runner import Options
from batch.purge.purge import Purged
from batch.purge.target import Target
from batch.runs.journal import new_run_id
from batch.shipped import sample_logs
from stream.clock import utc_now
from stream.core.normalise import DeadLetter
from stream.errors import AlreadyRunningError, PurgeIncompleteError, SettingsError
from stream.landing.micro_batch import MicroBatch
from stream.landing.zone import STREAM_LANE
from tests.support.landing import delete, upsert
from tests.support.maintaining import DAY, Yard, rows_of
from tests.support.marts import documents_of

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


def run_pipeline(context: Context, **options: Any) -> None:
    chosen = Options(**options)
    run_id = new_run_id(utc_now())
    cycle = make_cycle(context, run_id)
    with context.pipeline_lock.taken(timeout_seconds=5):
        summary = make_pipeline(context, run_id, cycle).run(chosen, cycle.works(chosen))
    assert summary.error is None, summary.line


def purge(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["purge", *arguments])


def holding(folder: Path, text: str) -> list[str]:
    """Name every file below a folder that holds a text: in a value, for files of values."""
    found = []
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            rows = pq.read_table(path, partitioning=None).to_pylist()
            content = json.dumps(rows, default=str).encode()
        elif path.suffix == ".duckdb":
            with duckdb.connect(path, read_only=True) as connection:
                tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
                rows = [
                    connection.execute(f'select * from "{schema}"."{table}"').fetchall()
                    for schema, table in tables
                ]
            content = repr(rows).encode()
        else:
            content = path.read_bytes() if path.is_file() else b""
        if text.encode() in content:
            found.append(path.relative_to(folder).as_posix())
    return found


def test_a_conversation_is_removed_everywhere(context: Context, collection: Documents) -> None:
    """MongoDB, landing zone, warehouse, builds, results and notes; the rest is as if it had never been."""
    documents = documents_of(sample_logs())
    gone = "31fc6f62-3f1a-4f15-afa0-682f7a9c8680"
    of_it = [each for each in documents if each.get("sessionId", gone) == gone and gone in each["sourceFile"]]
    collection.insert_many(documents)
    data = context.settings.data.data_dir
    failed = context.journal.begin("20260101T000000000000Z", "transform", "manual")
    context.journal.end(failed, outcome="failed", error=f"no model takes {gone}")
    run_pipeline(context, full_backfill=True)
    make_cycle(context, new_run_id(utc_now())).publish()
    (data / "report.html").write_text(gone)
    assert 2 == len(context.serving.builds())
    assert len(holding(data, gone)) > 4
    assert any("ops.runs" in name for name in holding(data, gone))

    result = purge("--session", gone, "--source", "--yes")

    assert 0 == result.exit_code, result.output
    assert f"in MongoDB: {len(of_it)} documents" in result.output
    assert "MongoDB still has it" not in result.output
    assert [] == holding(data, gone)
    assert 1 == len(context.serving.builds())
    assert collection.count_documents({}) == len(documents) - len(of_it)

    cycle = make_cycle(context, new_run_id(utc_now()))
    cycle.extract()
    cycle.load()
    rows = rows_of(context.warehouse)
    assert len(rows) == len(documents) - len(of_it)
    assert [] == holding(data, gone)
    marts = marts_of(context)
    context.warehouse.rebuild(timeout_seconds=5)
    assert rows == rows_of(context.warehouse)
    cycle.transform(full_refresh=True)
    assert marts == marts_of(context)


def marts_of(context: Context) -> dict[str, list[tuple[Any, ...]]]:
    with context.warehouse.opened(timeout_seconds=5) as connection:
        return {
            name: connection.execute(f"select * from marts.{name} order by all").fetchall()
            for name in ("dim_sessions", "fct_messages", "fct_api_calls", "agg_daily_cost")
        }


@pytest.fixture
def yard(context: Context) -> Yard:
    """Return the landing zone, with two conversations in files of every kind."""
    yard = Yard(context.settings.data.data_dir)
    yard.land(upsert(1, 10, sessionId="goes"), upsert(2, 11, sessionId="stays"))
    yard.land(upsert(1, 12, sessionId="goes"), delete(3, 13))
    yard.now += DAY
    yard.land(upsert(4, 14, sessionId="stays"), letters=[letter("goes"), letter("stays")])
    context.warehouse.load(timeout_seconds=5)
    yard.compaction.merge()
    return yard


def letter(session: str) -> DeadLetter:
    return DeadLetter("bad_message", "text", "s:x", json.dumps({"sessionId": session}))


def run(context: Context, kind: Any, name: str) -> Purged:
    return make_purge(context, new_run_id(utc_now()), on_step=lambda _step: None).run(Target(kind, name))


def test_landed_files_keep_their_place_and_their_names(context: Context, yard: Yard) -> None:
    """Merged ones and what they replace; nothing is loaded twice, and the stream goes on where it was."""
    ids = [each.id for each in yard.zone.micro_batches()]
    position = yard.zone.lane(STREAM_LANE).position()

    done = run(context, "session", "goes")

    assert 3 == done.removed["landing zone"]  # twice in small files, once in the merged one
    assert 1 == done.removed["dead letters"]
    assert {0} == set(done.left.values())
    assert [each.id for each in yard.zone.micro_batches()] == ids
    assert position == yard.zone.lane(STREAM_LANE).position()
    assert ['{"sessionId": "stays"}'] == [stored.letter.raw for stored in yard.letters.list(yard.zone)]
    assert 0 == context.warehouse.load(timeout_seconds=5).micro_batches
    rows = rows_of(context.warehouse)
    assert ["i:2", "i:4"] == [row[0] for row in rows]
    context.warehouse.rebuild(timeout_seconds=5)
    assert rows == rows_of(context.warehouse)


def test_a_project_goes_and_the_source_is_named(context: Context, yard: Yard, collection: Documents) -> None:
    """Without `--source` MongoDB is left alone, and it is said that it would come back."""
    collection.insert_one({"projectId": "p", "type": "user"})
    yard.land(upsert(8, 20, projectId="p"), upsert(9, 21, projectId="q"))
    context.warehouse.load(timeout_seconds=5)

    result = purge("--project", "p", "--yes")

    assert 0 == result.exit_code, result.output
    assert "in MongoDB: 1 documents" in result.output
    assert "MongoDB still has it" in result.output
    assert 1 == collection.count_documents({})
    assert ["i:1", "i:2", "i:4", "i:9"] == [row[0] for row in rows_of(context.warehouse)]
    assert "nothing of it is here" in purge("--project", "p", "--yes").output


def test_a_purge_that_was_killed_is_completed(
    context: Context, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a rewritten file and the removal of the old one: the same command goes on from there."""

    def killed(_files: list[MicroBatch]) -> None:
        raise KeyboardInterrupt

    before = yard.files()
    with monkeypatch.context() as patch:
        patch.setattr("batch.purge.landed.remove_files", killed)
        with pytest.raises(KeyboardInterrupt):
            run(context, "session", "goes")
    assert len(yard.files()) == len(before) + 1

    assert {0} == set(run(context, "session", "goes").left.values())
    assert before == yard.files()
    rows = rows_of(context.warehouse)
    context.warehouse.rebuild(timeout_seconds=5)
    assert rows == rows_of(context.warehouse)


def test_a_purge_waits_for_nobody_who_writes(context: Context, yard: Yard) -> None:
    """A running stream worker would hold what it has read: it is to be stopped first."""
    with yard.zone.lane(STREAM_LANE).writing(), pytest.raises(AlreadyRunningError, match="already writes"):
        run(context, "session", "goes")
    assert 3 == len(rows_of(context.warehouse))


def test_a_mention_is_told_and_stays(context: Context, yard: Yard) -> None:
    """Forks name where they come from; their own lines are theirs."""
    yard.land(upsert(9, 20, sessionId="fork", forkedFrom={"sessionId": "goes"}))
    context.warehouse.load(timeout_seconds=5)

    done = run(context, "session", "goes")

    assert 1 == done.mentions
    assert ["i:2", "i:4", "i:9"] == [row[0] for row in rows_of(context.warehouse)]


def test_what_is_left_is_said(context: Context, yard: Yard) -> None:
    """A file that this program does not know is searched, but not touched."""
    notes = yard.folder / "notes.txt"
    notes.write_text("about goes")

    result = purge("--session", "goes", "--yes")

    assert isinstance(result.exception, PurgeIncompleteError)
    assert "the session `goes` is not wholly gone: 1 in other files" == result.exception.message
    assert "about goes" == notes.read_text()


def test_notes_keep_what_they_need(context: Context, yard: Yard) -> None:
    """The id goes from what the journal tells, and from plans that have ended; a longer id is another one."""
    journal = context.journal
    step = journal.begin("run", "goes", "manual")
    journal.end(step, outcome="failed", error="about `goes`, not goes-on", details={"found": ["goes"]})
    ended = yard.zone.root / "backfill-1"
    ended.mkdir()
    (ended / "finished.json").write_text("{}")
    (ended / "plan.json").write_text('{"id": "goes", "filters": {"project": "goes", "since": null}}')

    done = make_purge(context, "run-2", on_step=lambda _step: None)
    assert 2 == sum(each.remove(Target("project", "goes")) for each in done.traces)

    told = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert ["goes", "goes"] == [each["step"] for each in told]
    assert "about `(purged)`, not goes-on" == told[-1]["error"]
    assert {"found": ["(purged)"]} == told[-1]["details"]
    assert {
        "id": "goes",
        "filters": {"project": "(purged)", "since": None},
    } == json.loads((ended / "plan.json").read_text())


def test_nothing_goes_without_a_yes(context: Context, yard: Yard) -> None:
    """The counts are shown, and the question is asked."""
    result = CliRunner().invoke(app, ["purge", "--session", "goes"], input="n\n")

    assert 1 == result.exit_code
    assert "3 in landing zone, 1 in dead letters, 2 in warehouse" in result.output
    assert 3 == len(rows_of(context.warehouse))
    assert 2 == len(yard.letters.list(yard.zone))


@pytest.mark.parametrize("arguments", [[], ["--session", "a", "--project", "b"]], ids=["none", "both"])
def test_one_thing_is_to_be_named(context: Context, arguments: list[str]) -> None:
    """Not everything by mistake."""
    result = purge(*arguments)

    assert isinstance(result.exception, SettingsError)
    assert "exactly one conversation or one project" in result.exception.message
