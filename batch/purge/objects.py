"""Takes the rows of a conversation out of the objects of a bucket, under their own keys."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from batch.backfill.plan import PlanStore
from batch.purge.target import Target
from stream.errors import AlreadyRunningError
from stream.landing.fenced import FencedZone, LandedObject, corrupt_object, read_object_footer
from stream.landing.landed_file import many_groups
from stream.landing.partitions import current_partitions
from stream.landing.rewritten import note_rewritten
from stream.storage.parts import StoredFile

_REQUESTS = 8
"""Side by side."""
_CHUNK = 256
"""Objects whose answers are in memory at a time."""
_WHOLE_BYTES = 1 << 20
"""Up to this size an object is fetched by one request."""
_ATTEMPTS = 5
_NARROW = ["session_id", "project_id", "source_file"]
"""What decides whose a row is."""


@dataclass(frozen=True)
class ObjectsPurge:
    """Everything the rewriting of landed objects needs; the caller keeps loads away.

    An object is replaced as a whole, and keeps its key, its number and the position in its footer. The keys
    are noted first (`stream.landing.rewritten`): a load that finds the note registers them as they are now.
    """

    landing: FencedZone
    _engine: duckdb.DuckDBPyConnection = field(default_factory=lambda: duckdb.connect(config={"threads": 1}))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Check that no backfill may still land; of stream workers see `fence`.

        Raises:
            AlreadyRunningError: One is unfinished.
        """
        plan = PlanStore(self.landing).unfinished()
        if plan is not None:
            raise AlreadyRunningError(
                f"the backfill `{plan.id}` is unfinished: a process that reads for it may still land what is "
                "to be purged",
                hint="let it finish, or stop its processes and finish it with `claude-analytics backfill`",
            )
        yield

    def fence(self) -> None:
        """Take the next number of the stream's lanes, so that a worker that still runs lands nothing more.

        Raises:
            AlreadyRunningError: A worker lands all the time.
        """
        for partition in current_partitions(self.landing):
            self._take_number(partition.lane)

    def rows(self, target: Target) -> int:
        """Count its rows, in objects that a merged one replaces as well."""
        return sum(self._rows_in_objects(target).values())

    def remove_rows(self, target: Target) -> int:
        """Write every object again that has rows of it; give how many rows went.

        Raises:
            MicroBatchCorruptError: An object is damaged; those before it are done.
            StorageUnavailableError: The object store does not answer.
            StorageRefusedError: It does not let us write.
        """
        found = self._rows_in_objects(target)
        if found:
            note_rewritten(self.landing.state, (each.name for each in found))
        for each in found:
            self._rewrite(each, target)
        return sum(found.values())

    def _take_number(self, lane: str) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                self.landing.lane(lane).close()
            except AlreadyRunningError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _rows_in_objects(self, target: Target) -> dict[LandedObject, int]:
        objects = [each for lane in self.landing.lanes() for each in lane.objects()]
        found = {}
        with ThreadPoolExecutor(_REQUESTS) as pool:
            for start in range(0, len(objects), _CHUNK):
                chunk = objects[start : start + _CHUNK]
                for each, rows in zip(chunk, pool.map(self._narrow, chunk), strict=True):
                    if of_it := self._is_of_it(rows, target).count(True):
                        found[each] = of_it
        return found

    def _narrow(self, landed: LandedObject) -> pa.Table:
        with self._opened(landed) as file:
            return file.read(columns=_NARROW, use_threads=False)

    def _rewrite(self, landed: LandedObject, target: Target) -> None:
        footer = read_object_footer(self.landing.storage, landed)
        operations: Counter[str] = Counter()

        def groups() -> Iterator[pa.Table]:
            with self._opened(landed) as file:
                for number in range(file.num_row_groups):
                    group = file.read_row_group(number, use_threads=False)
                    is_other = [not each for each in self._is_of_it(group.select(_NARROW), target)]
                    left = group.replace_schema_metadata().filter(pa.array(is_other, pa.bool_()))
                    operations.update(left["op"].to_pylist())
                    if left.num_rows:
                        yield left

        content = io.BytesIO()
        many_groups(groups(), lambda: footer.with_rows(operations).to_metadata())(content)
        self.landing.storage.put(landed.key, content.getvalue())

    def _is_of_it(self, rows: pa.Table, target: Target) -> Sequence[bool]:
        self._engine.register("narrow_rows", rows)
        found = self._engine.execute(f"select {target.is_row_of_it} from narrow_rows").fetchall()
        self._engine.unregister("narrow_rows")
        return [is_of_it for (is_of_it,) in found]

    @contextmanager
    def _opened(self, landed: LandedObject) -> Iterator[pq.ParquetFile]:
        storage = self.landing.storage
        try:
            if landed.size_bytes <= _WHOLE_BYTES:
                source = pa.BufferReader(storage.get(landed.key) or b"")
            else:
                source = pa.PythonFile(StoredFile(storage, landed.key, landed.size_bytes), mode="r")
            with pq.ParquetFile(source, page_checksum_verification=True) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            raise corrupt_object(storage, landed.key, error) from error
