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


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments], input=answer)


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
    for text in (
        "missing: a document without a row",
        "… and 1 more",
        "  i:3\n",
        "verdict: different",
    ):
        assert text in result.stdout
    found = json.loads(run("--json").stdout)
    assert ("different", {"missing": 2, "different": 1}, ["i:3"]) == (
        found["verdict"],
        {kind: count for kind, count in found["counts"].items() if count},
        found["first"]["different"],
    )


def damage(stream: StreamRunner) -> None:
    with duckdb.connect(stream.folder / "analytics.duckdb") as connection:
        connection.execute("delete from raw.conversations where _id = 'i:1'")
        connection.execute("update raw.conversations set _id = 'i:77' where _id = 'i:2'")
        connection.execute("update raw.conversations set type = 'x' where _id = 'i:3'")


def test_a_repair_asks_then_ends_with_0(filled: StreamRunner) -> None:
    """It shows what differs, writes once a person agrees, and proves it; refused, it writes nothing."""
    damage(filled)
    assert 1 == run("--repair", answer="n\n").exit_code
    assert 2 == run().exit_code
    result = run("--repair", answer="y\n")
    assert 0 == result.exit_code, result.output
    for text in (
        "Read these 4 documents again",
        "3 rows written, 1 removed",
        "looked at again: all the same",
    ):
        assert text in result.output
    assert 0 == run().exit_code


def test_a_repair_can_be_had_as_json(filled: StreamRunner) -> None:
    """With what differed, what was written and what is left."""
    damage(filled)
    result = run("--repair", "--yes", "--json")
    assert 0 == result.exit_code, result.output
    found = json.loads(result.stdout)
    assert ("different", 3, 1, 0) == (
        found["verdict"],
        found["repair"]["upserts"],
        found["repair"]["deletes"],
        sum(found["repair"]["left"].values()),
    )


def test_a_blocked_stream_ends_with_2(
    filled: StreamRunner, collection: Collection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pending will not arrive by itself: the cause and the way out are printed."""
    monkeypatch.setenv("STREAM_ON_DROP", "stop")
    collection.drop()
    collection.insert_one({"_id": 9, "type": "user"})
    result = run()
    assert 2 == result.exit_code
    for text in ("blocked: the collection", "--on-drop=delete", "verdict: blocked"):
        assert text in result.stdout
