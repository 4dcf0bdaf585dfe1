"""How far back the landing zone reaches, once old files have been removed: `landing/trimmed.json`."""

import json
from datetime import date
from pathlib import Path

from stream.disk import disk_errors, write_durably
from stream.errors import LandingTrimmedError, MicroBatchCorruptError

_NAME = "trimmed.json"


def trimmed_before(landing: Path) -> date | None:
    """Give the day (UTC) before which files have been removed, None if all that ever landed is there.

    Raises:
        MicroBatchCorruptError: The note cannot be read.
    """
    path = landing / _NAME
    try:
        return date.fromisoformat(json.loads(path.read_bytes())["before"])
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise MicroBatchCorruptError(
            f"cannot read `{path}`: {error}",
            hint="restore it from a backup; it says before which day landed files have been removed",
        ) from error


def note_trimmed(landing: Path, *, before: date) -> None:
    """Write down that files of earlier days are going to be removed; to be called before the first one is.

    Raises:
        LandingFullError: No space.
        LandingNotWritableError: The folder cannot be written.
    """
    found = trimmed_before(landing)
    if found is None or found < before:
        path = landing / _NAME
        with disk_errors(path):
            write_durably(path, json.dumps({"before": before.isoformat()}).encode())


def require_whole(landing: Path) -> None:
    """Check that the landing zone has everything that ever landed.

    Raises:
        LandingTrimmedError: Old files have been removed.
    """
    before = trimmed_before(landing)
    if before is not None:
        raise LandingTrimmedError(
            f"cannot make the warehouse from `{landing}` alone: files that landed before {before} were "
            "removed (LANDING_RETENTION_DAYS)",
            hint="restore the DuckDB file from a backup; or run `claude-analytics load --full-refresh "
            "--incomplete`, which loads what is left, then `claude-analytics backfill`, which reads the rest "
            "from MongoDB, and `claude-analytics verify`",
        )
