"""`backfill` and `extract` as commands."""

from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from stream.settings import MongoSettings
from tests.support.backfilling import BackfillRunner
from tests.support.equality import assert_same
from tests.support.program import Program
from tests.support.streaming import StreamRunner

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


@pytest.fixture
def program(mongo: MongoSettings, tmp_path: Path) -> Program:
    settings = {"BACKFILL_RANGE_BYTES": "20000", "DUCKDB_THREADS": "1", "COLUMNS": "120"}
    return Program.on(mongo, tmp_path / "data", **settings)


@pytest.fixture
def runner(mongo: MongoSettings, tmp_path: Path) -> BackfillRunner:
    return BackfillRunner(mongo, tmp_path / "data")


def fill(collection: Documents, documents: int = 600) -> None:
    collection.insert_many(
        {
            "_id": n,
            "type": "user",
            "projectId": f"p{n % 2}",
            "timestamp": f"2026-01-{n % 9 + 1:02d}T00:00:00Z",
        }
        for n in range(documents)
    )


def test_dry_run_then_backfill(program: Program, runner: BackfillRunner, collection: Documents) -> None:
    """First what would be read, then the summary of what was."""
    fill(collection)

    shown = program.done("backfill", "--dry-run")
    assert "about 600" in shown
    assert not runner.folder.exists()

    shown = program.done("backfill", "--workers", "2")
    assert "Backfill finished" in shown
    assert "600 rows inserted or replaced" in shown
    assert 600 == assert_same(collection, runner.warehouse)


def test_filters_are_dates_and_a_project(
    program: Program, runner: BackfillRunner, collection: Documents
) -> None:
    """Days are those of UTC; the last one is left out."""
    fill(collection, 18)

    program.done(
        "backfill", "--since", "2026-01-02", "--until", "2026-01-04T00:00:00+00:00", "--project", "p1"
    )

    with runner.warehouse.opened(timeout_seconds=5) as connection:
        found = connection.execute("select _id from raw.conversations order by 1").fetchall()
    assert [("i:1",), ("i:11",)] == found


def test_a_wrong_date_is_said(program: Program) -> None:
    """With an example of a right one."""
    assert "2026-01-31" in program.done("backfill", "--since", "yesterday", code=2)


def test_extract_lands_only(program: Program, runner: BackfillRunner, collection: Documents) -> None:
    """First everything there is, then what changed since; `load` is the other half."""
    fill(collection)
    program.done("extract", "--full-backfill")
    collection.insert_one({"type": "user"})
    collection.delete_one({"_id": 5})

    shown = program.done("extract")

    assert "2 change events landed" in shown
    assert not runner.warehouse.path.exists()
    assert "600 documents" not in shown
    program.done("load")
    assert 600 == assert_same(collection, runner.warehouse)


def test_extract_leaves_a_running_worker_alone(program: Program, stream: StreamRunner) -> None:
    """The worker lands every change by itself."""
    with stream.lane.writing():
        assert "nothing to do" in program.done("extract")
