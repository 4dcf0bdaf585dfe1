"""The most memory that a process has taken, as Linux tells it."""

from pathlib import Path


def peak_bytes(process: int | str = "self") -> int:
    """Return a process's peak so far, in bytes of resident memory.

    `ru_maxrss` is not asked: it begins with what the parent had when it started the process.

    Args:
        process: Its id.

    Raises:
        ProcessLookupError: It has ended.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError as error:
        raise ProcessLookupError from error
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError
