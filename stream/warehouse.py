"""The warehouse: loads landed micro-batches into DuckDB, each exactly once.

`raw.conversations` has no key and no index on purpose: they would slow every load down with the table's size.
A MERGE on `_id` finds its rows through zone maps instead, as rows come in nearly in the order of their ids.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from stream import sql
from stream.clock import Clock
from stream.errors import (
    SchemaTooNewError,
    WarehouseBusyError,
    WarehouseCorruptError,
)
from stream.landing import Boundary, LandingZone, no_boundary
from stream.lease import Lease
from stream.load import LoadResult, LoadTransaction, one_row
from stream.micro_batch import Footer, MicroBatch, check_content, corrupt, read_footer
from stream.schema import RAW_CONVERSATIONS_COLUMNS

WAREHOUSE_SCHEMA_VERSION = 1
MAX_ROWS_PER_TRANSACTION = 250_000
MAX_SIZE_PER_TRANSACTION_BYTES = 256_000_000
_ROW_GROUP_SIZE = 8192
"""Rows per group, far fewer than DuckDB's own 122,880: each checkpoint rewrites the last, part-filled one."""

_MIGRATIONS: tuple[str, ...] = (
    f"""
    create schema if not exists raw;
    create schema if not exists ops;
    create table raw.conversations (
        {", ".join(f'"{name}" {kind}' for name, kind in RAW_CONVERSATIONS_COLUMNS.items())}
    );
    create table raw.tombstones (_id varchar not null, source_version bigint not null);
    create table raw.micro_batches (
        micro_batch_id varchar not null, lane varchar not null, sequence bigint not null,
        rows bigint not null, upserts bigint not null, deletes bigint not null,
        dead_letters bigint not null, first_cluster_time bigint, last_cluster_time bigint,
        landed_at timestamptz not null, load_id bigint not null, loaded_at timestamptz not null
    );
    create table raw.loads (
        load_id bigint not null, loaded_at timestamptz not null, micro_batches bigint not null,
        rows_upserted bigint not null, rows_deleted bigint not null, is_bulk boolean not null
    );
    create table raw.changed_lines (
        load_id bigint not null, session_id varchar, source_file varchar,
        uuid varchar, message_id varchar
    );
    """,
)
"""Statement n brings a warehouse from schema version n to n + 1."""


class Warehouse:
    """One DuckDB file. Opens it only under the lease, and only for as long as a load takes."""

    def __init__(
        self,
        path: Path,
        *,
        landing: LandingZone,
        clock: Clock,
        threads: int | None = None,
        memory_limit: str = "1GB",
        at_boundary: Boundary = no_boundary,
    ) -> None:
        self.path = path
        self.lease = Lease(path, clock=clock)
        self._landing = landing
        self._clock = clock
        self._config: dict[str, str | bool | int | float | list[str]] = {"memory_limit": memory_limit}
        if threads is not None:
            self._config["threads"] = threads
        self._at_boundary = at_boundary
        self._loaded: set[str] = set()

    @contextmanager
    def opened(self, *, timeout_seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the lease and open the file, its schema up to date.

        Raises:
            WarehouseBusyError: Another process holds the lease or the file.
            WarehouseCorruptError: The file is damaged, or no DuckDB file.
            SchemaTooNewError: A newer version of this program wrote it.
        """
        with self.lease.held(timeout_seconds=timeout_seconds):
            try:
                connection = self._connect()
            except duckdb.Error as error:
                raise self._open_error(error) from error
            try:
                connection.execute("set TimeZone = 'UTC'")
                self._migrate(connection)
                yield connection
            except (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException) as error:
                raise self._corrupt_error(error) from error
            finally:
                connection.close()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config=self._config)
        try:
            path, name = sql.literal(str(self.path)), sql.identifier(self.path.stem)
            connection.execute(f"attach {path} as {name} (row_group_size {_ROW_GROUP_SIZE})")
            connection.execute(f"use {name}")
        except duckdb.Error:
            connection.close()
            raise
        return connection

    def _open_error(self, error: duckdb.Error) -> Exception:
        if "lock" in str(error).lower():
            return WarehouseBusyError(
                f"another program has the DuckDB file `{self.path}` open",
                hint="close it (dashboards and notebooks should read the files in `serving/` instead); "
                "what has landed waits and is not lost",
            )
        return self._corrupt_error(error)

    def _corrupt_error(self, error: duckdb.Error) -> WarehouseCorruptError:
        return WarehouseCorruptError(
            f"cannot use the DuckDB file `{self.path}`: {str(error).splitlines()[0]}",
            hint="if DUCKDB_PATH is right, run `claude-analytics load --full-refresh`: it sets the file "
            "aside and rebuilds it from the landing zone",
        )

    def _migrate(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            "create table if not exists main.claude_analytics_schema (version integer not null)"
        )
        (version,) = one_row(connection, "select coalesce(max(version), 0) from main.claude_analytics_schema")
        if version > WAREHOUSE_SCHEMA_VERSION:
            raise SchemaTooNewError(
                f"the warehouse `{self.path}` has schema version {version}, "
                f"this program knows {WAREHOUSE_SCHEMA_VERSION}",
                hint="run the newer version of claude-analytics that wrote it",
            )
        for number, statements in enumerate(_MIGRATIONS[version:], start=version + 1):
            connection.begin()
            connection.execute(statements)
            connection.execute(f"insert into main.claude_analytics_schema values ({number})")
            connection.commit()

    def pending(self, connection: duckdb.DuckDBPyConnection) -> list[MicroBatch]:
        """List landed micro-batches that are not loaded yet, in the order to load them."""
        unknown = [found for found in self._landing.micro_batches() if found.id not in self._loaded]
        if unknown:
            loaded = connection.execute(
                "select micro_batch_id from raw.micro_batches "
                f"where micro_batch_id in (select unnest({sql.array(found.id for found in unknown)}))"
            ).fetchall()
            self._loaded.update(micro_batch_id for (micro_batch_id,) in loaded)
        return [found for found in unknown if found.id not in self._loaded]

    def load(
        self, *, timeout_seconds: float, on_progress: Callable[[int, int], None] | None = None
    ) -> LoadResult:
        """Load everything that has landed and is not loaded yet. Doing it again changes nothing.

        Args:
            timeout_seconds: How long to wait for the lease.
            on_progress: Called with micro-batches done and in all.

        Raises:
            WarehouseBusyError: Another process holds the file for longer.
            WarehouseCorruptError: The file is damaged.
            MicroBatchCorruptError: A landed file is damaged; those before it are loaded.
        """
        total = LoadResult()
        with self.opened(timeout_seconds=timeout_seconds) as connection:
            pending = self.pending(connection)
            for chunk in _chunks(pending):
                total += self._load_chunk(connection, chunk)
                if on_progress:
                    on_progress(total.micro_batches, len(pending))
        return total

    def rebuild(
        self, *, timeout_seconds: float, on_progress: Callable[[int, int], None] | None = None
    ) -> LoadResult:
        """Forget all loaded rows and load the landing zone from its start.

        A damaged file is set aside first, as `<name>.corrupt-<time>`. Killed half-way, the next `load`
        goes on. Raises the errors of `load`.
        """
        self._loaded.clear()
        try:
            with self.opened(timeout_seconds=timeout_seconds) as connection:
                connection.begin()
                for table in ("conversations", "tombstones", "micro_batches", "changed_lines"):
                    connection.execute(f"delete from raw.{table}")
                connection.execute(
                    "insert into raw.loads "
                    f"select coalesce(max(load_id), 0) + 1, {sql.literal(self._clock())}, 0, 0, 0, true "
                    "from raw.loads"
                )
                connection.commit()
        except WarehouseCorruptError:
            with self.lease.held(timeout_seconds=timeout_seconds):
                stamp = self._clock().strftime("%Y%m%dT%H%M%SZ")
                for path in (self.path, self.path.with_name(f"{self.path.name}.wal")):
                    if path.exists():
                        path.rename(path.with_name(f"{path.name}.corrupt-{stamp}"))
        return self.load(timeout_seconds=timeout_seconds, on_progress=on_progress)

    def _load_chunk(
        self, connection: duckdb.DuckDBPyConnection, chunk: Sequence[tuple[MicroBatch, Footer]]
    ) -> LoadResult:
        """Load some micro-batches in one transaction."""
        connection.begin()
        try:
            result = LoadTransaction(connection, chunk, self._clock).run()
            self._at_boundary("load_before_commit")
            connection.commit()
            self._at_boundary("load_committed")
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException) as error:
            connection.rollback()
            for micro_batch, _ in chunk:
                check_content(micro_batch)
            raise corrupt(chunk[0][0], error) from error
        except BaseException:
            connection.rollback()
            raise
        self._loaded.update(micro_batch.id for micro_batch, _ in chunk)
        return result


def _chunks(pending: Sequence[MicroBatch]) -> Iterator[list[tuple[MicroBatch, Footer]]]:
    """Group micro-batches, in order, so that each transaction fits into memory."""
    chunk: list[tuple[MicroBatch, Footer]] = []
    rows = size_bytes = 0
    for micro_batch in pending:
        footer = read_footer(micro_batch)
        file_size_bytes = micro_batch.path.stat().st_size
        if chunk and (
            rows + footer.rows > MAX_ROWS_PER_TRANSACTION
            or size_bytes + file_size_bytes > MAX_SIZE_PER_TRANSACTION_BYTES
        ):
            yield chunk
            chunk, rows, size_bytes = [], 0, 0
        chunk.append((micro_batch, footer))
        rows += footer.rows
        size_bytes += file_size_bytes
    if chunk:
        yield chunk
