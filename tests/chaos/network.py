"""A network between worker and server that can fail: a proxy on loopback."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from batch.mongod.server import LOOPBACK


class Network:
    """Passes bytes on to an address, until it is told to fail.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._address = (host, int(port))
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._is_cut = False
        self._passes = threading.Event()
        self._passes.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._passes.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up()

    def fail(self, *, is_silent: bool) -> None:
        """Hang up, now and whenever someone calls; or keep all connections, and swallow what comes."""
        if is_silent:
            self._passes.clear()
        else:
            self._is_cut = True
            self._hang_up()

    def mend(self) -> None:
        """Work again; what was swallowed does not come any more."""
        self._is_cut = False
        self._hang_up()
        self._passes.set()

    def _hang_up(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                if self._is_cut:
                    caller.close()
                    continue
                server = socket.create_connection(self._address)
                self._sockets += [caller, server]
                for one, other in ((caller, server), (server, caller)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError), one:
            while data := one.recv(65536):
                self._passes.wait()
                other.sendall(data)
            other.shutdown(socket.SHUT_RDWR)
