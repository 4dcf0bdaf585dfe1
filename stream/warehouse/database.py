"""The DuckDB file: made as a whole or not at all, opened with its schema up to date, its errors explained."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from stream import sql
from stream.core.cluster_time import upgraded_sql
from stream.core.document_key import canonical_sql
from stream.core.schema import RAW_CONVERSATIONS_COLUMNS
from stream.disk import TEMPORARY_SUFFIX, disk_errors, sync_folder
from stream.errors import (
    AnalyticsError,
    LandingFullError,
    LandingNotWritableError,
    SchemaTooNewError,
    SettingsError,
    StepFailedError,
    WarehouseBusyError,
    WarehouseCorruptError,
)
from stream.landing.micro_batch import MicroBatch
from stream.stop import interruptible

WAREHOUSE_SCHEMA_VERSION = 4
FAILURES = (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException, duckdb.InterruptException)
"""Errors of DuckDB that its file, the machine or another process cause, not the statement."""

Config = dict[str, str | bool | int | float | list[str]]
"""As DuckDB types it."""

_ROW_GROUP_SIZE = 8192
"""Rows per group, far fewer than DuckDB's own 122,880: each checkpoint rewrites the last, part-filled one."""

_STORAGE_VERSION = "v1.2.0"
"""Of the file: the first that has zstd for columns. Only DuckDB 1.2 and newer open it."""
_WIDE_COLUMNS = {"message_content", "message_raw", "extra"}
"""DuckDB's own choice leaves long texts as they are: with zstd the file has a fifth of the size."""

_HEADERS_SIZE_BYTES = 3 * 4096
"""In front of a file's blocks."""

_HOLDER = re.compile(r"held in (.+?) \(PID (\d+)\)")
"""Where DuckDB says who has the file."""

_RESERVED_NAMES = {"main", "memory", "system", "temp"}
_DAMAGE = (
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
    duckdb.FatalException,
)


def _column(name: str, kind: str) -> str:
    return f'"{name}" {kind}' + (" using compression zstd" if name in _WIDE_COLUMNS else "")


_MIGRATIONS: tuple[str, ...] = (
    f"""
    create schema if not exists raw;
    create schema if not exists ops;
    create table raw.conversations (
        {", ".join(_column(name, kind) for name, kind in RAW_CONVERSATIONS_COLUMNS.items())}
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
    "create table raw.floors (floor bigint not null, micro_batch_id varchar not null);",
    """
    alter table raw.floors rename to truncate_markers;
    alter table raw.truncate_markers rename column floor to cluster_time;
    """,
    f"""
    update raw.conversations set source_version = {upgraded_sql("source_version")};
    update raw.tombstones set source_version = {upgraded_sql("source_version")}, _id = {canonical_sql("_id")};
    update raw.truncate_markers set cluster_time = {upgraded_sql("cluster_time")};
    update raw.micro_batches set
        first_cluster_time = {upgraded_sql("first_cluster_time")},
        last_cluster_time = {upgraded_sql("last_cluster_time")};
    create temp table old_keys as
    select _id as old_key, {canonical_sql("_id")} as _id, source_version
    from raw.conversations
    where starts_with(_id, 'd:') and {canonical_sql("_id")} <> _id;
    insert into raw.loads
    select coalesce((select max(load_id) from raw.loads), 0) + 1, now(), 0, 0, 0, true
    where exists (select 1 from old_keys);
    delete from raw.conversations as outdated using old_keys
    where outdated._id = old_keys._id and outdated.source_version < old_keys.source_version;
    delete from raw.conversations as outdated using old_keys
    where
        outdated._id = old_keys.old_key
        and exists (
            select 1 from raw.conversations as newer
            where newer._id = old_keys._id and newer.source_version >= old_keys.source_version
            union all
            select 1 from raw.tombstones as newer
            where newer._id = old_keys._id and newer.source_version >= old_keys.source_version
        );
    update raw.conversations set _id = old_keys._id from old_keys where conversations._id = old_keys.old_key;
    drop table old_keys;
    """,
)
"""Statement n brings a warehouse from schema version n to n + 1."""


@contextmanager
def interruptible_queries(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let a signal end the queries of this block with `duckdb.InterruptException` (see `stream.stop`)."""

    def interrupt() -> None:
        with suppress(duckdb.Error):  # closed in this very moment
            connection.interrupt()

    with interruptible(interrupt):
        yield


class WarehouseFile:
    """One DuckDB file. Whoever calls holds the warehouse lock.

    Args:
        path: Where it is; made when it is first opened.
        config: Of DuckDB.
    """

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
        self._config = config

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open the file, its schema up to date; the caller closes the connection.

        Raises:
            WarehouseBusyError: Another program has it open.
            WarehouseCorruptError: It is damaged, or no DuckDB file.
            SchemaTooNewError: A newer version of this program wrote it.
            SettingsError: DuckDB does not accept its settings.
            LandingFullError: No space.
            LandingNotWritableError: It cannot be written.
        """
        if not self.path.exists() or not self.path.stat().st_size:
            self._make()
        return self._open(self.path)

    def _make(self) -> None:
        """Make the file under another name first: killed half-way, it would be no database for ever."""
        temporary = self.path.with_name(f".{self.path.name}{TEMPORARY_SUFFIX}")
        with disk_errors(self.path):
            for left_over in (temporary, _wal(temporary), _wal(self.path)):
                left_over.unlink(missing_ok=True)
            self._open(temporary).close()
            temporary.rename(self.path)
            sync_folder(self.path.parent)

    def _open(self, path: Path) -> duckdb.DuckDBPyConnection:
        try:
            connection = duckdb.connect(config=self._config)
        except duckdb.Error as error:
            raise SettingsError(
                f"DuckDB refuses its settings: {_first_line(error)}",
                hint="correct DUCKDB_MEMORY_LIMIT or DUCKDB_THREADS",
            ) from error
        try:
            with interruptible_queries(connection):
                name = sql.identifier(catalog_name(path))
                connection.execute(
                    f"attach {sql.literal(str(path))} as {name} "
                    f"(row_group_size {_ROW_GROUP_SIZE}, storage_version '{_STORAGE_VERSION}')"
                )
                connection.execute(f"use {name}")
                connection.execute("set TimeZone = 'UTC'")
                self._require_whole(connection, path)
                self._migrate(connection)
        except duckdb.Error as error:
            connection.close()
            raise self.explained(error) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _require_whole(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        """Refuse a file that has been cut off: DuckDB notices only once it reads what is missing.

        Blocks that are free do not count: after a crash the last of them may never have been written.

        Raises:
            WarehouseCorruptError: It is shorter than the blocks in use.
        """
        found = connection.execute(
            "select used_blocks * block_size from pragma_database_size() "
            "where database_name = current_database()"
        ).fetchall()
        expected_bytes = _HEADERS_SIZE_BYTES + int(found[0][0])
        if path.stat().st_size < expected_bytes:
            raise self._corrupt(f"it has been cut off, {expected_bytes:,} bytes should be there")

    def _migrate(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            "create table if not exists main.claude_analytics_schema (version integer not null)"
        )
        found = connection.execute(
            "select coalesce(max(version), 0) from main.claude_analytics_schema"
        ).fetchall()
        version = int(found[0][0])
        SchemaTooNewError.require_known(
            f"the warehouse `{self.path}`", version=version, known=WAREHOUSE_SCHEMA_VERSION
        )
        for number, statements in enumerate(_MIGRATIONS[version:], start=version + 1):
            connection.begin()
            connection.execute(statements)
            connection.execute(f"insert into main.claude_analytics_schema values ({number})")
            connection.commit()

    def rewrite(self) -> None:
        """Write everything into a new file that takes this one's place.

        Else deleted rows would stay in the free space of the old one, which a crash leaves as it was.

        Raises:
            LandingFullError: No space for both; the old file is still there.
            AnalyticsError: The file cannot be used.
        """
        temporary = self.path.with_name(f".{self.path.name}{TEMPORARY_SUFFIX}")
        with disk_errors(self.path):
            for left_over in (temporary, _wal(temporary)):
                left_over.unlink(missing_ok=True)
        connection = self.connect()
        try:
            connection.execute(
                f"attach {sql.literal(str(temporary))} as rewritten "
                f"(row_group_size {_ROW_GROUP_SIZE}, storage_version '{_STORAGE_VERSION}')"
            )
            name = sql.identifier(catalog_name(self.path))
            with interruptible_queries(connection):
                connection.execute(f"copy from database {name} to rewritten")
        except duckdb.Error as error:
            raise self.explained(error) from error
        finally:
            connection.close()
        with disk_errors(self.path):
            temporary.replace(self.path)
            sync_folder(self.path.parent)

    def set_aside(self, suffix: str) -> None:
        """Rename the file and its log to `<name>.<suffix>`, out of the way but not gone.

        Raises:
            LandingNotWritableError: The folder cannot be written.
        """
        with disk_errors(self.path):
            for path in (self.path, _wal(self.path)):
                if path.exists():
                    path.rename(path.with_name(f"{path.name}.{suffix}"))

    def refused(self, micro_batch: MicroBatch, error: duckdb.Error) -> AnalyticsError:
        """Say which micro-batch cannot be loaded and why, or what else failed, as a full disk."""
        explained = self.explained(error)
        if not isinstance(explained, StepFailedError):
            return explained
        return StepFailedError(
            f"cannot load micro-batch `{micro_batch.path}` into `{self.path}`: {_first_line(error)}",
            hint="all before it is loaded; if memory was short, raise DUCKDB_MEMORY_LIMIT (in the stream "
            "STREAM_DUCKDB_MEMORY_LIMIT); what has landed is not lost",
        )

    def explained(self, error: duckdb.Error) -> AnalyticsError:
        """Say what an error of DuckDB means and what to do about it."""
        text = _first_line(error)
        said = text.lower()
        if "set lock on file" in said or "is already attached by" in said:
            holder = _HOLDER.search(text)
            who = f" (`{holder[1]}`, process {holder[2]})" if holder else ""
            return WarehouseBusyError(
                f"another program{who} has the DuckDB file `{self.path}` open",
                hint="close it (dashboards and notebooks should read the files in `serving/` instead); "
                "what has landed waits and is not lost",
            )
        if isinstance(error, duckdb.InterruptException):
            return WarehouseBusyError(
                "the load was interrupted", hint="what has landed is not lost: the next load takes it"
            )
        if "no space left" in said or "quota exceeded" in said:
            return LandingFullError(
                f"cannot write `{self.path}`: {text}",
                hint="free some space; what has landed waits and is not lost",
            )
        if "permission denied" in said or "read-only file system" in said:
            return LandingNotWritableError(
                f"cannot write `{self.path}`: {text}",
                hint="make it writable for this user, or set DUCKDB_PATH to a file that is",
            )
        if isinstance(error, _DAMAGE):
            return self._corrupt(text)
        return StepFailedError(
            f"cannot load into `{self.path}`: {text}",
            hint="try again; if memory was short, raise DUCKDB_MEMORY_LIMIT; what has landed is not lost",
        )

    def _corrupt(self, problem: str) -> WarehouseCorruptError:
        return WarehouseCorruptError(
            f"cannot use the DuckDB file `{self.path}`: {problem}",
            hint="if DUCKDB_PATH is right, run `claude-analytics load --full-refresh`: it sets the file "
            "aside and rebuilds it from the landing zone",
        )


def catalog_name(path: Path) -> str:
    """Name a database as DuckDB would if it opened the file by itself; views are stored with that name."""
    name = path.name.lstrip(".").split(".")[0]
    return f"{name}_db" if name.lower() in _RESERVED_NAMES else name


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]
