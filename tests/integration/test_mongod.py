"""The embedded MongoDB under crashes, taken ports, elections, access control."""

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from batch.mongod.process import is_mongod_on
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions, free_port
from batch.mongod.state import read_members, running_uri
from stream.errors import AlreadyRunningError, LandingNotWritableError, MongodFailedError
from tests.support.paths import ROOT
from tests.support.patience import patience

pytestmark = pytest.mark.integration

SMALL = MongodOptions(cache_size_gb=0.25, oplog_size_mb=64)
OWNER = """
import sys, time
from pathlib import Path
from batch.mongod.server import MongodOptions
from batch.mongod.replica_set import EmbeddedMongo
with EmbeddedMongo(Path(sys.argv[1]), options=MongodOptions(cache_size_gb=0.25, oplog_size_mb=64)) as mongo:
    try:
        print(mongo.uri, flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted, running:", mongo.nodes[0].is_running, flush=True)
"""


@contextmanager
def owner_of(folder: Path) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    root = str(ROOT)
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as owner:
        try:
            assert owner.stdout is not None
            yield owner, owner.stdout.readline().strip()
        finally:
            owner.kill()


def wait_until_gone(pid: int, db_path: Path, seconds: float = 15) -> bool:
    deadline = time.monotonic() + patience(seconds)
    while is_mongod_on(pid, db_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_mongod_on(pid, db_path)


@contextmanager
def squatter_on(port: int | None) -> Iterator[None]:
    """Take a port with a server that hangs up on everybody."""
    assert port is not None
    socketserver.TCPServer.allow_reuse_address = True
    with socketserver.TCPServer(("127.0.0.1", port), socketserver.BaseRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


def names_in(uri: str) -> list[str]:
    with MongoClient(uri) as client:
        return sorted(document["name"] for document in client.logs.lines.find())


def write(uri: str, name: str) -> None:
    with MongoClient(uri) as client:
        client.logs.lines.insert_one({"name": name})


def test_data_and_port_outlive_a_restart(tmp_path: Path) -> None:
    """A second start finds the documents of the first, at the same address."""
    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        first_uri = mongo.uri
        write(mongo.uri, "kept")

    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        assert first_uri == mongo.uri
        assert ["kept"] == names_in(mongo.uri)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """After the stop no process runs and the state file names none."""
    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        pid = mongo.nodes[0].pid
        assert pid is not None
        assert is_mongod_on(pid, mongo.nodes[0].db_path)
        assert running_uri(tmp_path) == mongo.uri

    assert not is_mongod_on(pid, mongo.nodes[0].db_path)
    assert running_uri(tmp_path) is None
    assert [None] == [member.pid for member in read_members(tmp_path)]


def test_a_taken_port_is_replaced_and_the_set_told(tmp_path: Path) -> None:
    """When another program has our port meanwhile, the set starts on a new one with all its data."""
    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        port = mongo.nodes[0].port
        assert port is not None
        write(mongo.uri, "kept")

    with (
        squatter_on(port),
        EmbeddedMongo(tmp_path, options=SMALL) as mongo,
    ):
        assert mongo.nodes[0].port != port
        write(mongo.uri, "new")
        assert ["kept", "new"] == names_in(mongo.uri)


def test_another_replica_set_on_our_port_is_not_mistaken_for_ours(
    tmp_path: Path, replica_set: EmbeddedMongo
) -> None:
    """A mongod of someone else that answers on the wanted port is neither used nor configured."""
    taken = replica_set.nodes[0].port
    member = {"db_path": str(tmp_path.resolve() / "node-0"), "port": taken, "pid": None}
    (tmp_path / "mongo.json").write_text(json.dumps({"members": [member]}))

    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        assert mongo.nodes[0].port != taken


def test_a_killed_owner_takes_its_mongod_along(tmp_path: Path) -> None:
    """After kill -9 of the owner its mongod stops cleanly by itself, and nothing is lost."""
    with owner_of(tmp_path) as (owner, uri):
        write(uri, "before the crash")
        [member] = read_members(tmp_path)
        assert member.pid is not None
        owner.kill()
        owner.wait()
        assert wait_until_gone(member.pid, Path(member.db_path))

    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        assert ["before the crash"] == names_in(mongo.uri)


def test_a_left_over_mongod_is_stopped_by_the_next_owner(tmp_path: Path) -> None:
    """Owner and guard both killed: the next owner recognises the mongod, stops it and starts anew."""
    with owner_of(tmp_path) as (owner, uri):
        write(uri, "before the crash")
        [member] = read_members(tmp_path)
        assert member.pid is not None
        guard_pid = int(Path(f"/proc/{member.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(guard_pid, signal.SIGKILL)
        owner.kill()
        owner.wait()
        assert is_mongod_on(member.pid, Path(member.db_path))

    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        assert ["before the crash"] == names_in(mongo.uri)
        assert mongo.nodes[0].pid != member.pid


def test_a_mongod_whose_guard_was_killed_still_stops_with_its_owner(tmp_path: Path) -> None:
    """The owner ends the mongod itself when the guard is gone."""
    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        pid = mongo.nodes[0].pid
        assert pid is not None
        os.kill(int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]), signal.SIGKILL)

    assert not is_mongod_on(pid, mongo.nodes[0].db_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_to_the_owner_stops_the_mongod(tmp_path: Path, number: signal.Signals) -> None:
    """Either signal to the owner's whole process group ends in no process left."""
    with owner_of(tmp_path) as (owner, _):
        [member] = read_members(tmp_path)
        assert member.pid is not None
        os.killpg(owner.pid, number)
        owner.wait(patience())
        assert wait_until_gone(member.pid, Path(member.db_path))


def test_ctrl_c_leaves_the_mongod_to_its_owner(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole process group but not the mongod: its owner can still flush into it."""
    with owner_of(tmp_path) as (owner, _):
        os.killpg(owner.pid, signal.SIGINT)
        said, _ = owner.communicate(timeout=patience())

    assert "interrupted, running: True\n" == said
    assert 0 == owner.returncode


def test_a_killed_mongod_starts_again_with_its_data(tmp_path: Path) -> None:
    """A kill -9 of the mongod leaves a stale lock file; acknowledged writes are there after the restart."""
    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        write(mongo.uri, "acknowledged")
        mongo.kill_node(0)
        assert (mongo.nodes[0].db_path / "mongod.lock").stat().st_size > 0
        assert mongo.primary_index() is None
        mongo.restart_node(0)
        mongo.wait_for_primary()
        assert ["acknowledged"] == names_in(mongo.uri)


def test_a_second_owner_is_refused_with_the_address(tmp_path: Path) -> None:
    """Who starts a second set on the same folder is told where the first one listens."""
    with EmbeddedMongo(tmp_path, options=SMALL) as first:
        with pytest.raises(AlreadyRunningError) as caught:
            EmbeddedMongo(tmp_path, options=SMALL).start()
        assert f"use it with MONGO_URI={first.uri}" == caught.value.hint
        assert first.nodes[0].is_running


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file where the folder should be is an error of one line with a hint."""
    (tmp_path / "file").write_text("")

    with pytest.raises(LandingNotWritableError, match=r"cannot write `.*/file/mongo`: Not a dir") as caught:
        EmbeddedMongo(tmp_path / "file" / "mongo", options=SMALL).start()
    assert "DATA_DIR" in caught.value.hint


def test_a_set_without_any_mongod_has_no_primary(tmp_path: Path) -> None:
    """When every node is gone, the wait for a primary ends at once."""
    with EmbeddedMongo(tmp_path, options=SMALL) as mongo:
        mongo.kill_node(0)
        with pytest.raises(MongodFailedError, match=r"no primary was elected on `.*`: no mongod runs"):
            mongo.wait_for_primary()


def test_a_wrong_argument_is_said_with_what_the_mongod_said(tmp_path: Path) -> None:
    """The reason from the mongod's own output is in the message, and the folder is free again."""
    wrong = MongodOptions(extra_arguments=("--no-such-option",))

    for _ in range(2):
        with pytest.raises(MongodFailedError, match="unrecognised option '--no-such-option'"):
            EmbeddedMongo(tmp_path, options=wrong).start()


def test_three_nodes_elect_another_primary(tmp_path: Path) -> None:
    """A step-down and a kill -9 of the primary each lead to a new primary; the node can come back."""
    with EmbeddedMongo(tmp_path, size=3, options=SMALL) as mongo:
        first = mongo.wait_for_primary()
        write(mongo.uri, "to the first")
        mongo.step_down()
        second = mongo.wait_for_primary(other_than=first)
        mongo.kill_node(second)
        third = mongo.wait_for_primary(other_than=second)
        write(mongo.uri, "to the third")
        mongo.restart_node(second)

        assert 3 == len(mongo.node_uris)
        assert second != third
        assert ["to the first", "to the third"] == names_in(mongo.uri)


@pytest.mark.parametrize("taken", [0, 1], ids=["first node", "second node"])
def test_three_nodes_survive_a_taken_port(tmp_path: Path, taken: int) -> None:
    """All three members learn of a port that changed between two starts."""
    with EmbeddedMongo(tmp_path, size=3, options=SMALL) as mongo:
        write(mongo.uri, "kept")
        ports = [node.port for node in mongo.nodes]

    with (
        squatter_on(ports[taken]),
        EmbeddedMongo(tmp_path, size=3, options=SMALL) as mongo,
    ):
        changed = [index for index, node in enumerate(mongo.nodes) if node.port != ports[index]]
        assert [taken] == changed
        assert ["kept"] == names_in(mongo.uri)


def test_access_control_can_be_turned_on(tmp_path: Path) -> None:
    """With a key file the set starts, a first user can be made, and a stranger is refused."""
    password = uuid.uuid4().hex
    key_file = tmp_path / "key"
    key_file.write_text("c2VjcmV0IG9mIGEgdGVzdA==")
    key_file.chmod(0o600)
    arguments = ("--auth", "--keyFile", str(key_file))
    folder = tmp_path / "mongo"

    with EmbeddedMongo(folder, options=MongodOptions(cache_size_gb=0.25, extra_arguments=arguments)) as mongo:
        with MongoClient(mongo.uri) as client:
            client.admin.command("createUser", "admin", pwd=password, roles=["root"])
        with (
            MongoClient(mongo.uri) as stranger,
            pytest.raises(OperationFailure, match="requires authentication"),
        ):
            stranger.logs.lines.insert_one({})

    known = MongodOptions(
        cache_size_gb=0.25,
        extra_arguments=arguments,
        client_options={"username": "admin", "password": password},
    )
    with EmbeddedMongo(folder, options=known) as mongo:
        port = mongo.nodes[0].port
    assert port is not None
    with (
        squatter_on(port),
        EmbeddedMongo(folder, options=known) as mongo,
        MongoClient(mongo.uri, username="admin", password=password) as client,
    ):
        assert mongo.nodes[0].port != port
        assert 1 == client.admin.command("ping")["ok"]


def test_a_free_port_can_be_bound() -> None:
    """The port that is proposed is free at that moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))
