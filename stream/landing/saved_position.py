"""Where a lane stood when nothing arrived (`position.json`); of use while no newer file has landed."""

from typing import Any

from stream.core.position import Position
from stream.core.state import State
from stream.errors import MicroBatchCorruptError
from stream.landing.micro_batch import MicroBatch
from stream.storage.storage import Storage

_KEY = "position.json"


class SavedPosition(State):
    """What `position.json` holds.

    Attributes:
        behind: Id of the newest file when the position was taken, None if there was none.
        position: Where the source was then.
    """

    behind: str | None
    position: Position
    schema_version: int = 2

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Return the fields as this version writes them; the first had the position's among its own."""
        return {"behind": fields["behind"], "position": fields["position"] if version > 1 else fields}


def save_position(state: Storage, position: Position, *, behind: MicroBatch | None) -> None:
    """Make a position durable.

    Args:
        state: Of the lane.
        position: The new one.
        behind: The newest file when it was taken, None if there is none.
    """
    saved = SavedPosition(behind=behind.id if behind else None, position=position)
    state.put(_KEY, saved.to_json())


def create_position(state: Storage, position: Position) -> bool:
    """Make the first position of a lane durable; give whether there was none."""
    return state.create(_KEY, SavedPosition(behind=None, position=position).to_json())


def saved_position(state: Storage) -> SavedPosition | None:
    """Read the position that was saved last, None if none was.

    Raises:
        MicroBatchCorruptError: It cannot be read.
        SchemaTooNewError: A newer version of this program wrote it.
    """
    content = state.get(_KEY)
    where = f"`{state.url}/{_KEY}`"
    try:
        return None if content is None else SavedPosition.from_json(content, what=where)
    except ValueError as error:
        raise MicroBatchCorruptError(
            f"cannot read {where}: {error}",
            hint="move it away: the stream then goes on behind the newest micro-batch",
        ) from error
