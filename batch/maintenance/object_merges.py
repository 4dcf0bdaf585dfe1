"""Merges the small landed objects of closed days in a bucket, beside whoever lands and reads.

    landing/<lane>/<first>-<last>.parquet     in place of the objects with these numbers and all between

The merged object is created on the condition that there is none. From then on those that it replaces are out
of sight, as its name says which they are; so a crash at any moment leaves the same content in sight. They are
removed once the tables know the merged one (`batch.lake.landed_upkeep`).
"""

import io
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import groupby, takewhile
from pathlib import Path

import pyarrow as pa

from batch.backfill.plan import LANE_PREFIX
from batch.maintenance.last_changes import SCRATCH_PREFIX, last_changes, summed
from batch.maintenance.merges import LandedFile, plan_merges, stretches
from stream.clock import Clock
from stream.landing.fenced import FencedZone, LandedObject, read_object_footer
from stream.landing.footer import Footer
from stream.landing.landed_file import Failpoint, many_groups, no_failpoint
from stream.warehouse.warehouse import MAX_ROWS_PER_TRANSACTION

_REQUESTS = 8
"""Side by side."""
_CHUNK = 64
"""Footers that are asked for at once; behind the last day that is closed they are asked for in vain."""


@dataclass(frozen=True)
class ObjectCompaction:
    """Everything the merging of objects needs.

    Attributes:
        scratch: Folder for copies of what is being merged.
        memory_limit: Of DuckDB, as it takes sizes.
        max_size_bytes: Of a merged object, which is in memory when it is written.
        at_failpoint: Tests crash the process there.
    """

    landing: FencedZone
    clock: Clock
    scratch: Path
    memory_limit: str
    max_size_bytes: int = 32_000_000
    at_failpoint: Failpoint = no_failpoint

    def plan(self, loaded: AbstractSet[str]) -> list[list[LandedObject]]:
        """Return runs of neighbours, each of which is to become one; in all lanes but those of backfills.

        Args:
            loaded: Names of what the tables have; nothing else is merged.
        """
        runs = []
        for lane in self.landing.lanes():
            if lane.name.startswith(LANE_PREFIX):
                continue
            objects = list(lane.landed())
            for stretch in stretches(objects, max_size_bytes=self.max_size_bytes):
                known = takewhile(lambda each: each.name in loaded, stretch)
                for _, day in groupby(self._judged(known), key=lambda each: each[0]):
                    runs += plan_merges(
                        (file for _, file in day),
                        max_rows=MAX_ROWS_PER_TRANSACTION,
                        max_size_bytes=self.max_size_bytes,
                    )
        return runs

    def merge(self, run: Sequence[LandedObject]) -> None:
        """Write the object that replaces a run; if there is one, a run before this wrote the same.

        Raises:
            MicroBatchCorruptError: An object is damaged.
            StorageUnavailableError: The object store does not answer.
            StorageRefusedError: It does not let us write.
            StepFailedError: DuckDB gave up.
        """
        storage = self.landing.storage
        footers = [read_object_footer(storage, each) for each in run]
        merged = self.landing.lane(run[0].lane).merged(run)
        operations: Counter[str] = Counter()
        content = io.BytesIO()
        self.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=self.scratch) as folder:
            paths = [Path(folder) / f"{each.sequence}.parquet" for each in run]
            for path, each in zip(paths, run, strict=True):
                path.write_bytes(storage.get(each.key) or b"")

            def groups() -> Iterator[pa.Table]:
                for group in last_changes(
                    paths, old=(), scratch=Path(folder), memory_limit=self.memory_limit
                ):
                    operations.update(group["op"].to_pylist())
                    yield group

            def footer() -> dict[bytes, bytes]:
                landed_at = footers[-1].landed_at
                return summed(merged.name, footers, operations, landed_at=landed_at).to_metadata()

            many_groups(groups(), footer)(content)
        self.at_failpoint("objects_read")
        storage.create(merged.key, content.getvalue())
        self.at_failpoint("object_merged")

    def remove(self, objects: Iterable[LandedObject]) -> int:
        """Remove objects that others replace; give their number."""
        removed = 0
        for each in objects:
            self.landing.storage.delete(each.key)
            self.at_failpoint("object_removed")
            removed += 1
        return removed

    def _judged(self, stretch: Iterable[LandedObject]) -> Iterator[tuple[date, LandedFile[LandedObject]]]:
        """Look into footers, in order, up to the first of today, which may still have company."""
        objects = list(stretch)
        today = self.clock().date()
        with ThreadPoolExecutor(_REQUESTS) as pool:
            for start in range(0, len(objects), _CHUNK):
                chunk = objects[start : start + _CHUNK]
                footers = pool.map(lambda each: read_object_footer(self.landing.storage, each), chunk)
                for each, footer in zip(chunk, footers, strict=True):
                    if footer.landed_at.date() >= today:
                        return
                    yield footer.landed_at.date(), _judged(each, footer)


def _judged(landed: LandedObject, footer: Footer) -> LandedFile[LandedObject]:
    # A truncate marker says something of all older rows, and a dead letter names its micro-batch.
    stays = footer.truncate_marker is not None or footer.dead_letters > 0
    return LandedFile(landed, footer.rows, landed.size_bytes, stays)
