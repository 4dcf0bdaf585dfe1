"""What has landed as files that Iceberg can register: those of a folder, or the objects of a bucket."""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch.lake.clouds import table_url
from batch.verify.pending import Pending, PendingFiles
from stream.errors import MicroBatchCorruptError, SettingsError
from stream.landing.fenced import FencedZone, LandedObject, read_object_footer
from stream.landing.footer import Footer
from stream.landing.landed_file import Failpoint, remove_files
from stream.landing.merged import replaced_by
from stream.landing.micro_batch import MicroBatch, check_content, read_footer
from stream.landing.rewritten import forget_rewritten, rewritten
from stream.landing.zone import LandingZone
from stream.storage.storage import Storage

_NAME = re.compile(r"([^/]+)/(?:date=[^/]+/)?(\d{12}(?:-\d{12}|-[0-9a-f]{8})?)[^/]*$")
"""Lane and stem in the URL of a landed file."""
LANE_OF_FILE = r"regexp_extract(file, '([^/]+)/(date=[^/]+/)?[^/]*$', 1)"
STEM_OF_FILE = r"regexp_extract(file, '(\\d{12}(-\\d{12}|-[0-9a-f]{8})?)[^/]*$', 1)"
"""The same in Spark's words."""
ALL: Mapping[str, int] = MappingProxyType({})
"""Lanes from their beginning."""
_REQUESTS = 8
"""Side by side."""
_CHUNK = 256
"""Footers that are in memory at a time."""


@dataclass(frozen=True)
class LandedFile:
    """A micro-batch, known by its name.

    Attributes:
        id: `<lane>/<stem>`: in a folder the id of the micro-batch; in a bucket lane and number, which is
            given only once there, or the first and the last number of what a merged object replaces.
        lane: Whose it is.
        sequence: Its place in the lane.
        url: As Spark and PyIceberg write it.
        size_bytes: Of an object; None of a file, whose name has a checksum.
    """

    id: str
    lane: str
    sequence: int
    url: str
    size_bytes: int | None = None


class Landed(Protocol):
    """All that has landed, of either kind.

    Attributes:
        is_numbered_once: Whether a number of a lane is given once for all; else names tell files apart.
    """

    is_numbered_once: bool

    @property
    def state(self) -> Storage:
        """Keeps the small files of all lanes."""

    def files(self, known_to: Mapping[str, int] = ALL) -> list[LandedFile]:
        """List it: by lane, oldest first in each.

        Args:
            known_to: The number from which on lanes are listed, by their names.
        """

    def replaced_by(self, file: LandedFile) -> frozenset[str]:
        """Return the ids of what a merged file replaces; none for any other."""

    def rewritten(self) -> frozenset[str]:
        """Return the ids of objects that were written again under their URLs since they were registered."""

    def forget_rewritten(self) -> None:
        """Say that those are registered as they are."""

    def check(self, files: Sequence[LandedFile]) -> None:
        """Look whether files can be loaded.

        Raises:
            MicroBatchCorruptError: One is damaged.
            SettingsError: One was landed by a version of this program whose keys are written otherwise.
        """

    def footers(self, files: Sequence[LandedFile]) -> Iterator[Footer]:
        """Return what files say about themselves, in their order."""

    def pending(self, files: Sequence[LandedFile]) -> Pending:
        """Return files that are not loaded yet, as a verification asks them."""

    def remove(self, files: Sequence[LandedFile], at_failpoint: Failpoint) -> None:
        """Remove files for good; `at_failpoint` is called with `file_removed` behind each."""


class LandedFolder:
    """See `Landed`; a landing zone in a folder."""

    is_numbered_once = False

    def __init__(self, zone: LandingZone) -> None:
        self._zone = zone

    @property
    def state(self) -> Storage:
        """See `Landed`."""
        return self._zone.state

    def files(self, known_to: Mapping[str, int] = ALL) -> list[LandedFile]:
        """See `Landed`."""
        return [
            LandedFile(each.id, each.lane, each.sequence, f"file://{each.path.resolve()}")
            for each in self._zone.micro_batches()
            if each.sequence >= known_to.get(each.lane, 0)
        ]

    def replaced_by(self, file: LandedFile) -> frozenset[str]:
        """See `Landed`."""
        return replaced_by(_micro_batch(file))

    def rewritten(self) -> frozenset[str]:
        """Return nothing: a file that is written again has another name."""
        return frozenset()

    def forget_rewritten(self) -> None:
        """Do nothing."""

    def check(self, files: Sequence[LandedFile]) -> None:
        """Read each wholly, and compare it with the checksum in its name."""
        for each in map(_micro_batch, files):
            check_content(each)
            if read_footer(each).is_old:
                raise SettingsError(
                    f"micro-batch `{each.path}` was landed by an older version, which wrote other keys",
                    hint="with WAREHOUSE=iceberg use a new DATA_DIR and run `claude-analytics backfill`",
                )

    def footers(self, files: Sequence[LandedFile]) -> Iterator[Footer]:
        """See `Landed`."""
        return (read_footer(_micro_batch(each)) for each in files)

    def pending(self, files: Sequence[LandedFile]) -> Pending:
        """See `Landed`."""
        return PendingFiles([_micro_batch(each) for each in files])

    def remove(self, files: Sequence[LandedFile], at_failpoint: Failpoint) -> None:
        """See `Landed`."""
        remove_files([_micro_batch(each) for each in files], at_failpoint=at_failpoint)


def _micro_batch(file: LandedFile) -> MicroBatch:
    return MicroBatch(Path(file.url.removeprefix("file://")), file.lane, file.sequence)


class LandedBucket:
    """See `Landed`; a landing zone in an object store, which keeps its objects whole by itself."""

    is_numbered_once = True

    def __init__(self, zone: FencedZone) -> None:
        self._zone = zone
        self._url = table_url(zone.storage.url)

    @property
    def state(self) -> Storage:
        """See `Landed`."""
        return self._zone.state

    def files(self, known_to: Mapping[str, int] = ALL) -> list[LandedFile]:
        """List each lane, a request for a thousand objects."""
        # The stream's first: with a truncate marker in it, what the resnapshot read before is found as well.
        by_lane = [list(lane.landed(known_to.get(lane.name, 0) - 1)) for lane in reversed(self._zone.lanes())]
        return [
            LandedFile(
                name_of(each.key), each.lane, each.sequence, f"{self._url}/{each.key}", each.size_bytes
            )
            for found in reversed(by_lane)
            for each in found
        ]

    def replaced_by(self, file: LandedFile) -> frozenset[str]:
        """Read it in the name."""
        first, _, last = file.id.rpartition("/")[2].partition("-")
        numbers = range(int(first), int(last) + 1) if last else ()
        return frozenset(f"{file.lane}/{number:012d}" for number in numbers)

    def rewritten(self) -> frozenset[str]:
        """See `Landed`; one request."""
        return rewritten(self._zone.state)

    def forget_rewritten(self) -> None:
        """See `Landed`."""
        forget_rewritten(self._zone.state)

    def check(self, files: Sequence[LandedFile]) -> None:
        """Read each footer."""
        for _ in self.footers(files):
            pass

    def footers(self, files: Sequence[LandedFile]) -> Iterator[Footer]:
        """Ask for several at once."""
        storage = self._zone.storage
        with ThreadPoolExecutor(_REQUESTS) as pool:
            for start in range(0, len(files), _CHUNK):
                chunk = [self._object(each) for each in files[start : start + _CHUNK]]
                yield from pool.map(lambda each: read_object_footer(storage, each), chunk)

    def pending(self, files: Sequence[LandedFile]) -> Pending:
        """See `Landed`."""
        return PendingObjects(self, files)

    def remove(self, files: Sequence[LandedFile], at_failpoint: Failpoint) -> None:
        """See `Landed`."""
        for each in files:
            self._zone.storage.delete(self._object(each).key)
            at_failpoint("file_removed")

    def keys_in(self, file: LandedFile) -> pa.ChunkedArray:
        """Return the `_id`s of an object's rows.

        Raises:
            MicroBatchCorruptError: It cannot be read.
        """
        content = self._zone.storage.get(self._object(file).key)
        try:
            return pq.read_table(pa.BufferReader(content or b""), columns=["_id"])["_id"]
        except (pa.ArrowException, OSError) as error:
            raise MicroBatchCorruptError(
                f"micro-batch `{file.url}` is corrupt: {error}",
                hint="restore it from a version or a copy of the bucket, under the same key",
            ) from error

    def _object(self, file: LandedFile) -> LandedObject:
        key = file.url.removeprefix(f"{self._url}/")
        return LandedObject(key, file.lane, file.sequence, file.size_bytes or 0)


@dataclass(frozen=True)
class PendingObjects:
    """See `batch.verify.pending.Pending`; those of a bucket, of which one is in memory at a time."""

    bucket: LandedBucket
    files: Sequence[LandedFile]

    def keys_among(self, keys: Sequence[str]) -> set[str]:
        """Read the keys of each."""
        wanted = pa.array(keys, pa.string())
        found: set[str] = set()
        for each in self.files:
            column = self.bucket.keys_in(each)
            found.update(column.filter(pc.is_in(column, wanted)).to_pylist())
        return found

    def truncate_marker(self) -> int:
        """Look into each footer."""
        return max((footer.truncate_marker or 0 for footer in self.bucket.footers(self.files)), default=0)


def first_number(file: LandedFile) -> int:
    """Return the number of a file, of a merged object that of the first it replaces."""
    return int(file.id.rpartition("/")[2].partition("-")[0])


def name_of(url: str) -> str:
    """Return the `id` that a landed file has by its URL.

    Raises:
        ValueError: It is no landed file.
    """
    found = _NAME.search(url)
    if found is None:
        raise ValueError(url)
    return f"{found[1]}/{found[2]}"
