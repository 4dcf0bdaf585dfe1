"""`dead-letters` as a user runs it, and what `verify` says afterwards."""

import json
from typing import Any

import pytest
from pymongo.collection import Collection
from typer.testing import CliRunner, Result

from batch.cli.app import app
from tests.support.streaming import StreamRunner

pytestmark = pytest.mark.integration


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def rejected(
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
    collection.insert_many([{"_id": 1, "text": "[odd]"}, {"_id": 2, "type": "user"}])
    stream.catch_up()
    return stream


def test_letters_are_listed_and_shown(rejected: StreamRunner) -> None:
    """`list` says why, `show` gives the whole document, an unknown id is refused."""
    listed = run("dead-letters", "list")
    assert ("missing_type: the document has no `type`" in listed.stdout, 0) == (True, listed.exit_code)
    (line,) = json.loads(run("dead-letters", "list", "--json").stdout)
    assert ("i:1", "missing_type") == (line["_id"], line["reason"])
    shown = run("dead-letters", "show", line["id"])
    assert (True, 0) == ('"text": "[odd]"' in shown.stdout, shown.exit_code), shown.stdout
    assert 2 == run("dead-letters", "show", "stream/nothing#0").exit_code


def test_replay_empties_the_queue(rejected: StreamRunner) -> None:
    """What stays rejected ends with 2; taken as it is, it is loaded, and `verify` knows it."""
    assert 2 == run("dead-letters", "replay").exit_code
    done = run("dead-letters", "replay", "--as-is")
    assert ("1 replayed, 0 still rejected\n", 0) == (done.stdout, done.exit_code)
    assert "0 dead letters" in run("dead-letters", "list").stdout
    found = json.loads(run("verify", "--json").stdout)
    assert ("same", 2, 1) == (found["verdict"], found["rows"], found["counts"]["dead_letter"])


def test_a_discarded_letter_leaves_the_queue(rejected: StreamRunner) -> None:
    """Nobody is asked about it any more, and `verify` still knows why there is no row."""
    assert "verdict: same, but for 1 rejected documents" in run("verify").stdout
    assert (0, "1 discarded\n") == ((done := run("dead-letters", "discard", "all")).exit_code, done.stdout)
    assert "0 dead letters" in run("dead-letters", "list").stdout
    assert 0 == run("dead-letters", "replay").exit_code
    found = json.loads(run("verify", "--json").stdout)
    assert ("same", 1) == (found["verdict"], found["counts"]["dead_letter"])
