"""Scripts that start at once: forked from a process that has imported what they need already.

These imports take a second of a processor, and the chaos tests start hundreds of scripts. The program itself
is started as users start it.
"""

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Self

from tests.support.paths import ROOT


class Forked:
    """A script that runs: as much of a `Popen` as tests need.

    Args:
        server: What has started it.
        pid: Its process.
        output: Where its output and its error output go.
    """

    def __init__(self, server: "ForkServer", pid: int, output: tuple[Path, Path]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._output = output

    def __enter__(self) -> Self:
        """Begin a block, behind which the script has ended."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for its end."""
        self.wait()

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `TimeoutExpired` after so many seconds."""
        began_at = time.monotonic()
        while (ended := self.poll()) is None:
            if timeout is not None and time.monotonic() - began_at > timeout:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return ended

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; return what it has said."""
        self.wait(timeout)
        output, errors = (path.read_text() for path in self._output)
        return output, errors

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that forks; it ends with whoever started it.

    Args:
        folder: For what scripts say.
        modules: What it imports.
    """

    def __init__(self, folder: Path, *modules: str) -> None:
        self._folder = folder
        self._started = 0
        self._asking = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *modules],
            cwd=ROOT,
            # A process with threads should not fork.
            env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, script: Path, *arguments: str, output: Path | None = None) -> Forked:
        """Start a script in the environment of now, with its output appended to a file, if one is given."""
        self._started += 1
        said = [self._folder / f"{self._started}.{name}" for name in ("out", "err")]
        paths = (output or said[0], output or said[1])
        for path in paths:
            path.touch()
        request = {"run": [str(script), *arguments], "output": [str(path) for path in paths]}
        return Forked(self, self.ask(request | {"environment": dict(os.environ)}), paths)

    def ask(self, request: dict[str, Any]) -> Any:
        """Return the answer of the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._asking:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


def _serve() -> None:
    """Fork whatever is asked for, and return in the fork; the process itself ends with its input."""
    for line in sys.stdin:
        request = json.loads(line)
        if "run" in request:
            answer: int | None = os.fork()
            if not answer:
                return _become(**request)
        else:
            pid, status = os.waitpid(request["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        print(json.dumps(answer), flush=True)  # noqa: T201 - the answer
    sys.exit()


def _become(run: list[str], output: list[str], environment: dict[str, str]) -> None:
    """Take input, output, arguments and environment of a script."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(output, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = run


def _run(script: str) -> int:
    """Run a script, and return its exit code."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself ends with any
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    for _name in sys.argv[1:]:
        importlib.import_module(_name)
    _serve()
    _exit_code = _run(sys.argv[0])
    sys.stdout.flush()
    # Arrow would look for threads that only the process had that has forked, and abort.
    os._exit(_exit_code)
