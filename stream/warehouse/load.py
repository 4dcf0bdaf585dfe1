"""One load transaction: the last change of each document, the manifest, and what changed for the marts.

Versions (cluster times) decide which of two changes of a document is the later, in whatever order they load;
tombstones keep an older row from bringing a deleted document back, and truncate markers do so for a whole
collection.

A changed row is removed and inserted again. MERGE and UPDATE change it in its place, and DuckDB then takes
several times as long for rows that lie scattered (`make bench ARGS='-k test_the_cost_of_changes'`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from stream import sql
from stream.clock import Clock
from stream.core.schema import RAW_CONVERSATIONS_COLUMNS
from stream.landing.footer import Footer
from stream.landing.merged import replaced_by
from stream.landing.micro_batch import Checked, MicroBatch
from stream.warehouse.fresh_files import fresh_files, landed_rows, rows_of_files

BULK_ROWS = 100_000
"""From so many changed rows on, a load says "everything may have changed" instead of listing lines."""

_MANY_FILES = 64
SMALL_SIZE_BYTES = 32_000_000
"""Of all files together, up to which many are read into memory."""


@dataclass(frozen=True)
class LoadResult:
    """What a load did.

    Attributes:
        micro_batches: Files loaded, 0 if nothing was pending.
        rows: Rows in them.
        rows_upserted: Documents inserted or replaced; older versions are left out.
        rows_deleted: Documents removed.
    """

    micro_batches: int = 0
    rows: int = 0
    rows_upserted: int = 0
    rows_deleted: int = 0

    def __add__(self, other: "LoadResult") -> "LoadResult":
        """Add two loads up."""
        return LoadResult(
            self.micro_batches + other.micro_batches,
            self.rows + other.rows,
            self.rows_upserted + other.rows_upserted,
            self.rows_deleted + other.rows_deleted,
        )


class LoadTransaction:
    """The statements of one transaction; whoever makes it begins and commits.

    Args:
        connection: To the warehouse, inside a transaction.
        chunk: What to load, in order.
        clock: Gives the time of the load.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        chunk: Sequence[Checked],
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._chunk = chunk
        self._now = clock()
        self._marker = 0
        self._old = {str(each.micro_batch.path) for each in chunk if each.footer.is_old}
        self._copied: set[str] = set()

    def run(self) -> LoadResult:
        """Write the last change of each document, note what changed, mark the micro-batches as loaded."""
        (load_id,) = one_row(self._connection, "select coalesce(max(load_id), 0) + 1 from raw.loads")
        rows = sum(each.footer.rows for each in self._chunk)
        upserted = removed = 0
        swept = self._truncate()
        is_bulk = rows >= BULK_ROWS or swept > 0
        paths = self._paths_above_marker(lambda footer: footer.last_cluster_time)
        if paths:
            self._name_files()
            self._copy_small(paths)
            fresh = fresh_files(
                self._connection,
                self._paths_above_marker(lambda footer: footer.first_cluster_time),
                rows=self._landed,
            )
            if fresh:
                upserted = self._insert(
                    self._landed(path for path in paths if path in fresh), load_id, is_bulk=is_bulk
                )
            if len(fresh) < len(paths):
                landed = self._landed(path for path in paths if path not in fresh)
                self._stage(landed)
                if not is_bulk:
                    self._record_changed_lines(load_id)
                removed = self._remove_old_versions()
                upserted += self._insert_staged(landed)
        deleted = swept + removed
        self._record(load_id, upserted, deleted, is_bulk=is_bulk)
        return LoadResult(len(self._chunk), rows, upserted, deleted)

    def _truncate(self) -> int:
        """Record truncate markers, remove the rows older than the highest, and return how many those were.

        A tombstone below it is of no more use: nothing that old comes back.
        """
        (known,) = one_row(
            self._connection, "select coalesce(max(cluster_time), 0) from raw.truncate_markers"
        )
        markers = [
            (each.footer.truncate_marker, each.micro_batch.id)
            for each in self._chunk
            if each.footer.truncate_marker is not None
        ]
        self._marker = max([known, *(marker for marker, _ in markers)])
        if markers:
            self._execute(f"insert into raw.truncate_markers values {sql.rows(markers)}")
        if self._marker == known:
            return 0
        self._execute(f"delete from raw.tombstones where source_version < {self._marker}")
        (swept,) = one_row(
            self._connection, f"delete from raw.conversations where source_version < {self._marker}"
        )
        return int(swept)

    def _paths_above_marker(self, version_of: Callable[[Footer], int | None]) -> list[str]:
        """Return paths of files with rows at or above the marker."""
        versions = ((each.micro_batch.path, version_of(each.footer)) for each in self._chunk)
        return [str(path) for path, version in versions if version is not None and version >= self._marker]

    def _copy_small(self, paths: Sequence[str]) -> None:
        """Read many small files once, into memory: to open one takes as long as to read thousands of rows."""
        contents = {str(each.micro_batch.path): each.content for each in self._chunk}
        small = {path: content for path in paths if (content := contents[path]) is not None}
        if len(paths) <= _MANY_FILES or len(small) < len(paths):
            return
        if self._old:
            self._copy(landed_rows(paths, old=self._old))
        else:
            # Arrow reads a small file in two thirds of the time that DuckDB takes to.
            self._connection.register("small_files", rows_of_files(small))
            self._copy("small_files")
            self._connection.unregister("small_files")
        self._copied = set(paths)

    def _copy(self, landed: str) -> None:
        self._execute(f"create or replace temp table landed_files as select * from {landed}")

    def _landed(self, paths: Iterable[str]) -> str:
        """Return what to select from to read some of the files."""
        named = list(paths)
        if not self._copied:
            return landed_rows(named, old=self._old)
        if len(named) == len(self._copied):
            return "landed_files"
        return f"(select * from landed_files where filename in (select unnest({sql.array(named)})))"

    def _name_files(self) -> None:
        names = sql.rows(
            (str(each.micro_batch.path), each.micro_batch.id, position)
            for position, each in enumerate(self._chunk)
        )
        self._execute(
            f"""
            create or replace temp table staged_files as
            select * from (values {names}) as files (filename, micro_batch_id, position)
            """
        )

    def _insert(self, landed: str, load_id: int, *, is_bulk: bool) -> int:
        """Insert rows that are all new; give how many."""
        if not is_bulk:
            self._execute(
                f"""
                insert into raw.changed_lines
                select distinct {load_id}, session_id, source_file, uuid, message_id
                from {landed} as landed
                """
            )
        (inserted,) = one_row(
            self._connection,
            f"""
            insert into raw.conversations
            select {_columns("staged_files")}
            from {landed} as landed
            inner join staged_files on landed.filename = staged_files.filename
            """,
        )
        return int(inserted)

    def _stage(self, landed: str) -> None:
        """Find the last change of each `_id` that nothing outdates: narrow columns only.

        The wide columns stay in their files until they are written into the table, once.
        """
        self._execute(
            f"""
            create or replace temp table staged as
            select
                landed._id, landed.op, landed.source_version, landed.session_id, landed.source_file,
                landed.uuid, landed.message_id, landed.file_row_number,
                staged_files.filename, staged_files.micro_batch_id
            from {landed} as landed
            inner join staged_files on landed.filename = staged_files.filename
            where landed.source_version >= {self._marker} and landed.op not in ('truncate', 'floor')
            qualify row_number() over (
                partition by landed._id
                order by landed.source_version desc, staged_files.position desc, landed.file_row_number desc
            ) = 1
            """
        )
        for outdating in ("raw.tombstones", "raw.conversations"):
            self._execute(
                f"""
                delete from staged using {outdating} as known
                where staged._id = known._id and known.source_version > staged.source_version
                """
            )

    def _record_changed_lines(self, load_id: int) -> None:
        """Note the lines of old and new versions."""
        self._execute(
            f"""
            insert into raw.changed_lines
            with previous as (
                select
                    conversations.session_id, conversations.source_file, conversations.uuid,
                    json_extract_string(conversations.message_raw, '$.id') as message_id
                from raw.conversations as conversations
                inner join staged on conversations._id = staged._id
            )
            select {load_id}, session_id, source_file, uuid, message_id
            from staged
            where op = 'upsert'
            union
            select {load_id}, session_id, source_file, uuid, message_id
            from previous
            """
        )

    def _remove_old_versions(self) -> int:
        """Remove the rows of what has changed; give how many of their documents are gone for good."""
        self._execute("insert into raw.tombstones select _id, source_version from staged where op = 'delete'")
        old = "delete from raw.conversations as target using staged where target._id = staged._id"
        (deleted,) = one_row(self._connection, f"{old} and staged.op = 'delete'")
        self._execute(old)
        return int(deleted)

    def _insert_staged(self, landed: str) -> int:
        """Insert the last version of what is not deleted; give how many rows."""
        (inserted,) = one_row(
            self._connection,
            f"""
            insert into raw.conversations
            select {_columns("staged")}
            from {landed} as landed
            inner join staged
                on landed.filename = staged.filename and landed.file_row_number = staged.file_row_number
            where staged.op = 'upsert'
            """,
        )
        return int(inserted)

    def _record(self, load_id: int, upserted: int, deleted: int, *, is_bulk: bool) -> None:
        manifest = sql.rows(
            _manifest_row(each.micro_batch, each.footer, load_id, self._now) for each in self._chunk
        )
        for each in self._chunk:
            if each.micro_batch.is_merged:  # some of what it replaces may have been loaded by itself
                self._execute(f"delete from raw.micro_batches where {_is_replaced_by(each.micro_batch)}")
        self._execute(f"insert into raw.micro_batches values {manifest}")
        load = sql.rows([(load_id, self._now, len(self._chunk), upserted, deleted, is_bulk)])
        self._execute(f"insert into raw.loads values {load}")

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement)


def _manifest_row(
    micro_batch: MicroBatch, footer: Footer, load_id: int, loaded_at: datetime
) -> tuple[sql.Value, ...]:
    return (
        micro_batch.id,
        micro_batch.lane,
        micro_batch.sequence,
        footer.rows,
        footer.upserts,
        footer.deletes,
        footer.dead_letters,
        footer.first_cluster_time,
        footer.last_cluster_time,
        footer.landed_at,
        load_id,
        loaded_at,
    )


def record_merged(connection: duckdb.DuckDBPyConnection, merged: MicroBatch, footer: Footer) -> None:
    """Let a merged file take the place, in the manifest, of what it replaces: all that is loaded already."""
    load_id, loaded_at = one_row(
        connection,
        f"select max(load_id), max(loaded_at) from raw.micro_batches where {_is_replaced_by(merged)}",
    )
    row = sql.rows([_manifest_row(merged, footer, load_id, loaded_at)])
    connection.begin()
    connection.execute(f"delete from raw.micro_batches where {_is_replaced_by(merged)}")
    connection.execute(f"insert into raw.micro_batches values {row}")
    connection.commit()


def _is_replaced_by(merged: MicroBatch) -> str:
    return f"micro_batch_id in (select unnest({sql.array(replaced_by(merged))}))"


def _columns(manifest: str) -> str:
    """List the columns of a row: all from the file, only the micro-batch's id from another table."""
    return ", ".join(
        f"{manifest if name == 'micro_batch_id' else 'landed'}.{sql.identifier(name)}"
        for name in RAW_CONVERSATIONS_COLUMNS
    )


def one_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the only row of an aggregate."""
    row = connection.execute(query).fetchone()
    if row is None:  # an aggregate always gives a row
        raise ValueError(query)
    return tuple(row)
