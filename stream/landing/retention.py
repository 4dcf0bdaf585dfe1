"""The low-water mark of retention: the day before which landed files were removed (`low_water_mark.json`)."""

from datetime import date
from pathlib import Path

from stream.core.state import State
from stream.disk import disk_errors, write_durably
from stream.errors import LandingTrimmedError, MicroBatchCorruptError

_NAME = "low_water_mark.json"
_OLD_NAME = "trimmed.json"
"""Its name before schema version 3 of landed files; removed when the mark next rises."""


class LowWaterMark(State):
    """The note itself.

    Attributes:
        before: The day (UTC) before which files were removed.
    """

    before: date


def low_water_mark(landing: Path) -> date | None:
    """Return the day (UTC) before which files were removed, None if everything that landed is there.

    Raises:
        MicroBatchCorruptError: The note cannot be read.
    """
    path = next((each for name in (_NAME, _OLD_NAME) if (each := landing / name).exists()), None)
    if path is None:
        return None
    try:
        return LowWaterMark.from_json(path.read_bytes(), what=f"`{path}`").before
    except (OSError, ValueError) as error:
        raise MicroBatchCorruptError(
            f"cannot read `{path}`: {error}",
            hint="restore it from a backup; it says before which day landed files have been removed",
        ) from error


def raise_low_water_mark(landing: Path, *, before: date) -> None:
    """Record that files of earlier days are going to be removed; call it before the first one is.

    Raises:
        LandingFullError: No space.
        LandingNotWritableError: The folder cannot be written.
    """
    found = low_water_mark(landing)
    if found is None or found < before:
        path = landing / _NAME
        with disk_errors(path):
            write_durably(path, LowWaterMark(before=before).to_json())
            (landing / _OLD_NAME).unlink(missing_ok=True)


def require_whole(landing: Path) -> None:
    """Check that the landing zone has everything that ever landed.

    Raises:
        LandingTrimmedError: Old files have been removed.
    """
    before = low_water_mark(landing)
    if before is not None:
        raise LandingTrimmedError(
            f"cannot make the warehouse from `{landing}` alone: files that landed before {before} were "
            "removed (LANDING_RETENTION_DAYS)",
            hint="restore the DuckDB file from a backup; or run `claude-analytics load --full-refresh "
            "--incomplete`, which loads what is left, then `claude-analytics backfill`, which reads the rest "
            "from MongoDB, and `claude-analytics verify`",
        )
