"""The embedded MongoDB: a replica set of real mongods in a folder, owned by one process at a time."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from batch.mongod.process import end_leftover
from batch.mongod.program import find_mongod
from batch.mongod.server import LOOPBACK, Mongod, MongodOptions
from batch.mongod.state import REPLICA_SET, Member, read_members, running_uri, save_members, uri_of
from stream.disk import disk_errors
from stream.errors import AlreadyRunningError, MongodFailedError

_LOCK_FILE = "owner.lock"
_POLL_SECONDS = 0.02
_NOT_YET_INITIALIZED = 94
_UNAUTHORIZED = 13


class EmbeddedMongo:
    """A replica set of real mongods on loopback; a context manager, not thread-safe.

    The processes stop cleanly with their owner, also when it is killed. What survived a crash
    nevertheless is stopped by the next owner, recognised by its pid *and* its command line. Data, ports
    and logs stay in the folder; when a port is taken meanwhile, the set is told the new one.

    Attributes:
        folder: Holds `mongo.json` (who runs where), `owner.lock`, and `node-<i>/` with `node-<i>.log`.
        nodes: The mongods, in the order of `node_uris`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int = 1,
        options: MongodOptions | None = None,
        program: Path | None = None,
    ) -> None:
        """Prepare; starts and writes nothing.

        Args:
            folder: Where everything is kept; created if missing.
            size: Number of mongods; an election needs three.
            options: How each mongod runs.
            program: The mongod; found on this machine unless given.
        """
        self.folder = folder.resolve()
        self.nodes: list[Mongod] = []
        self._size = size
        self._options = options or MongodOptions()
        self._program = program
        self._lock = FileLock(self.folder / _LOCK_FILE, thread_local=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def uri(self) -> str:
        """Connection string of the whole set."""
        return uri_of([node.port for node in self.nodes])

    @property
    def node_uris(self) -> list[str]:
        """One connection string a node, to talk to that node whatever its state."""
        return [f"mongodb://{node.address}/?directConnection=true" for node in self.nodes]

    def start(self) -> None:
        """Start every node and wait until one of them takes writes.

        Raises:
            AlreadyRunningError: Another process owns the folder; the hint says where its set listens.
            MongodMissingError: There is no mongod on this machine.
            MongodFailedError: A mongod does not start, or no primary is elected in time.
            LandingNotWritableError: The folder cannot be written.
            LandingFullError: There is no space for it.
        """
        program = self._program or find_mongod()
        self._acquire()
        try:
            left_over = read_members(self.folder)
            for member in left_over:
                if member.pid is not None:
                    end_leftover(member.pid, Path(member.db_path))
            ports = {Path(member.db_path): member.port for member in left_over}
            paths = [self.folder / f"node-{index}" for index in range(self._size)]
            self.nodes = [
                Mongod(
                    path,
                    program=program,
                    replica_set=REPLICA_SET,
                    options=self._options,
                    port=ports.get(path),
                )
                for path in paths
            ]
            for node in self.nodes:
                node.start()
                self._save()
            self._configure()
            self.wait_for_primary()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every node, secondaries first, and release the folder; the data stays."""
        try:
            primary = self.primary_index() if len(self.nodes) > 1 else None
            for index, node in enumerate(self.nodes):
                if index != primary:
                    node.stop()
            if primary is not None:
                self.nodes[primary].stop()
            if self.nodes:
                self._save()
        finally:
            self._lock.release()

    def kill_node(self, index: int) -> None:
        """End one node as a power cut would."""
        self.nodes[index].kill()
        self._save()

    def restart_node(self, index: int) -> None:
        """Start one node that was stopped or killed; returns when it listens, perhaps not caught up yet."""
        if not self.nodes[index].is_running:
            self.nodes[index].stop()  # of a node that died by itself, the guard is still to be reaped
            port = self.nodes[index].port
            self.nodes[index].start()
            self._save()
            if self.nodes[index].port != port:
                self._configure()

    def step_down(self, *, seconds: int = 10) -> None:
        """Make the primary step down, not to be elected again for a while; returns at once.

        Of a single node nothing else can take over: it is primary again after these seconds.
        """
        with self._client(self.wait_for_primary()) as client, suppress(AutoReconnect):
            client.admin.command("replSetStepDown", seconds, secondaryCatchUpPeriodSecs=0, force=True)

    def primary_index(self) -> int | None:
        """Return which node takes writes at the moment, None if none does."""
        for index, node in enumerate(self.nodes):
            if node.is_running and self._hello(index).get("isWritablePrimary"):
                return index
        return None

    def wait_for_primary(self, *, other_than: int | None = None) -> int:
        """Wait until a node takes writes, and tell which.

        Args:
            other_than: A node that does not count: a new primary is awaited.

        Raises:
            MongodFailedError: None does within the start timeout.
        """
        found: list[int] = []

        def is_elected() -> bool:
            index = self.primary_index()
            if index is not None and index != other_than:
                found.append(index)
            return bool(found)

        self._wait(is_elected, "no primary was elected")
        return found[0]

    def _acquire(self) -> None:
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(blocking=False)
            except Timeout as error:
                uri = running_uri(self.folder)
                raise AlreadyRunningError(
                    f"an embedded MongoDB is already running on `{self.folder}`",
                    hint=f"use it with MONGO_URI={uri}"
                    if uri
                    else "it is just starting or stopping: try again",
                ) from error

    def _save(self) -> None:
        with disk_errors(self.folder):
            save_members(self.folder, [Member(str(node.db_path), node.port, node.pid) for node in self.nodes])

    def _configure(self) -> None:
        """Found the set, or tell it about ports that changed; returns when the first node knows all members.

        Tried until it holds: a node that starts with a configuration that names another port looks for
        itself for up to 30 s, and refuses both to tell and to take a configuration meanwhile.
        """
        hosts = [node.address for node in self.nodes]

        def is_configured() -> bool:
            known = self._hello(0).get("hosts", [])
            if sorted(known) != sorted(hosts):
                with suppress(OperationFailure, AutoReconnect):
                    self._propose(hosts)
            return sorted(known) == sorted(hosts)

        self._wait(is_configured, "the replica set could not be configured")

    def _propose(self, hosts: list[str]) -> None:
        members = [{"_id": index, "host": host, "priority": 1} for index, host in enumerate(hosts)]
        with self._client(0) as client:
            try:
                config = client.admin.command("replSetGetConfig")["config"]
            except OperationFailure as error:
                # Refused as well when access control is on and no user exists yet.
                if error.code not in {_NOT_YET_INITIALIZED, _UNAUTHORIZED}:
                    raise
                settings = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}
                founded = {"_id": REPLICA_SET, "members": members, "settings": settings}
                client.admin.command("replSetInitiate", founded)
            else:
                # By force: no majority can confirm the move away from hosts where nobody listens any more.
                moved = config | {"members": members, "version": config["version"] + 1}
                client.admin.command("replSetReconfig", moved, force=True)

    def _wait(self, is_done: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + self._options.start_timeout_seconds
        while not is_done():
            is_running = any(node.is_running for node in self.nodes)
            if not is_running or time.monotonic() > deadline:
                cause = (
                    f"{self._options.start_timeout_seconds:g} s have passed"
                    if is_running
                    else "no mongod runs"
                )
                raise MongodFailedError(
                    f"{otherwise} on `{self.folder}`: {cause}", hint=f"see `{self.folder}/node-*.log`"
                )
            time.sleep(_POLL_SECONDS)

    def _client(self, index: int) -> MongoClient[dict[str, Any]]:
        options: dict[str, Any] = {
            "directConnection": True,
            "serverSelectionTimeoutMS": 10_000,
            **self._options.client_options,
        }
        return MongoClient(LOOPBACK, self.nodes[index].port, **options)

    def _hello(self, index: int) -> dict[str, Any]:
        with self._client(index) as client:
            try:
                return client.admin.command("hello")
            except PyMongoError:
                return {}
