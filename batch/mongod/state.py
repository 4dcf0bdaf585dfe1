"""Which mongods belong to a folder: written by their owner, read by whoever wants to reach them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batch.mongod.process import is_mongod_on
from stream.core.state import State

REPLICA_SET = "claude_analytics"
_STATE_FILE = "mongo.json"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Member:
    """A mongod as the state file tells of it.

    Attributes:
        db_path: Folder of its data, absolute.
        port: Where it listens, or listened last.
        pid: Its process; None once it was stopped cleanly.
    """

    db_path: str
    port: int | None
    pid: int | None

    @property
    def is_running(self) -> bool:
        """Whether that very process is there and still is this mongod."""
        return self.pid is not None and is_mongod_on(self.pid, Path(self.db_path))


class MongodState(State):
    """What the state file holds.

    Attributes:
        uri: Connection string, for people.
        owner_pid: Process that started the members and ends them.
        members: All of them.
    """

    uri: str = ""
    owner_pid: int | None = None
    members: list[Member]


def read_members(folder: Path) -> list[Member]:
    """Read what the last owner of a folder wrote; empty if there was none or the file is damaged."""
    try:
        return MongodState.from_json((folder / _STATE_FILE).read_bytes(), what=_STATE_FILE).members
    except (OSError, ValueError):
        # Only a convenience is lost: the ports of last time.
        return []


def running_uri(folder: Path) -> str | None:
    """Return the connection string of the embedded MongoDB that runs on a folder, None without one."""
    members = read_members(folder)
    if members and any(member.is_running for member in members):
        return uri_of([member.port for member in members])
    return None


def uri_of(ports: Sequence[int | None]) -> str:
    """Return the connection string of the replica set with these ports."""
    hosts = ",".join(f"{_LOOPBACK}:{port}" for port in ports)
    return f"mongodb://{hosts}/?replicaSet={REPLICA_SET}"


def save_members(folder: Path, members: Sequence[Member]) -> None:
    """Write who runs where; whoever reads meanwhile sees the old state or the new one."""
    uri = uri_of([member.port for member in members])
    state = MongodState(uri=uri, owner_pid=os.getpid(), members=list(members))
    temporary = folder / f"{_STATE_FILE}.tmp"
    temporary.write_bytes(state.to_json(indent=2))
    temporary.replace(folder / _STATE_FILE)
