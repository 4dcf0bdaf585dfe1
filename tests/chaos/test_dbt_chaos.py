"""Builds that are killed: what is committed stands, and the next build makes it whole."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch import shipped
from tests.support.forking import ForkServer
from tests.support.marts import MartsWarehouse, documents_of
from tests.support.patience import patience

pytestmark = pytest.mark.chaos

SCRIPT = Path(__file__).with_name("dbt_killed_build.py")


@pytest.fixture
def scripts(tmp_path: Path) -> Iterator[ForkServer]:
    """Return what starts builds with dbt at hand."""
    server = ForkServer(tmp_path, "tests.chaos.dbt_killed_build", "dbt.cli.main", "dbt.adapters.duckdb")
    yield server
    server.close()


def killed_build(scripts: ForkServer, warehouse: MartsWarehouse, model: str) -> None:
    """Build in another process, which dies inside the model's transaction."""
    project = warehouse.project
    killed = scripts.start(SCRIPT, str(project.warehouse), str(project.data_dir), model)
    said = killed.communicate(patience(300))
    assert -signal.SIGKILL == killed.returncode, said


def test_a_killed_build_is_made_whole_by_the_next(
    tmp_path: Path, dbt_artifacts: Path, scripts: ForkServer
) -> None:
    """Killed in the first build and in later ones, in each kind of model: nothing is lost, nothing twice."""
    warehouse = MartsWarehouse(tmp_path, artifacts=dbt_artifacts)
    documents = documents_of(shipped.sample_logs())
    warehouse.change(documents[:600])
    killed_build(scripts, warehouse, "fct_messages")
    assert [(0,)] == warehouse.rows(
        "select count(*) from information_schema.tables where table_name = 'fct_messages'"
    )
    warehouse.build_unchecked()
    for start, model in ((600, "base_lines"), (800, "base_line_copies"), (1000, "dim_sessions")):
        before = warehouse.rows("select sequence from ops.model_builds where model = ?", [model])
        warehouse.change(documents[start : start + 200], deletes=[documents[start - 1]["_id"]])
        killed_build(scripts, warehouse, model)
        assert before == warehouse.rows("select sequence from ops.model_builds where model = ?", [model])
        warehouse.build_unchecked()
    assert warehouse.marts_of_full_refresh() == warehouse.marts()
    assert [(0,)] == warehouse.rows("select count(*) from ops.model_builds where whole_sequence = sequence")
