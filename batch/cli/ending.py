"""How the process ends while threads of it are inside native code."""

import atexit
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def ending_beside_threads() -> Iterator[None]:
    """Let the process end with the exit code of this block, whatever its other threads do then.

    While Python shuts down, a daemon thread that comes back from native code is ended by `pthread_exit`. C++
    that must not be unwound answers with `terminate`: SIGABRT, behind all the work and in place of the exit
    code. Python 3.14 lets such threads sleep; before, the process has to leave them behind.

    To be entered once, before whatever registers with `atexit`: what does is called first.
    """
    exit_code: int | None = 1

    def leave() -> None:
        if exit_code is not None and threading.active_count() > 1:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(exit_code)

    atexit.register(leave)
    try:
        yield
        exit_code = 0
    except SystemExit as ending:
        # A text, which Python prints, makes it 1.
        exit_code = ending.code if isinstance(ending.code, int) else 0 if ending.code is None else None
        raise
