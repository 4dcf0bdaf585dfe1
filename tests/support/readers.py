"""Readers of published marts, as processes of their own."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.patience import patience


@contextmanager
def reading(script: Path, arguments: Sequence[Sequence[object]]) -> Iterator[list[dict[str, Any]]]:
    """Run a reader for each list of arguments beside the block; the list has what they saw afterwards."""
    processes = [
        subprocess.Popen(
            [sys.executable, script, *map(str, each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for each in arguments
    ]
    told: list[dict[str, Any]] = []
    try:
        yield told
        told += [json.loads(process.communicate(timeout=patience())[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def end_of_input() -> threading.Event:
    """Return what is set when standard input closes: in such a process, when the block has ended."""
    stop = threading.Event()

    def wait() -> None:
        while os.read(0, 1024):
            pass
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    return stop
