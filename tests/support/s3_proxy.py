"""A proxy before an S3 server that fails as networks and servers do: errors, lost answers, delays."""

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

Fault = Literal["none", "500", "503", "lost", "slow", "cut"]
"""What becomes of a request.

`500` and `503` are answered without the server, `lost` takes effect there while the answer never comes back,
`slow` takes a while, `cut` ends the connection before anything happens.
"""
Chooser = Callable[[str], Fault]
"""Chooses by the method of a request."""
Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers, content."""
_SLOW_SECONDS = 0.4
_DROPPED = {"connection", "expect", "keep-alive", "transfer-encoding"}


def always(fault: Fault) -> Chooser:
    """Return what chooses one fault each time."""
    return lambda _method: fault


def at_random(seed: int, share: float, *faults: Fault) -> Chooser:
    """Return what chooses one of some faults for a share of the requests."""
    chance, lock = random.Random(seed), threading.Lock()

    def choose(_method: str) -> Fault:
        with lock:
            return chance.choice(faults) if chance.random() < share else "none"

    return choose


class S3Proxy:
    """Hands requests on to a server, as a context; signatures hold, as hosts are left as they were.

    Args:
        endpoint: URL of the server.
        port: Its own, any that is free if 0.

    Attributes:
        endpoint: Its own URL; kept.
        counts: Requests by what became of them.
    """

    def __init__(self, endpoint: str, *, port: int = 0) -> None:
        parts = urlsplit(endpoint)
        self._server = (parts.hostname or "", parts.port or 80)
        self._choose: Chooser = always("none")
        self.counts: Counter[Fault] = Counter()
        self._http: ThreadingHTTPServer | None = None
        self._port = port
        self._listen()
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    @contextmanager
    def failing(self, choose: Chooser) -> Iterator[None]:
        """Fail so beside the block."""
        self._choose = choose
        try:
            yield
        finally:
            self._choose = always("none")

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Take no connection beside the block: who tries is refused."""
        self._hang_up()
        try:
            yield
        finally:
            self._listen()

    def _listen(self) -> None:
        handler = type("Handler", (Request,), {"proxy": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def _hang_up(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def answer(self, request: "Request") -> None:
        """Do with one request what is chosen for it."""
        body = request.body()
        # Connections that were there before it hung up are of no use either.
        fault: Fault = self._choose(request.command) if self._http else "cut"
        self.counts[fault] += 1
        if fault == "cut":
            return request.hang_up()
        if fault in {"500", "503"}:
            return request.reply(int(fault), [], b"<Error><Code>SlowDown</Code></Error>")
        if fault == "slow":
            time.sleep(_SLOW_SECONDS)
        status, headers, content = self._ask(request, body)
        return request.hang_up() if fault == "lost" else request.reply(status, headers, content)

    def _ask(self, request: "Request", body: bytes) -> Answer:
        connection = http.client.HTTPConnection(*self._server, timeout=60)
        try:
            connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in _DROPPED:
                    connection.putheader(name, value)
            if "Content-Length" not in request.headers and body:  # it came in chunks
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


class Request(BaseHTTPRequestHandler):
    """What is asked on one connection, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: ClassVar[S3Proxy]

    def body(self) -> bytes:
        """Read what is sent, of a size that is said before, or in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(chunks)

    def hang_up(self) -> None:
        """End the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def reply(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        """Answer."""
        self.send_response_only(status)
        given = {name.lower() for name, _ in headers}
        for name, value in headers:
            if name.lower() not in _DROPPED:
                self.send_header(name, value)
        if "content-length" not in given:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def __getattr__(self, name: str) -> Any:
        """Answer whatever is asked in the same way: a method of HTTP is a method here."""
        if name.startswith("do_"):
            return lambda: self.proxy.answer(self)
        raise AttributeError(name)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""
