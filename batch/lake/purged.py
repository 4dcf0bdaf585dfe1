"""What a purge does to the Iceberg tables: rows go, then every file and snapshot that still has them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

from batch.lake.builds import current, tag_of, untag
from batch.lake.config import CATALOG
from batch.lake.gate import for_spark
from batch.lake.landed_changed import replace_merged, replace_rewritten
from batch.lake.load import LANDED_SNAPSHOT, LakeLoader
from batch.lake.maintain import LakeMaintenance
from batch.lake.notes import LOAD_ID, Noted, note_load
from batch.lake.position import is_all_loaded, loaded, move_position
from batch.lake.session import snapshot_properties
from batch.lake.spark_sql import literal
from batch.purge.target import Target
from stream.errors import WarehouseBusyError
from stream.warehouse.load import BULK_ROWS

_DOCUMENTS = f"{CATALOG}.raw.documents"
_LANDED = "raw.landed"
_DOING = "purge"
_LIST_SIZE = "commit.manifest.target-size-bytes"
_AHEAD = timedelta(minutes=5)
"""Clocks of machines differ: no snapshot is younger."""


@dataclass(frozen=True)
class LakePurgeSide:
    """The tables; see `batch.purge.side.PurgeSide`.

    Attributes:
        lease_timeout_seconds: How long to wait for another loader.
    """

    loader: LakeLoader
    lease_timeout_seconds: float

    def exists(self) -> bool:
        """See `PurgeSide`."""
        return self.loader.catalog.table("raw.documents") is not None

    @contextmanager
    def keeping_loads_away(self) -> Iterator[None]:
        """See `PurgeSide`; landed files that were replaced are registered as they are.

        Raises:
            WarehouseBusyError: Another process has begun a load in between, or loads for too long.
        """
        with self._all_loaded():
            replace_merged(self.loader.catalog, self.loader.landed)  # if a merge was killed
            yield
            replace_rewritten(self.loader.catalog, self.loader.landed)
            move_position(self.loader)

    @contextmanager
    def _all_loaded(self) -> Iterator[None]:
        """Load what waits and keep other loads away: what they register now would count as loaded.

        Raises:
            WarehouseBusyError: Another process has begun a load in between, or loads for too long.
        """
        self.loader.load(timeout_seconds=self.lease_timeout_seconds)
        self.loader.spark.wait_for_executors()
        with self.loader.lock(self.lease_timeout_seconds):
            if not is_all_loaded(self.loader):
                raise WarehouseBusyError(
                    "another process has begun to load into the Iceberg tables",
                    hint="what was not removed yet is still there; run the same command again",
                )
            yield

    def forget(self, target: Target) -> int:
        """See `PurgeSide`."""
        mine = f"op = 'upsert' and {for_spark(target.is_row_of_it)}"
        rows = self._number(f"select count(*) from {_DOCUMENTS} where {mine}")
        done = loaded(self.loader)
        if not rows or not done:
            return 0
        until = int(done[LANDED_SNAPSHOT])
        load_id = int(done[LOAD_ID]) + 1
        noted = Noted(load_id, self.loader.clock(), str(until), until, 0, rows, is_bulk=rows >= BULK_ROWS)
        if not noted.is_bulk:
            self._run(
                f"insert into {CATALOG}.raw.changed_lines select distinct cast({load_id} as bigint), "
                f"session_id, source_file, uuid, message_id from {_DOCUMENTS} where {mine}"
            )
        with snapshot_properties(
            self.loader.spark.session(), noted.to_summary() | {LANDED_SNAPSHOT: str(until)}
        ):
            self._run(f"delete from {_DOCUMENTS} where {mine}")
        note_load(self.loader.catalog, self.loader.landed, noted)
        return rows

    def has_marts(self) -> bool:
        """See `PurgeSide`."""
        return bool(self.loader.catalog.names("marts"))

    def settle(self) -> None:
        """See `PurgeSide`; the snapshots that the next build is made of outlive the others."""
        for name in self.loader.catalog.names("marts"):
            self._rewrite(f"marts.{name}")

    def forget_notes(self, target: Target) -> None:
        """See `PurgeSide`; runs are noted in the journal alone."""
        del target
        for name in ("raw.changed_lines", "ops.model_changes"):
            if self.loader.catalog.table(name) is not None:
                self._run(f"delete from {CATALOG}.{name} where true")

    def wipe(self) -> None:
        """See `PurgeSide`; afterwards each table has the one snapshot that is current, with its files.

        Files with deleted rows are written again, so it takes as long as that; readers of older builds lose
        them. What a load that was killed has left of itself goes with `maintain`, once it is old enough.
        """
        catalog, upkeep = (
            self.loader.catalog,
            LakeMaintenance(self.loader.spark, self.loader.catalog, self.loader.clock),
        )
        tables = catalog.every_name()
        for name in tables:
            if name != _LANDED:
                self._rewrite(name)
        with self._all_loaded():
            self._rewrite(_LANDED)
            move_position(self.loader)
        upkeep.keep_position()
        found = current(catalog)
        kept = tag_of(found[0]) if found else ""
        marts = [table for name in catalog.names("marts") if (table := catalog.table(f"marts.{name}"))]
        old = {ref for table in marts for ref in table.refs() if ref.startswith(tag_of("")) and ref != kept}
        untag(catalog, [ref.removeprefix(tag_of("")) for ref in sorted(old)], "marts")
        before = self.loader.clock() + _AHEAD
        for name in tables:
            # With snapshots of `raw.landed` landed files go that are old: no load may meet them on their way.
            with self.loader.lock(self.lease_timeout_seconds) if name == _LANDED else nullcontext():
                self._run(
                    f"call {CATALOG}.system.expire_snapshots(table => '{name}', retain_last => 1, "
                    f"older_than => timestamp '{before:%Y-%m-%d %H:%M:%S}')"
                )

    def mentions(self, target: Target) -> int:
        """See `PurgeSide`."""
        pattern = literal(target.pattern)
        columns = ("source_file", "message_raw", "extra")
        holds = " or ".join(f"coalesce({column}, '') rlike {pattern}" for column in columns)
        others = f"op = 'upsert' and not {for_spark(target.is_row_of_it)}"
        return self._number(f"select count(*) from {_DOCUMENTS} where {others} and ({holds})")

    def rows_left(self, target: Target) -> int:
        """See `PurgeSide`; those of landed files count there."""
        counts = [f"select count(*) as rows from {_DOCUMENTS} where {for_spark(target.is_row_of_it)}"]
        catalog = self.loader.catalog
        for name in catalog.every_name():
            table = catalog.table(name)
            is_named = table is not None and target.column in table.schema().column_names
            if is_named and name not in {_LANDED, "raw.documents"}:
                where = f"`{target.column}` = {literal(target.id)}"
                counts.append(f"select count(*) from {CATALOG}.{name} where {where}")
        return self._number(f"select sum(rows) from ({' union all '.join(counts)})")

    def _rewrite(self, name: str) -> None:
        """Write again the files that have deleted rows, and the lists that name files which have gone.

        Beside the name of a file such a list has the least and the greatest value of each column in it.
        """
        if name != _LANDED:
            self._run(
                f"call {CATALOG}.system.rewrite_data_files(table => '{name}', "
                "options => map('delete-file-threshold', '1'))"
            )
        table = self.loader.catalog.table(name)
        snapshot = table.current_snapshot() if table else None
        if table is None or snapshot is None:
            return
        lists = [each for each in snapshot.manifests(table.io) if not each.content]
        if not any(each.deleted_files_count for each in lists):
            return
        with self._smaller_lists(name, lists[0].manifest_length // 2) if len(lists) == 1 else nullcontext():
            self._run(f"call {CATALOG}.system.rewrite_manifests(table => '{name}')")

    @contextmanager
    def _smaller_lists(self, name: str, size_bytes: int) -> Iterator[None]:
        """Make Iceberg rewrite a single list, which it leaves as it is unless two are to come of it."""
        self._run(f"alter table {CATALOG}.{name} set tblproperties ('{_LIST_SIZE}' = '{size_bytes}')")
        try:
            yield
        finally:
            self._run(f"alter table {CATALOG}.{name} unset tblproperties ('{_LIST_SIZE}')")

    def _run(self, statement: str) -> None:
        self.loader.spark.run(statement, doing=_DOING)

    def _number(self, query: str) -> int:
        [(number,)] = self.loader.spark.rows(query, doing=_DOING)
        return int(number or 0)
