"""The landing zone: the log of the platform. A micro-batch exists once its file has its final name.

    landing/<lane>/date=<UTC day it closed>/<sequence>-<random>-<checksum>.parquet
    landing/<lane>/date=<the same>/<sequence>-<random>-<checksum>.merged.parquet     several of them as one
    landing/<lane>/position.json           where the lane stood when nothing arrived
    landing/<lane>/writer.lock             one writer a lane

Files are immutable. Their names order them within a lane; the random part makes a name unique for ever, so
that a warehouse never takes a new file for one it has loaded; the checksum is that of the whole file. Lanes:
`stream`, and one for each backfill.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from filelock import FileLock, Timeout

from stream.clock import Clock
from stream.core.position import Position
from stream.disk import TEMPORARY_SUFFIX, disk_errors, make_folder
from stream.errors import AlreadyRunningError
from stream.landing.footer import Footer
from stream.landing.landed_file import Failpoint, many_groups, no_failpoint, one_group, write_file
from stream.landing.merged import in_sight, replacements, to_metadata
from stream.landing.micro_batch import (
    MERGED_ENDING,
    NAME,
    PLAIN_ENDING,
    MicroBatch,
    check_content,
    read_footer,
)
from stream.landing.saved_position import save_position, saved_position
from stream.storage.local import LocalStorage
from stream.storage.storage import Storage

STREAM_LANE = "stream"
MERGING_SUFFIX = ".merging"
"""Not that of the writer's own half-written files, which the next writer clears away."""
_WRITER_TIMEOUT_SECONDS = 0.2
"""Long enough that somebody who only looks (`is_being_written`) is not taken for a writer."""

__all__ = ["MERGING_SUFFIX", "STREAM_LANE", "Failpoint", "LandingZone", "Lane", "no_failpoint"]


class Lane:
    """One ordered sequence of micro-batches, written by one process at a time."""

    def __init__(
        self, root: Path, name: str, *, clock: Clock, at_failpoint: Failpoint = no_failpoint
    ) -> None:
        self.name = name
        self.folder = root / name
        self._clock = clock
        self._at_failpoint = at_failpoint

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the lane's only writer, and clear away what a crashed one left half-written.

        Raises:
            AlreadyRunningError: Another process writes this lane.
            LandingNotWritableError: The folder cannot be made or written.
        """
        with disk_errors(self.folder):
            make_folder(self.folder)
            lock = FileLock(self.folder / "writer.lock", mode=0o600)
            try:
                lock.acquire(timeout=_WRITER_TIMEOUT_SECONDS, poll_interval=0.02)
            except Timeout:  # an OSError to `disk_errors`
                raise AlreadyRunningError(
                    f"another process already writes the lane `{self.name}` in `{self.folder}`",
                    hint="stop it first (one writer a lane keeps the order), or use another DATA_DIR",
                ) from None
        try:
            with disk_errors(self.folder):
                for left_over in self.folder.rglob(f".*{TEMPORARY_SUFFIX}"):
                    left_over.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    @property
    def is_being_written(self) -> bool:
        """Whether some process is the lane's writer just now."""
        if not (self.folder / "writer.lock").exists():
            return False
        lock = FileLock(self.folder / "writer.lock")
        try:
            with lock.acquire(timeout=0):
                return False
        except Timeout:
            return True

    def micro_batches(self) -> list[MicroBatch]:
        """List what has landed, oldest first; what a merged file replaces is left out.

        By names alone, unless a folder has merged files and others.

        Raises:
            MicroBatchCorruptError: Such a merged file cannot be read.
        """
        found = [each for folder in self._date_folders() for each in in_sight(self._files(folder))]
        return sorted(found, key=lambda micro_batch: (micro_batch.sequence, micro_batch.path.name))

    def replacements(self) -> list[tuple[MicroBatch, list[MicroBatch]]]:
        """Return each merged file with what is still there of the files it replaces.

        Raises:
            MicroBatchCorruptError: A merged file cannot be read.
        """
        return [each for folder in self._date_folders() for each in replacements(self._files(folder))]

    def _files(self, folder: Path) -> list[MicroBatch]:
        return [
            MicroBatch(path, self.name, int(name["sequence"]))
            for path in folder.iterdir()
            if (name := NAME.fullmatch(path.name))
        ]

    def numbers(self) -> set[int]:
        """Return the sequence numbers of what has landed."""
        return {each.sequence for each in self.micro_batches()}

    def newest(self) -> MicroBatch | None:
        """Return the micro-batch with the highest sequence."""
        return max(self.micro_batches(), key=lambda micro_batch: micro_batch.sequence, default=None)

    @property
    def state(self) -> Storage:
        """Keeps the small files beside the micro-batches."""
        return LocalStorage(self.folder)

    def newest_footer(self) -> Footer | None:
        """Read the footer of the newest micro-batch.

        Raises:
            MicroBatchCorruptError: It cannot be read.
        """
        newest = self.newest()
        return None if newest is None else read_footer(newest)

    def _date_folders(self) -> list[Path]:
        return sorted(self.folder.glob("date=*"))

    def new_name(self, sequence: int) -> MicroBatch:
        """Return the name of the next file; nothing is written."""
        folder = self.folder / f"date={self._clock().date().isoformat()}"
        return MicroBatch(folder / f"{sequence:012d}-{secrets.token_hex(4)}.parquet", self.name, sequence)

    def land(self, micro_batch: MicroBatch, table: pa.Table, footer: Footer) -> MicroBatch:
        """Write a micro-batch; when this returns it is durable, when it raises there is none.

        To land the same again under the same name, after an error, leaves one file.

        Args:
            micro_batch: From `new_name`.
            table: Columns of `LANDING_SCHEMA`.
            footer: Goes into the file.

        Returns:
            The same micro-batch, where it has landed.

        Raises:
            LandingFullError: No space; the half-written file is gone.
            LandingNotWritableError: The folder cannot be written.
        """
        return write_file(
            micro_batch, one_group(table, footer.to_metadata()), at_failpoint=self._at_failpoint
        )

    def land_groups(
        self, micro_batch: MicroBatch, tables: Iterable[pa.Table], footer: Callable[[], Footer]
    ) -> MicroBatch:
        """Write a micro-batch of any size in the memory of one row group; else like `land`.

        Args:
            micro_batch: From `new_name`.
            tables: Columns of `LANDING_SCHEMA`, a row group each; what taking one raises is passed on.
            footer: Called behind the last of them.
        """
        content = many_groups(tables, lambda: footer().to_metadata())
        return write_file(micro_batch, content, at_failpoint=self._at_failpoint)

    def land_merged(
        self, members: Sequence[MicroBatch], tables: Iterable[pa.Table], footer: Callable[[str], Footer]
    ) -> MicroBatch:
        """Write a file that replaces others; may go on beside the lane's writer, but only once at a time.

        Args:
            members: What it replaces, in order; all of one folder.
            tables: As for `land_groups`: the last change of each document in them.
            footer: Called behind the last of them, with the id of the new file.
        """
        last = members[-1]
        path = last.path.with_name(f"{last.sequence:012d}-{secrets.token_hex(4)}{PLAIN_ENDING}")
        merged = MicroBatch(path, self.name, last.sequence)
        replaced = to_metadata(member.id for member in members)
        content = many_groups(tables, lambda: footer(merged.id).to_metadata() | replaced)
        return write_file(
            merged,
            content,
            ending=MERGED_ENDING,
            temporary_suffix=MERGING_SUFFIX,
            at_failpoint=self._at_failpoint,
        )

    def position(self) -> Position | None:
        """Return where the lane stands: behind the newest file, or further if the source was idle since.

        Raises:
            MicroBatchCorruptError: The newest file or `position.json` cannot be read.
            SchemaTooNewError: A newer version of this program wrote it.
        """
        newest = self.newest()
        saved = saved_position(self.state)
        if saved is not None and (newest is None or saved.behind == newest.id):
            return saved.position
        if newest is None:
            return None
        # Not only when files have landed since: one may have been moved away, to be read again.
        check_content(newest)
        return read_footer(newest).position

    def begin(self, position: Position) -> Position:
        """Save the first position, and return it."""
        self.save_position(position, behind=self.newest())
        return position

    def close(self) -> Position | None:
        """Return where the lane stands; whoever calls is its writer, so nobody else lands here."""
        return self.position()

    def save_position(self, position: Position, *, behind: MicroBatch | None) -> None:
        """Carry the position on while nothing lands; `behind` is the newest file when it was taken."""
        save_position(self.state, position, behind=behind)
        self._at_failpoint("position_saved")


class LandingZone:
    """All lanes."""

    is_shared = False
    """Whether processes of several machines may write it."""

    def __init__(self, root: Path, *, clock: Clock) -> None:
        self.root = root
        self._clock = clock

    def lane(self, name: str, *, at_failpoint: Failpoint = no_failpoint) -> Lane:
        """Return one lane; it need not exist yet."""
        return Lane(self.root, name, clock=self._clock, at_failpoint=at_failpoint)

    @property
    def state(self) -> Storage:
        """Keeps the small files of all lanes."""
        return LocalStorage(self.root)

    def lanes(self) -> list[Lane]:
        """List the lanes that exist, by name."""
        if not self.root.is_dir():
            return []
        return [self.lane(folder.name) for folder in sorted(self.root.iterdir()) if folder.is_dir()]

    def landed_ids(self, among: Iterable[str]) -> set[str]:
        """Return which of these micro-batches have landed, by their ids."""
        return {each.id for each in self._named(among)}

    def footers(self, among: Iterable[str]) -> dict[str, Footer]:
        """Return the footers of those micro-batches that have landed, by their ids.

        Raises:
            MicroBatchCorruptError: One cannot be read.
        """
        return {each.id: read_footer(each) for each in self._named(among)}

    def _named(self, among: Iterable[str]) -> Iterator[MicroBatch]:
        ids = set(among)
        for name in {each.partition("/")[0] for each in ids}:
            yield from (each for each in self.lane(name).micro_batches() if each.id in ids)

    def micro_batches(self) -> list[MicroBatch]:
        """List what has landed in all lanes: by lane, oldest first in each."""
        # The stream's first: with a truncate marker in it, what the resnapshot read before is found as well.
        by_lane = [lane.micro_batches() for lane in reversed(self.lanes())]
        return [micro_batch for found in reversed(by_lane) for micro_batch in found]
