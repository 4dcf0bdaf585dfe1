"""Runs one mongod, and stops it when the process that wanted it is gone; a script, never imported.

    python -I -S mongod_guard.py <grace seconds> <mongod> <argument>…

Standard input is a pipe whose other end only the owner holds: the kernel closes it however the owner
ends, kill -9 included. (A parent-death signal would not do: Linux sends it when the *thread* that
started the child ends, and asking for it needs code between fork and exec.) The pid of the mongod is
the first line on standard output; the guard ends when the mongod does, with its exit code. Imports
the standard library only, so that it is up in a few milliseconds.
"""

import contextlib
import os
import subprocess
import sys
import threading


def _stop_without_owner(mongod: "subprocess.Popen[bytes]", grace_seconds: float) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    mongod.terminate()
    try:
        mongod.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        mongod.kill()


def main() -> None:
    """Run the mongod until it ends by itself or its owner is gone."""
    grace_seconds, *command = sys.argv[1:]
    mongod = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno())  # noqa: S603 - the program was found and probed by the owner
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), f"{mongod.pid}\n".encode())
    threading.Thread(target=_stop_without_owner, args=(mongod, float(grace_seconds)), daemon=True).start()
    exit_code = mongod.wait()
    # No interpreter shutdown: it would wait for the thread that sits in `read`.
    os._exit(exit_code if exit_code >= 0 else 128 - exit_code)


if __name__ == "__main__":
    main()
