"""The low-water mark of retention: the day before which landed files were removed (`low_water_mark.json`)."""

from datetime import date

from stream.core.state import State
from stream.errors import LandingTrimmedError, MicroBatchCorruptError
from stream.storage.storage import Storage

_KEY = "low_water_mark.json"
_OLD_KEY = "trimmed.json"
"""Its name before schema version 3 of landed files; removed when the mark next rises."""


class LowWaterMark(State):
    """The note itself.

    Attributes:
        before: The day (UTC) before which files were removed.
    """

    before: date


def low_water_mark(state: Storage) -> date | None:
    """Return the day (UTC) before which files were removed, None if everything that landed is there.

    Args:
        state: Of all lanes.

    Raises:
        MicroBatchCorruptError: The note cannot be read.
    """
    for key in (_KEY, _OLD_KEY):
        content, where = state.get(key), f"`{state.url}/{key}`"
        if content is None:
            continue
        try:
            return LowWaterMark.from_json(content, what=where).before
        except ValueError as error:
            raise MicroBatchCorruptError(
                f"cannot read {where}: {error}",
                hint="restore it from a backup; it says before which day landed files have been removed",
            ) from error
    return None


def raise_low_water_mark(state: Storage, *, before: date) -> None:
    """Record that files of earlier days are going to be removed; call it before the first one is.

    Args:
        state: Of all lanes.
        before: The day (UTC); one that is earlier than the mark changes nothing.

    Raises:
        LandingFullError: No space.
        LandingNotWritableError: The folder cannot be written.
        StorageUnavailableError: The object store does not answer.
        StorageRefusedError: It does not let us write.
    """
    found = low_water_mark(state)
    if found is None or found < before:
        state.put(_KEY, LowWaterMark(before=before).to_json())
        state.delete(_OLD_KEY)


def require_whole(state: Storage) -> None:
    """Check that the landing zone has everything that ever landed.

    Args:
        state: Of all lanes.

    Raises:
        LandingTrimmedError: Old files have been removed.
    """
    before = low_water_mark(state)
    if before is not None:
        raise LandingTrimmedError(
            f"cannot make the warehouse from `{state.url}` alone: files that landed before {before} were "
            "removed (LANDING_RETENTION_DAYS)",
            hint="restore the warehouse from a backup; or run `claude-analytics load --full-refresh "
            "--incomplete`, which loads what is left, then `claude-analytics backfill`, which reads the rest "
            "from MongoDB, and `claude-analytics verify`",
        )
