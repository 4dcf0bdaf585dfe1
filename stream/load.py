"""One load transaction: the last change of each document, the manifest, and what changed for the marts.

Versions (cluster times) decide which of two changes of a document is the later, in whatever order they load;
tombstones keep an older row from bringing a deleted document back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from stream.clock import Clock
from stream.micro_batch import Footer, MicroBatch
from stream.schema import RAW_CONVERSATIONS_COLUMNS

BULK_ROWS = 100_000
"""From so many changed rows on, a load says "everything may have changed" instead of listing lines."""

_COLUMNS = ", ".join(f'"{name}"' for name in RAW_CONVERSATIONS_COLUMNS)


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
        chunk: Sequence[tuple[MicroBatch, Footer]],
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._chunk = chunk
        self._now = clock()

    def run(self) -> LoadResult:
        """Merge the last change of each document, note what changed, mark the micro-batches as loaded."""
        (load_id,) = one_row(self._connection, "select coalesce(max(load_id), 0) + 1 from raw.loads")
        rows = sum(footer.rows for _, footer in self._chunk)
        upserted = deleted = 0
        is_bulk = rows >= BULK_ROWS
        if rows:
            self._stage()
            if not is_bulk:
                self._record_changed_lines(load_id)
            upserted, deleted = self._merge()
        self._record(load_id, upserted, deleted, is_bulk=is_bulk)
        return LoadResult(len(self._chunk), rows, upserted, deleted)

    def _stage(self) -> None:
        """Put the last change of each `_id` into `staged`, less what a tombstone or a newer row outdates."""
        self._connection.execute(
            "create or replace temp table staged_files as "
            "select unnest(?) as filename, unnest(?) as micro_batch_id, unnest(?) as position",
            [
                [str(micro_batch.path) for micro_batch, _ in self._chunk],
                [micro_batch.id for micro_batch, _ in self._chunk],
                list(range(len(self._chunk))),
            ],
        )
        self._connection.execute(
            """
            create or replace temp table staged as
            select landed.* exclude (file_row_number), staged_files.micro_batch_id
            from read_parquet(?, filename = true, file_row_number = true, hive_partitioning = false) as landed
            inner join staged_files on landed.filename = staged_files.filename
            qualify row_number() over (
                partition by landed._id
                order by landed.source_version desc, staged_files.position desc, landed.file_row_number desc
            ) = 1
            """,
            [[str(micro_batch.path) for micro_batch, _ in self._chunk]],
        )
        self._connection.execute(
            """
            delete from staged using raw.tombstones as tombstones
            where staged._id = tombstones._id and tombstones.source_version > staged.source_version
            """
        )

    def _record_changed_lines(self, load_id: int) -> None:
        self._connection.execute(
            """
            insert into raw.changed_lines
            select ?, session_id, source_file, uuid, message_id from staged where op = 'upsert'
            union
            select
                ?, conversations.session_id, conversations.source_file, conversations.uuid,
                json_extract_string(conversations.message_raw, '$.id')
            from raw.conversations as conversations
            inner join staged on conversations._id = staged._id
            where staged.source_version >= conversations.source_version
            """,
            [load_id, load_id],
        )

    def _merge(self) -> tuple[int, int]:
        values = ", ".join(f'staged."{name}"' for name in RAW_CONVERSATIONS_COLUMNS)
        updates = ", ".join(f'"{name}" = staged."{name}"' for name in RAW_CONVERSATIONS_COLUMNS)
        actions = self._connection.execute(
            f"""
            merge into raw.conversations as target
            using (select * from staged order by _id) as staged
            on target._id = staged._id
            when matched and staged.source_version < target.source_version then do nothing
            when matched and staged.op = 'delete' then delete
            when matched then update set {updates}
            when not matched and staged.op = 'upsert' then insert ({_COLUMNS}) values ({values})
            returning merge_action
            """  # noqa: S608 - column names are ours
        ).fetchall()
        self._connection.execute(
            "insert into raw.tombstones select _id, source_version from staged where op = 'delete'"
        )
        deleted = sum(1 for (action,) in actions if action == "DELETE")
        return len(actions) - deleted, deleted

    def _record(self, load_id: int, upserted: int, deleted: int, *, is_bulk: bool) -> None:
        self._connection.executemany(
            "insert into raw.micro_batches values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
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
                    self._now,
                )
                for micro_batch, footer in self._chunk
            ],
        )
        self._connection.execute(
            "insert into raw.loads values (?, ?, ?, ?, ?, ?)",
            [load_id, self._now, len(self._chunk), upserted, deleted, is_bulk],
        )


def one_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    """Give the only row of an aggregate."""
    row = connection.execute(query).fetchone()
    if row is None:  # an aggregate always gives a row
        raise ValueError(query)
    return row
