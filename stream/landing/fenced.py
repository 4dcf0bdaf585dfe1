"""A lane of objects: no lock, but a fence; whoever writes the next number first is the writer.

    landing/<lane>/<sequence>.parquet           a micro-batch
    landing/<lane>/<first>-<last>.parquet       several of them as one
    state/<lane>/position.json                  where the lane stood when nothing arrived

An object is created on the condition that there is none. A second worker, or one that was taken for dead and
comes back, loses that race: it has written nothing, and ends. What it had read is in the winner's objects,
whose positions are behind it. The bucket is listed once, when a worker starts.
"""

import io
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stream.clock import Clock
from stream.core.position import Position
from stream.core.schema import NO_ROWS
from stream.errors import AlreadyRunningError, MicroBatchCorruptError
from stream.landing.footer import Footer, footer_of
from stream.landing.landed_file import Content, Failpoint, many_groups, no_failpoint, one_group
from stream.landing.micro_batch import MicroBatch
from stream.landing.saved_position import create_position, save_position, saved_position
from stream.storage.prefixed import Prefixed
from stream.storage.storage import Storage

_KEY = re.compile(r"landing/(?P<lane>[^/]+)/((?P<first>\d{12})-)?(?P<sequence>\d{12})\.parquet")
_TAIL_BYTES = 65_536
"""Of an object, to find its footer in; a longer one takes a second request."""
_TRAILER_BYTES = 8


@dataclass(frozen=True)
class LandedObject:
    """A micro-batch in a bucket, known by its key alone.

    Attributes:
        key: In the storage.
        lane: Whose it is.
        sequence: Its place in the lane, ascending; of a backfill, the number of its range; of a merged
            object, that of the last it replaces.
        size_bytes: Of the object.
        first: Of a merged object, the number of the first it replaces.
    """

    key: str
    lane: str
    sequence: int
    size_bytes: int
    first: int | None = None

    @property
    def name(self) -> str:
        """`<lane>/<number>`, of a merged one `<lane>/<first>-<last>`."""
        return self.key.removeprefix("landing/").removesuffix(".parquet")


class FencedLane:
    """One ordered sequence of micro-batches, of which each number is written once. For one thread."""

    def __init__(
        self, storage: Storage, name: str, *, clock: Clock, at_failpoint: Failpoint = no_failpoint
    ) -> None:
        self.name = name
        self._storage = storage
        self._state = Prefixed(storage, f"state/{name}")
        self._clock = clock
        self._at_failpoint = at_failpoint
        self._is_known = False
        self._newest: MicroBatch | None = None
        self._newest_footer: Footer | None = None

    @property
    def state(self) -> Storage:
        """Keeps the small objects of the lane."""
        return self._state

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Do nothing: another writer is found out by the fence."""
        yield

    def landed(self, after: int = -1) -> Iterator[LandedObject]:
        """List what has landed behind a sequence number, in order; one request for a thousand.

        What a merged object replaces is left out, if the merged one is behind the number, too.
        """
        replaced_until = -1
        for each in self._objects(_key(self.name, after) if after >= 0 else ""):
            if each.first is not None:  # listed before what it replaces: `-` sorts before `.`
                replaced_until = max(replaced_until, each.sequence)
                yield each
            elif each.sequence > replaced_until:
                yield each

    def objects(self) -> Iterator[LandedObject]:
        """List all objects that there are, in the order of keys."""
        return self._objects()

    def replacements(self) -> list[tuple[LandedObject, list[LandedObject]]]:
        """Return each merged object with what is still there of those it replaces."""
        found: list[tuple[LandedObject, list[LandedObject]]] = []
        for each in self._objects():
            if each.first is not None:
                found.append((each, []))
            elif found and each.sequence <= found[-1][0].sequence:
                found[-1][1].append(each)
        return [(merged, replaced) for merged, replaced in found if replaced]

    def merged(self, members: Sequence[LandedObject]) -> LandedObject:
        """Return the object that is to replace neighbours; nothing is written."""
        first, last = members[0].sequence, members[-1].sequence
        return LandedObject(_key(self.name, last, first=first), self.name, last, 0, first)

    def _objects(self, offset: str = "") -> Iterator[LandedObject]:
        for each in self._storage.list_after(f"landing/{self.name}", offset):
            if name := _KEY.fullmatch(each.key):
                first = int(name["first"]) if name["first"] else None
                yield LandedObject(each.key, self.name, int(name["sequence"]), each.size_bytes, first)

    def numbers(self) -> set[int]:
        """Return the sequence numbers of what has landed."""
        return {each.sequence for each in self.landed()}

    def newest(self) -> MicroBatch | None:
        """Return the micro-batch with the highest sequence; looked up once, then known."""
        self._look_up()
        return self._newest

    def newest_footer(self) -> Footer | None:
        """Return the footer of the newest micro-batch.

        Raises:
            MicroBatchCorruptError: It cannot be read.
        """
        self._look_up()
        return self._newest_footer

    def _look_up(self) -> None:
        if self._is_known:
            return
        seen: dict[int, LandedObject] = {}

        def first_after(sequence: int) -> int | None:
            found = next(self.landed(sequence), None)
            if found is not None:
                seen[found.sequence] = found
            return found.sequence if found else None

        last = last_sequence(first_after)
        if last is not None:
            self._newest_footer = read_object_footer(self._storage, seen[last])
            stem = self._newest_footer.micro_batch_id.partition("/")[2]
            self._newest = MicroBatch(Path(f"{stem}.parquet"), self.name, last)
        self._is_known = True

    def new_name(self, sequence: int) -> MicroBatch:
        """Return the name of the next micro-batch; the random part tells those of two rivals apart."""
        return MicroBatch(Path(f"{sequence:012d}-{secrets.token_hex(4)}.parquet"), self.name, sequence)

    def land(self, micro_batch: MicroBatch, table: pa.Table, footer: Footer) -> MicroBatch:
        """Write a micro-batch; when this returns it is durable.

        To land the same again under the same name, after an error, leaves one object.

        Raises:
            AlreadyRunningError: Another writer was faster; nothing was written.
            StorageUnavailableError: The store does not answer; the object may be there, or come to be.
            StorageRefusedError: It does not let us write.
        """
        self._land(micro_batch, one_group(table, footer.to_metadata()))
        self._newest, self._newest_footer = micro_batch, footer
        return micro_batch

    def land_groups(
        self, micro_batch: MicroBatch, tables: Iterable[pa.Table], footer: Callable[[], Footer]
    ) -> MicroBatch:
        """Write a micro-batch with a row group for each table; else like `land`, from any thread.

        Args:
            micro_batch: From `new_name`.
            tables: Columns of `LANDING_SCHEMA`; what taking one raises is passed on.
            footer: Called behind the last of them.
        """
        self._land(micro_batch, many_groups(tables, lambda: footer().to_metadata()))
        return micro_batch

    def _land(self, micro_batch: MicroBatch, content: Content) -> None:
        buffer = io.BytesIO()
        content(buffer)
        self._at_failpoint("file_written")
        key = _key(self.name, micro_batch.sequence)
        if not self._storage.create(key, buffer.getvalue()):
            raise AlreadyRunningError(
                f"another worker writes the lane `{self.name}`: it was faster to write "
                f"`{self._storage.url}/{key}`, and this one has written nothing",
                hint="see that one worker a lane runs; if the other one has ended, start this one again: it "
                "goes on behind what the other has landed",
            )
        self._at_failpoint("file_renamed")

    def position(self) -> Position | None:
        """Return where the lane stands: behind the newest object, or further if the source was idle since.

        Raises:
            MicroBatchCorruptError: The newest object or `position.json` cannot be read.
            SchemaTooNewError: A newer version of this program wrote it.
        """
        newest, footer, saved = self.newest(), self.newest_footer(), saved_position(self._state)
        if saved is not None and (newest is None or saved.behind == newest.id):
            return saved.position
        return footer.position if footer else None

    def begin(self, position: Position) -> Position:
        """Save the first position; if another process was faster, return that one's, which counts."""
        if self.newest() is not None:
            self.save_position(position, behind=self._newest)
            return position
        is_first = create_position(self._state, position)
        self._at_failpoint("position_saved")
        return position if is_first else self.position() or position

    def close(self) -> Position | None:
        """Take the next number with an object without rows, so that a worker that still runs loses its race.

        Returns:
            Where the lane stands for ever.

        Raises:
            AlreadyRunningError: A worker landed at the same moment; try again.
        """
        position = self.position()
        if position is not None:
            named = self.new_name(self._newest.sequence + 1 if self._newest else 0)
            self.land(
                named, NO_ROWS, footer_of(named.id, NO_ROWS, landed_at=self._clock(), position=position)
            )
        return position

    def save_position(self, position: Position, *, behind: MicroBatch | None) -> None:
        """Carry the position on while nothing lands.

        One that a rival saves does no harm: it counts only while the object that it is behind is the newest.
        """
        save_position(self._state, position, behind=behind)
        self._at_failpoint("position_saved")


class FencedZone:
    """All lanes of a storage."""

    is_shared = True
    """Whether processes of several machines may write it."""

    def __init__(self, storage: Storage, *, clock: Clock) -> None:
        self.storage = storage
        self._clock = clock

    def lane(self, name: str, *, at_failpoint: Failpoint = no_failpoint) -> FencedLane:
        """Return one lane; it need not exist yet."""
        return FencedLane(self.storage, name, clock=self._clock, at_failpoint=at_failpoint)

    @property
    def state(self) -> Storage:
        """Keeps the small objects of all lanes."""
        return Prefixed(self.storage, "state")

    def lanes(self) -> list[FencedLane]:
        """List the lanes that have something, by name."""
        return [self.lane(name) for name in self.storage.folders("landing")]

    def landed_ids(self, among: Iterable[str]) -> set[str]:
        """Return which of these micro-batches have landed, by their ids; a request or two for each."""
        return set(self.footers(among))

    def footers(self, among: Iterable[str]) -> dict[str, Footer]:
        """Return the footers of those micro-batches that have landed, by their ids."""
        found = ((each, self._footer(each)) for each in among)
        return {each: footer for each, footer in found if footer and footer.micro_batch_id == each}

    def _footer(self, micro_batch_id: str) -> Footer | None:
        lane, _, stem = micro_batch_id.partition("/")
        sequence = int(stem.partition("-")[0])
        found = next(self.lane(lane).landed(sequence - 1), None)
        if found is None or found.sequence != sequence:
            return None
        return read_object_footer(self.storage, found)


def _key(lane: str, sequence: int, *, first: int | None = None) -> str:
    since = "" if first is None else f"{first:012d}-"
    return f"landing/{lane}/{since}{sequence:012d}.parquet"


def last_sequence(first_after: Callable[[int], int | None]) -> int | None:
    """Find the highest number of an ascending sequence, in about twice log2 of its length questions. Pure.

    Args:
        first_after: Returns the lowest number above another, None if there is none.
    """
    low = first_after(-1)
    if low is None:
        return None
    step = 1
    while (found := first_after(low + step)) is not None:
        low, step = found, step * 2
    high = low + step
    while low < high:
        middle = (low + high) // 2
        found = first_after(middle)
        if found is None:
            high = middle
        else:
            low = found
    return low


def read_object_footer(storage: Storage, landed: LandedObject) -> Footer:
    """Read what a micro-batch says about itself, without its rows; one request, two if it says much.

    Raises:
        MicroBatchCorruptError: It is no micro-batch.
        SchemaTooNewError: A newer version of this program wrote it.
    """
    try:
        tail = _tail(storage, landed, _TAIL_BYTES)
        length = int.from_bytes(tail[-_TRAILER_BYTES:-4], "little") + _TRAILER_BYTES
        if length > len(tail):
            tail = _tail(storage, landed, length)
        metadata = pq.read_metadata(pa.BufferReader(tail)).metadata
        return Footer.from_metadata(metadata, what=f"micro-batch `{landed.key}`")
    except (pa.ArrowException, ValueError) as error:
        raise corrupt_object(storage, landed.key, error) from error


def corrupt_object(storage: Storage, key: str, problem: object) -> MicroBatchCorruptError:
    """Make the error for an object that cannot be read."""
    return MicroBatchCorruptError(
        f"micro-batch `{storage.url}/{key}` is corrupt: {problem}",
        hint="restore it from a version or a copy of the bucket, under the same key; never delete the "
        "newest one: its number would be given to another",
    )


def _tail(storage: Storage, landed: LandedObject, length: int) -> bytes:
    start = max(0, landed.size_bytes - length)
    found = storage.get_range(landed.key, start, landed.size_bytes - start)
    if not found:
        raise ValueError("it is not there, or empty")
    return found
