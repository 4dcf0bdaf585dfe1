"""`verify` as a user runs it."""

import json
from typing import Any

import duckdb
import pytest
from pymongo.collection import Collection
from typer.testing import CliRunner, Result

from batch.cli.app import app
from tests.support.streaming import StreamRunner

pytestmark = pytest.mark.integration


@pytest.fixture
def filled(
    stream: StreamRunner,
    collection: Collection[dict[str, Any]],
    clean_environment: object,
    monkeypatch: pytest.MonkeyPatch,
    mongo_uri: str,
) -> StreamRunner:
    monkeypatch.setenv("MONGO_URI", mongo_uri)
    monkeypatch.setenv("MONGO_DB", collection.database.name)
    monkeypatch.setenv("DATA_DIR", str(stream.folder))
    stream.take_position()
    collection.insert_many([{"_id": number, "type": "user"} for number in range(5)])
    stream.catch_up()
    return stream


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments])


def test_a_true_copy_ends_with_0(filled: StreamRunner) -> None:
    """The verdict is `same`, with figures, and there is no progress bar where there is no terminal."""
    result = run()
    assert (0, True) == (result.exit_code, result.stdout.endswith("verdict: same\n")), result
    assert "5 in 3 pieces" in result.stdout
    assert "Comparing" not in result.stdout


def test_a_difference_ends_with_2(filled: StreamRunner) -> None:
    """Each kind of difference is told with its `_id`s and what to do."""
    with duckdb.connect(filled.folder / "analytics.duckdb") as connection:
        connection.execute("delete from raw.conversations where _id in ('i:1', 'i:2')")
        connection.execute("update raw.conversations set type = 'x' where _id = 'i:3'")
    result = run("--limit", "1")
    assert 2 == result.exit_code
    for text in ("missing: `claude-analytics backfill`", "… and 1 more", "  i:3\n", "verdict: different"):
        assert text in result.stdout
    found = json.loads(run("--json").stdout)
    assert ("different", {"missing": 2, "different": 1}, ["i:3"]) == (
        found["verdict"],
        {kind: count for kind, count in found["counts"].items() if count},
        found["first"]["different"],
    )
