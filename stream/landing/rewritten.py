"""Which objects were written again under their own keys (`rewritten.json`), until the tables know them so."""

from collections.abc import Iterable, Sequence

from stream.core.state import State
from stream.errors import MicroBatchCorruptError
from stream.storage.storage import Storage

_KEY = "rewritten.json"


class Rewritten(State):
    """What `rewritten.json` holds.

    Attributes:
        names: `<lane>/<name without ending>` of each object.
    """

    names: Sequence[str]


def note_rewritten(state: Storage, names: Iterable[str]) -> None:
    """Note objects that are about to be written again, beside those noted before.

    Args:
        state: Of all lanes.
        names: As in `Rewritten`.
    """
    found = rewritten(state) | set(names)
    state.put(_KEY, Rewritten(names=sorted(found)).to_json())


def rewritten(state: Storage) -> frozenset[str]:
    """Return the names of objects that readers may know as they were before.

    Raises:
        MicroBatchCorruptError: The note cannot be read.
        SchemaTooNewError: A newer version of this program wrote it.
    """
    content = state.get(_KEY)
    where = f"`{state.url}/{_KEY}`"
    try:
        return frozenset(Rewritten.from_json(content, what=where).names if content is not None else ())
    except ValueError as error:
        raise MicroBatchCorruptError(
            f"cannot read {where}: {error}",
            hint="restore it from a version of the bucket; it says which objects `purge` wrote again",
        ) from error


def forget_rewritten(state: Storage) -> None:
    """Say that whoever read them knows them as they are."""
    state.delete(_KEY)
