"""Finding the program, and telling a mongod of ours from any other process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batch.mongod.process import end_leftover, is_mongod_on
from batch.mongod.program import candidate_programs, find_mongod
from batch.mongod.state import Member, read_members, running_uri, uri_of
from stream.errors import MongodMissingError


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_first_program_that_runs_is_taken(tmp_path: Path) -> None:
    """A candidate that cannot run is passed over for the next."""
    broken = program(tmp_path, "broken", "exit 127")
    good = program(tmp_path, "good", "echo db version v7.0.0")

    assert find_mongod([tmp_path / "missing", broken, good]) == good.resolve()


def test_a_missing_system_library_is_named(tmp_path: Path) -> None:
    """What the loader said about a missing OpenSSL 3 reaches the reader, with the two ways out."""
    broken = program(
        tmp_path, "mongod", "echo 'mongod: libssl.so.3: cannot open shared object' >&2; exit 127"
    )

    with pytest.raises(MongodMissingError) as caught:
        find_mongod([broken])

    assert "libssl.so.3: cannot open shared object" in caught.value.message
    assert "install" in caught.value.hint
    assert "MONGO_URI" in caught.value.hint


def test_no_program_at_all_is_said(tmp_path: Path) -> None:
    """Without any candidate the message says that none is installed."""
    with pytest.raises(MongodMissingError, match="none is installed and none is on PATH"):
        find_mongod([])


def test_a_program_that_is_no_program_is_said(tmp_path: Path) -> None:
    """A file for another machine is refused with the system's reason."""
    path = tmp_path / "mongod"
    path.write_bytes(b"\x7fELF nothing")
    path.chmod(0o755)

    with pytest.raises(MongodMissingError, match="cannot be started: exec format error"):
        find_mongod([path])


def test_a_program_on_path_is_a_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mongod on PATH comes last."""
    on_path = program(tmp_path, "mongod", "true")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert list(candidate_programs())[-1] == on_path


def test_another_process_with_a_reused_pid_is_left_alone(tmp_path: Path) -> None:
    """A pid that belongs to another program now, or to a mongod elsewhere, is never stopped."""
    elsewhere = [sys.executable, "-c", "input()", "--dbpath", str(tmp_path / "elsewhere")]
    with subprocess.Popen(elsewhere, stdin=subprocess.PIPE) as other:
        end_leftover(other.pid, tmp_path / "node-0")
        is_alive = other.poll() is None
        other.communicate(b"\n")

    assert is_alive
    assert 0 == other.returncode


def test_a_pid_that_nobody_has_is_no_mongod(tmp_path: Path) -> None:
    """The process is gone: nothing to stop."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass

    assert not is_mongod_on(gone.pid, tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"members": [{"pid": 1}]}', b'{"members": 3}', b"\xff"],
    ids=["empty", "torn", "list", "fields missing", "no list", "not UTF-8"],
)
def test_a_damaged_state_file_is_no_obstacle(tmp_path: Path, content: bytes) -> None:
    """Who ran last is unknown then, which costs only the ports."""
    (tmp_path / "mongo.json").write_bytes(content)

    assert [] == read_members(tmp_path)


def test_a_stale_state_file_names_nothing_that_runs(tmp_path: Path) -> None:
    """The state of a crashed owner whose pid belongs to another program now is not believed."""
    (tmp_path / "mongo.json").write_text(
        f'{{"members": [{{"db_path": "{tmp_path}/node-0", "port": 27017, "pid": {os.getpid()}}}]}}'
    )

    assert [Member(f"{tmp_path}/node-0", 27017, os.getpid())] == read_members(tmp_path)
    assert running_uri(tmp_path) is None


def test_the_uri_names_every_member() -> None:
    """A client that knows all members survives the loss of any."""
    assert "mongodb://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/?replicaSet=claude_analytics" == uri_of([1, 2, 3])
