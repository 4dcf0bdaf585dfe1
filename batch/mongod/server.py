"""One mongod for development and tests: started on a free port, stopped with its owner."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batch.mongod.process import end_leftover, is_mongod_on
from stream.disk import disk_errors
from stream.errors import MongodFailedError

LOOPBACK = "127.0.0.1"
_GUARD = Path(__file__).with_name("guard.py")
_NET_ERROR_EXIT_CODE = 48
_PORT_ATTEMPTS = 10
_POLL_SECONDS = 0.02
_GRACE_SECONDS = 20


@dataclass(frozen=True)
class MongodOptions:
    """How a mongod runs.

    Attributes:
        cache_size_gb: Cache of the storage engine, at least 0.25.
        oplog_size_mb: Size of the oplog when the data folder is new; later values change nothing.
        extra_arguments: More command-line arguments, such as `--keyFile` or `--tlsMode` with theirs.
        client_options: What `MongoClient` needs to administer a server with these arguments
            (`username`, `password`, `tlsCAFile` …).
        start_timeout_seconds: How long the start may take, recovery after a crash included.
    """

    cache_size_gb: float = 0.5
    oplog_size_mb: int = 1024
    extra_arguments: tuple[str, ...] = ()
    client_options: Mapping[str, Any] = field(default_factory=dict)
    start_timeout_seconds: float = 60


def free_port() -> int:
    """Return a loopback port that was free a moment ago; another program can still be faster."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


class Mongod:
    """One mongod process as member of a replica set; not thread-safe.

    It runs under a guard (`mongod_guard.py`) in a session of its own: Ctrl-C in a terminal does not
    reach it, and it is stopped cleanly within moments however its owner ends.

    Attributes:
        db_path: Folder of the data; owned by this object while it runs. The log lies beside it.
        port: Where it listens; None before the first start. Kept from start to start while it is free.
        pid: Process id; None unless started.
    """

    def __init__(
        self,
        db_path: Path,
        *,
        program: Path,
        replica_set: str,
        options: MongodOptions,
        port: int | None = None,
    ) -> None:
        self.db_path = db_path
        self.log_path = db_path.with_name(f"{db_path.name}.log")
        self.port = port
        self.pid: int | None = None
        self._program = program
        self._replica_set = replica_set
        self._options = options
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether the process is there; says nothing about its health."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """Start the process and wait until it listens; a port that is taken is replaced by another.

        Raises:
            MongodFailedError: It ends at once, or does not get ready in time.
            LandingNotWritableError: Its folder cannot be written.
            LandingFullError: There is no space for it.
        """
        for _ in range(_PORT_ATTEMPTS):
            self.port = self.port or free_port()
            exit_code = self._try_start()
            if exit_code is None:
                return
            if exit_code != _NET_ERROR_EXIT_CODE:
                raise self._failure(f"ended at once with exit code {exit_code}")
            self.port = None
        raise self._failure(f"found no free port in {_PORT_ATTEMPTS} attempts")

    def stop(self) -> None:
        """Stop it cleanly; killed after a grace time. Does nothing when it is not running."""
        guard, pid = self._guard, self.pid
        self._guard = self.pid = None
        if guard is None:
            return
        guard.communicate()  # closes the pipe, which is what the guard waits for
        if pid is not None:
            # Only if the guard was killed is there anything left to end.
            end_leftover(pid, self.db_path)

    def kill(self) -> None:
        """End it as a power cut would: kill -9, nothing flushed."""
        if self.pid is not None and is_mongod_on(self.pid, self.db_path):
            os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def _try_start(self) -> int | None:
        """Return None once it listens, its exit code if it ended before that."""
        with disk_errors(self.db_path):
            self.db_path.mkdir(parents=True, exist_ok=True)
            if self.log_path.exists():
                self.log_path.replace(self.log_path.with_suffix(".log.1"))
            log = self.log_path.open("ab")
        with log:
            self._guard = subprocess.Popen(  # noqa: S603 - our own script, the probed program
                [sys.executable, "-I", "-S", _GUARD, str(_GRACE_SECONDS), *self._command()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        said = self._guard.stdout.readline() if self._guard.stdout else b""
        self.pid = int(said) if said.strip() else None
        deadline = time.monotonic() + self._options.start_timeout_seconds
        while self._guard.poll() is None:
            # Asking the port would not do: another server may have taken it while ours is still failing.
            if "waiting for connections" in self._log_text().lower():
                return None
            if time.monotonic() > deadline:
                self.stop()
                raise self._failure(f"is not ready after {self._options.start_timeout_seconds:g} s")
            time.sleep(_POLL_SECONDS)
        exit_code = self._guard.returncode
        self.stop()
        return exit_code

    def _command(self) -> list[str]:
        return [
            str(self._program),
            *("--dbpath", str(self.db_path)),
            *("--replSet", self._replica_set),
            *("--bind_ip", LOOPBACK),
            *("--port", str(self.port)),
            *("--logpath", str(self.log_path), "--logappend", "--quiet"),
            *("--wiredTigerCacheSizeGB", f"{self._options.cache_size_gb:g}"),
            *("--oplogSize", str(self._options.oplog_size_mb)),
            "--nounixsocket",
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            # A primary would otherwise wait 15 s for secondaries that are being stopped as well.
            *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
            *self._options.extra_arguments,
        ]

    def _log_text(self) -> str:
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def _failure(self, what: str) -> MongodFailedError:
        lines = [line for line in self._log_text().splitlines() if line.strip()]
        # What is no JSON was said before the log was opened: about a wrong argument, a missing library.
        telling = [line for line in lines if line[0] != "{" or '"s":"E"' in line or '"s":"F"' in line]
        reason = (telling or lines or ["it wrote no log"])[0]
        return MongodFailedError(
            f"mongod on `{self.db_path}` {what}: {reason[:500]}",
            hint=f"see `{self.log_path}`; a damaged data folder can be moved away, the logs imported anew",
        )
