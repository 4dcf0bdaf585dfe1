"""Into how many lanes the stream is divided, and where they begin; a new choice is a new generation of lanes.

    partitions-<generation>.json     beside the state of the lane `stream`; created once, never changed

A generation begins where the slowest lane of the one before stood, after all of those were closed. What the
faster ones had landed behind that point lands once more, which changes no row: versions decide.
"""

from contextlib import ExitStack
from typing import Protocol

from stream.core.partition import WHOLE, Partition
from stream.core.position import Position
from stream.core.state import State
from stream.errors import MicroBatchCorruptError, SettingsError
from stream.landing.fenced import FencedZone
from stream.landing.lane_writer import LaneWriter
from stream.landing.zone import STREAM_LANE, LandingZone

_RESNAPSHOT = ("resnapshot.json", "rescan.json")


class Zone(Protocol):
    """A landing zone of either kind."""

    def lane(self, name: str) -> LaneWriter:
        """Return one lane."""


class Generation(State):
    """One choice of a number of partitions.

    Attributes:
        number: From 1.
        count: Of partitions.
        start: Where lanes begin that have no position of their own yet.
    """

    number: int
    count: int
    start: Position

    @property
    def partitions(self) -> list[Partition]:
        """All of them."""
        return [Partition(number, self.count, self.number) for number in range(self.count)]


def _key(number: int) -> str:
    return f"partitions-{number:06d}.json"


def current_generation(landing: Zone) -> Generation | None:
    """Return the newest generation; None while the stream has one lane that nobody has divided.

    Raises:
        MicroBatchCorruptError: It cannot be read.
        SchemaTooNewError: A newer version of this program wrote it.
    """
    state = landing.lane(STREAM_LANE).state
    found: bytes | None = None
    number = 1
    while (content := state.get(_key(number))) is not None:
        found, number = content, number + 1
    where = f"`{state.url}/{_key(number - 1)}`"
    try:
        return None if found is None else Generation.from_json(found, what=where)
    except ValueError as error:
        raise MicroBatchCorruptError(
            f"cannot read {where}: {error}",
            hint="restore it from a backup: it says where the lanes of the stream begin",
        ) from error


def current_partitions(landing: Zone) -> list[Partition]:
    """Return the partitions whose workers the stream has now."""
    return _partitions_of(current_generation(landing))


def _partitions_of(generation: Generation | None) -> list[Partition]:
    return generation.partitions if generation else [WHOLE]


def begin_generation(
    landing: Zone, count: int, start: Position, *, before: Generation | None = None
) -> Generation:
    """Make a choice durable. If somebody else made one meanwhile, that one is returned, and holds.

    Args:
        landing: Where it is kept.
        count: Of partitions.
        start: Where their lanes begin.
        before: The generation that the choice rests on; None if there was none.
    """
    number = before.number + 1 if before else 1
    chosen = Generation(number=number, count=count, start=start)
    if landing.lane(STREAM_LANE).state.create(_key(number), chosen.to_json()):
        return chosen
    return current_generation(landing) or chosen


def repartition(landing: Zone, count: int) -> Generation:
    """Close the lanes there are, and begin others where the slowest of them stood.

    Safe to repeat: a lane stays closed, and without a new generation the old one goes on with new objects.

    Raises:
        AlreadyRunningError: A worker still writes one of the lanes.
        SettingsError: A lane has no position yet, or reads the collection again just now.
    """
    generation = current_generation(landing)
    lanes = [landing.lane(each.lane) for each in _partitions_of(generation)]
    with ExitStack() as stack:
        for lane in lanes:
            stack.enter_context(lane.writing())
        positions = []
        for lane in lanes:
            if any(lane.state.get(key) is not None for key in _RESNAPSHOT):
                raise SettingsError(
                    f"cannot change the number of partitions: lane `{lane.name}` reads the collection again",
                    hint="let its worker finish that, then stop it and try again",
                )
            position = lane.close() or (generation.start if generation else None)
            if position is None:
                raise SettingsError(
                    "cannot change the number of partitions: the stream has no position yet",
                    hint="start `claude-analytics stream` with the number wanted: it begins with that",
                )
            positions.append(position)
        start = min(positions, key=lambda position: position.cluster_time)
        return begin_generation(landing, count, start, before=generation)


def oldest_position(landing: Zone) -> Position | None:
    """Return where the slowest of the stream's lanes stands, None if there is no position yet.

    Raises:
        MicroBatchCorruptError: One of them cannot be read.
        SchemaTooNewError: A newer version of this program wrote it.
    """
    generation = current_generation(landing)
    start = generation.start if generation else None
    lanes = [landing.lane(each.lane) for each in _partitions_of(generation)]
    positions = [position for lane in lanes if (position := lane.position() or start) is not None]
    return min(positions, key=lambda position: position.cluster_time, default=None)


class StreamLanes:
    """All lanes of the stream as if they were one: what holds for it holds for the slowest."""

    def __init__(self, landing: LandingZone | FencedZone) -> None:
        self._landing = landing

    @property
    def is_being_written(self) -> bool:
        """Whether some process writes one of them just now; never of a bucket, whose writers nobody knows."""
        if isinstance(self._landing, FencedZone):
            return False
        partitions = current_partitions(self._landing)
        return any(self._landing.lane(each.lane).is_being_written for each in partitions)

    def position(self) -> Position | None:
        """Return the oldest position; see `oldest_position`."""
        return oldest_position(self._landing)


def choose_partition(landing: Zone, number: int, count: int) -> tuple[Partition, Position | None] | None:
    """Return a worker's partition, and where it begins if its lane has no position yet.

    None if there are to be several and nothing has landed yet: then somebody must choose where.

    Raises:
        SettingsError: There is no such partition, or the stream has another number of them.
    """
    if not 0 <= number < count:
        raise SettingsError(
            f"there is no partition {number}: STREAM_PARTITIONS is {count}",
            hint=f"they are numbered from 0 to {count - 1}",
        )
    generation = current_generation(landing)
    if generation is None:
        if count == 1:
            return WHOLE, None
        if landing.lane(STREAM_LANE).newest() is None:
            return None
    elif generation.count == count:
        return Partition(number, count, generation.number), generation.start
    divided = generation.count if generation else 1
    raise SettingsError(
        f"STREAM_PARTITIONS is {count}, and the stream is divided into {divided}",
        hint="stop its workers, then run `claude-analytics stream --repartition`, which goes on where they "
        "stood; or set STREAM_PARTITIONS back",
    )
