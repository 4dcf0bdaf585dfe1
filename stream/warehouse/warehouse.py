"""The warehouse: loads landed micro-batches into DuckDB, each exactly once.

`raw.conversations` has no key and no index on purpose: they would slow every load down with the table's size.
A load finds rows through zone maps instead, as they come in nearly in the order of their ids.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from stream import sql
from stream.clock import Clock
from stream.errors import AnalyticsError, WarehouseBusyError, WarehouseCorruptError
from stream.landing.merged import replaced_by
from stream.landing.micro_batch import Checked, MicroBatch, check_content, read_checked, read_footer
from stream.landing.retention import require_whole
from stream.landing.zone import Failpoint, LandingZone, no_failpoint
from stream.warehouse.database import FAILURES, Config, WarehouseFile, interruptible_queries
from stream.warehouse.load import SMALL_SIZE_BYTES, LoadResult, LoadTransaction, one_row, record_merged
from stream.warehouse.lock import WarehouseLock

MAX_ROWS_PER_TRANSACTION = 250_000
MAX_SIZE_PER_TRANSACTION_BYTES = 256_000_000
MAX_FILES_PER_TRANSACTION = 500
_POLL_SECONDS = 0.2

_REFUSALS = (
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,  # memory too short for the commit
    duckdb.DataError,
    duckdb.ProgrammingError,
)
"""Errors of DuckDB that what is loaded can cause."""

Progress = Callable[[int, int], None]
"""Called with micro-batches done and in all."""


class Warehouse:
    """One DuckDB file. Opens it only under the warehouse lock, and only for as long as a load takes."""

    def __init__(
        self,
        path: Path,
        *,
        landing: LandingZone,
        clock: Clock,
        threads: int | None = None,
        memory_limit: str = "1GB",
        at_failpoint: Failpoint = no_failpoint,
    ) -> None:
        self.path = path
        self.lock = WarehouseLock(path, clock=clock)
        self._landing = landing
        self._clock = clock
        # Each group is written once it is full: five of them in memory, as DuckDB has it, are no faster.
        config: Config = {"memory_limit": memory_limit, "write_buffer_row_group_count": 1}
        if threads is not None:
            config["threads"] = threads
        self._file = WarehouseFile(path, config)
        self._at_failpoint = at_failpoint
        self._loaded: set[str] = set()
        self._connection: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def opened(self, *, timeout_seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the warehouse lock and open the file, its schema up to date.

        Raises:
            WarehouseBusyError: Another process holds the warehouse lock or the file.
            WarehouseCorruptError: The file is damaged, or no DuckDB file.
            SchemaTooNewError: A newer version of this program wrote it.
        """
        deadline = time.monotonic() + timeout_seconds
        with (
            self.lock.held(timeout_seconds=timeout_seconds),
            self._connected(deadline) as connection,
        ):
            yield connection

    def _connect(self, deadline: float) -> duckdb.DuckDBPyConnection:
        """Open the file; a program that knows nothing of the lock may have it, and is waited for."""
        while True:
            try:
                return self._file.connect()
            except WarehouseBusyError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_POLL_SECONDS)

    @contextmanager
    def _connected(self, deadline: float) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connect(deadline)
        self._connection = connection
        try:
            with interruptible_queries(connection):
                yield connection
        except FAILURES as error:
            raise self._file.explained(error) from error
        finally:
            self._connection = None
            with suppress(duckdb.Error):  # of a damaged file even that may fail
                connection.close()

    def interrupt(self) -> None:
        """Break off the load that another thread is at; it raises WarehouseBusyError, and nothing is lost."""
        connection = self._connection
        if connection is not None:
            with suppress(duckdb.Error):  # closed in this very moment
                connection.interrupt()

    def pending(self, connection: duckdb.DuckDBPyConnection) -> list[MicroBatch]:
        """List landed micro-batches that are not loaded yet, in the order to load them."""
        pending, _ = self._not_in_manifest(connection)
        return pending

    def _not_in_manifest(
        self, connection: duckdb.DuckDBPyConnection
    ) -> tuple[list[MicroBatch], list[MicroBatch]]:
        """Return what is to be loaded, and the merged files whose parts all are loaded already."""
        (in_manifest,) = one_row(connection, "select count(*) from raw.micro_batches")
        if in_manifest < len(self._loaded):
            self._loaded.clear()  # another process rebuilds, or the file was replaced
        unknown = [found for found in self._landing.micro_batches() if found.id not in self._loaded]
        self._loaded |= _in_manifest(connection, {found.id for found in unknown})
        pending: list[MicroBatch] = []
        in_parts: list[MicroBatch] = []
        for found in unknown:
            if found.id not in self._loaded:
                (in_parts if _is_loaded_in_parts(connection, found) else pending).append(found)
        return pending, in_parts

    def load(
        self, *, timeout_seconds: float, threads: int | None = None, on_progress: Progress | None = None
    ) -> LoadResult:
        """Load everything that has landed and is not loaded yet. Doing it again changes nothing.

        Args:
            timeout_seconds: How long to wait for the warehouse lock.
            threads: Of DuckDB, instead of as many as it has else.
            on_progress: Told how far it is.

        Raises:
            WarehouseBusyError: Another process holds the file for longer, or the load was interrupted.
            WarehouseCorruptError: The file is damaged.
            MicroBatchCorruptError: A landed file is damaged; those before it are loaded.
            LandingTrimmedError: The file is new, and what landed first has been removed.
            LandingFullError: No space for the warehouse.
        """
        with self.opened(timeout_seconds=timeout_seconds) as connection:
            if threads is not None:
                connection.execute(f"set threads = {threads}")
            return self._load_pending(connection, on_progress)

    def rebuild(
        self, *, timeout_seconds: float, on_progress: Progress | None = None, is_incomplete: bool = False
    ) -> LoadResult:
        """Forget all loaded rows and load the landing zone from its start.

        Nothing is forgotten before every landed file has proven whole. A damaged DuckDB file is set aside, as
        `<name>.corrupt-<time>`. Killed half-way, the next `load` goes on. Raises the errors of `load`.

        Args:
            timeout_seconds: How long to wait for the warehouse lock.
            on_progress: Told how far it is.
            is_incomplete: Do so also where old files have been removed, and rows will be missing.
        """
        if not is_incomplete:
            require_whole(self._landing.state)
        deadline = time.monotonic() + timeout_seconds
        with self.lock.held(timeout_seconds=timeout_seconds):
            # Under the warehouse lock: whoever holds it may remove files that have been merged.
            for micro_batch in self._landing.micro_batches():
                check_content(micro_batch)
            self._loaded.clear()
            try:
                with self._connected(deadline) as connection:
                    self._forget(connection)
                    return self._load_pending(connection, on_progress)
            except WarehouseCorruptError:
                self._file.set_aside(self._clock().strftime("corrupt-%Y%m%dT%H%M%SZ"))
                self._loaded.clear()
            with self._connected(deadline) as connection:
                self._forget(connection)
                return self._load_pending(connection, on_progress)

    def rewrite(self, *, timeout_seconds: float) -> None:
        """Make a new DuckDB file of this one, so that nothing of deleted rows is left in its free space.

        Raises the errors of `load`.
        """
        with self.lock.held(timeout_seconds=timeout_seconds):
            self._file.rewrite()

    def _forget(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.begin()
        for table in ("conversations", "tombstones", "truncate_markers", "micro_batches", "changed_lines"):
            connection.execute(f"delete from raw.{table}")
        connection.execute(
            "insert into raw.loads "
            f"select coalesce(max(load_id), 0) + 1, {sql.literal(self._clock())}, 0, 0, 0, true "
            "from raw.loads"
        )
        connection.commit()

    def _load_pending(
        self, connection: duckdb.DuckDBPyConnection, on_progress: Progress | None
    ) -> LoadResult:
        if one_row(connection, "select count(*) from raw.loads") == (0,):
            require_whole(self._landing.state)
        total = LoadResult()
        pending, in_parts = self._not_in_manifest(connection)
        for merged in in_parts:
            record_merged(connection, merged, read_footer(merged))
        for chunk in _chunks(pending):
            for result in self._load_in_parts(connection, chunk):
                total += result
                if on_progress:
                    on_progress(total.micro_batches, len(pending))
        return total

    def _load_in_parts(
        self, connection: duckdb.DuckDBPyConnection, chunk: Sequence[Checked]
    ) -> Iterator[LoadResult]:
        """Load a chunk, by halves if DuckDB refuses it as a whole: all is loaded up to the file at fault.

        Raises:
            StepFailedError: DuckDB refuses a single file.
        """
        try:
            result = self._load_chunk(connection, chunk)
        except _REFUSALS as error:
            if len(chunk) == 1:
                raise self._file.refused(chunk[0].micro_batch, error) from error
        else:
            yield result
            return
        middle = len(chunk) // 2
        yield from self._load_in_parts(connection, chunk[:middle])
        yield from self._load_in_parts(connection, chunk[middle:])

    def _load_chunk(self, connection: duckdb.DuckDBPyConnection, chunk: Sequence[Checked]) -> LoadResult:
        """Load some micro-batches in one transaction."""
        connection.begin()
        try:
            result = LoadTransaction(connection, chunk, self._clock).run()
            self._at_failpoint("load_before_commit")
            connection.commit()
            self._at_failpoint("load_committed")
        except BaseException as error:
            with suppress(duckdb.Error):  # a damaged database has no transaction left
                connection.rollback()
            if isinstance(error, duckdb.IOException | OSError | pa.ArrowException):
                for each in chunk:
                    check_content(each.micro_batch)  # it may have vanished meanwhile
            raise
        self._loaded.update(each.micro_batch.id for each in chunk)
        return result


def _in_manifest(connection: duckdb.DuckDBPyConnection, ids: Collection[str]) -> set[str]:
    """Return those of the ids that are loaded."""
    if not ids:
        return set()
    found = connection.execute(
        "select micro_batch_id from raw.micro_batches "
        f"where micro_batch_id in (select unnest({sql.array(ids)}))"
    ).fetchall()
    return {micro_batch_id for (micro_batch_id,) in found}


def _is_loaded_in_parts(connection: duckdb.DuckDBPyConnection, micro_batch: MicroBatch) -> bool:
    """Whether all that a merged file replaces is loaded; if only some of it is, its rows are loaded again."""
    replaced = replaced_by(micro_batch)
    return bool(replaced) and len(_in_manifest(connection, replaced)) == len(replaced)


def _chunks(pending: Sequence[MicroBatch]) -> Iterator[list[Checked]]:
    """Group micro-batches, in order, so that each transaction fits into memory.

    Raises:
        MicroBatchCorruptError: The next one is damaged; those before it have been given.
    """
    chunk: list[Checked] = []
    rows = size_bytes = 0
    for micro_batch in pending:
        try:
            checked = read_checked(micro_batch)
        except AnalyticsError:
            if chunk:
                yield chunk
            raise
        if chunk and (
            rows + checked.footer.rows > MAX_ROWS_PER_TRANSACTION
            or size_bytes + checked.size_bytes > MAX_SIZE_PER_TRANSACTION_BYTES
            or len(chunk) == MAX_FILES_PER_TRANSACTION
        ):
            yield chunk
            chunk, rows, size_bytes = [], 0, 0
        rows += checked.footer.rows
        size_bytes += checked.size_bytes
        chunk.append(checked if size_bytes <= SMALL_SIZE_BYTES else checked._replace(content=None))
    if chunk:
        yield chunk
