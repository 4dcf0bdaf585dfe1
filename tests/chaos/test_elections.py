"""Servers that step down, die, or cannot be reached: the worker stays, and goes on where it was."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pymongo import MongoClient, WriteConcern

from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import LOOPBACK
from stream.settings import MongoSettings
from stream.source import client as stream_mongo
from tests.chaos.conftest import Arena, Documents
from tests.chaos.network import Network
from tests.chaos.test_soak import MINUTES
from tests.support.equality import assert_same
from tests.support.streaming import StreamRunner, meanwhile, mongo_settings, wait_until

pytestmark = pytest.mark.chaos

OUTAGE_SECONDS = 60 if MINUTES else 2


def step_down(nodes: EmbeddedMongo) -> None:
    before = nodes.wait_for_primary()
    nodes.step_down(seconds=5)
    nodes.wait_for_primary(other_than=before)


def kill_primary(nodes: EmbeddedMongo) -> None:
    before = nodes.wait_for_primary()
    nodes.kill_node(before)
    nodes.wait_for_primary(other_than=before)
    nodes.restart_node(before)


def kill_everybody(nodes: EmbeddedMongo) -> None:
    for index in range(3):
        nodes.kill_node(index)
    time.sleep(OUTAGE_SECONDS)
    for index in range(3):
        nodes.restart_node(index)
    nodes.wait_for_primary()


@pytest.mark.fault(
    3, "the primary steps down; it is killed; all nodes are", "the worker stays; nothing lost or twice"
)
@pytest.mark.parametrize("harm", [step_down, kill_primary, kill_everybody])
def test_the_worker_outlives_its_servers(
    hardy_arena: Arena, three_nodes: EmbeddedMongo, tmp_path: Path, harm: Callable[[EmbeddedMongo], None]
) -> None:
    """One process from before to after, while people write as far as they can."""
    hardy_arena.stream.take_position()
    settings = {"STREAM_MAX_AGE_SECONDS": 0.3}

    def landed() -> int:
        return len(hardy_arena.stream.lane.micro_batches())

    with (
        hardy_arena.writer.writing(),
        hardy_arena.worker(output=tmp_path / "log", settings=settings) as process,
    ):
        wait_until(lambda: landed() > 0)
        harm(three_nodes)
        before = landed()
        wait_until(lambda: landed() > before + 1)
        assert process.poll() is None

    assert hardy_arena.assert_nothing_lost_nothing_twice() > 0
    assert "source_unavailable" in (tmp_path / "log").read_text()


@pytest.mark.fault(3, "a write that only one node has is rolled back", "it never becomes a row")
def test_what_is_rolled_back_never_arrives(
    hardy_arena: Arena, three_nodes: EmbeddedMongo, tmp_path: Path
) -> None:
    """The others do not take it over, then the only one that has it dies."""
    stream, collection = hardy_arena.stream, hardy_arena.collection
    stream.take_position()
    primary = three_nodes.wait_for_primary()
    others = [index for index in range(3) if index != primary]
    with hardy_arena.worker(output=tmp_path / "log") as process:
        collection.insert_one({"_id": "kept", "type": "user"})
        wait_until(lambda: len(stream.landed_rows()) == 1)
        for index in others:
            with MongoClient(three_nodes.node_uris[index]) as client:
                client.admin.command("fsync", lock=True)
        alone = collection.with_options(write_concern=WriteConcern(w=1))
        alone.insert_one({"_id": "rolled back", "type": "user"})
        assert 2 == alone.count_documents({})
        time.sleep(1)
        for index in (*others, primary):
            three_nodes.kill_node(index)
        for index in others:
            three_nodes.restart_node(index)
        three_nodes.wait_for_primary(other_than=primary)
        collection.insert_one({"_id": "afterwards", "type": "user"})
        three_nodes.restart_node(primary)
        wait_until(lambda: len(stream.landed_rows()) == 2)
        assert process.poll() is None

    assert ["s:kept", "s:afterwards"] == [row["_id"] for row in stream.landed_rows()]
    assert 2 == hardy_arena.assert_nothing_lost_nothing_twice()


@pytest.mark.fault(3, "the network is cut, or swallows everything", "the worker stays; nothing lost or twice")
@pytest.mark.parametrize("is_silent", [False, True], ids=["cut", "silent"])
def test_a_network_that_fails_is_waited_out(
    collection: Documents,
    mongo_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_silent: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Connections are refused, or stay open and say nothing any more."""
    monkeypatch.setattr(stream_mongo, "_SOCKET_TIMEOUT_MS", 2000)
    address = mongo_uri.removeprefix("mongodb://").split("/")[0]
    with Network(address) as network:
        through = f"mongodb://{LOOPBACK}:{network.port}/?directConnection=true"
        settings: MongoSettings = mongo_settings(collection, through)
        runner = StreamRunner(settings, tmp_path / "data")
        runner.take_position()
        collection.insert_many([{"_id": number, "type": "user"} for number in range(5)])

        def fail() -> None:
            wait_until(lambda: "micro_batch_landed" in runner.events_logged())
            network.fail(is_silent=is_silent)
            collection.insert_many([{"_id": number, "type": "user"} for number in range(5, 9)])
            wait_until(lambda: "source_unavailable" in runner.events_logged())
            network.mend()

        with meanwhile(fail):
            summary = runner.worker().run(until_idle_seconds=1.5)

    assert 9 == summary.events
    assert [row["_id"] for row in runner.landed_rows()] == [f"i:{number}" for number in range(9)]
    assert 9 == assert_same(collection, runner.warehouse)
