"""What a purge does to the Iceberg tables: rows go, then every file and snapshot that still has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from batch.lake.builds import current, tag_of, untag
from batch.lake.catalog import newest_with
from batch.lake.config import CATALOG
from batch.lake.gate import for_spark
from batch.lake.landed import replace_rewritten
from batch.lake.load import LANDED_SNAPSHOT, LakeLoader
from batch.lake.maintain import LakeMaintenance
from batch.lake.notes import LOAD_ID, Noted, note_load
from batch.lake.session import snapshot_properties
from batch.lake.spark_sql import literal
from batch.purge.target import Target
from stream.errors import WarehouseBusyError
from stream.warehouse.load import BULK_ROWS

_DOCUMENTS = f"{CATALOG}.raw.documents"
_LANDED = "raw.landed"
_OURS = "claude-analytics."
_DOING = "purge"
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
        """See `PurgeSide`; all is loaded before. Landed files that were replaced are registered as they are.

        Raises:
            WarehouseBusyError: Another process has begun a load in between, or loads for too long.
        """
        self.loader.load(timeout_seconds=self.lease_timeout_seconds)
        with self.loader.lock(self.lease_timeout_seconds):
            if str(self._landed_snapshot()) != self._done().get(LANDED_SNAPSHOT, "None"):
                raise WarehouseBusyError(
                    "another process has begun to load into the Iceberg tables",
                    hint="nothing was removed; run the same command again",
                )
            yield
            replace_rewritten(self.loader.catalog, self.loader.landed)
            self._move_position()

    def forget(self, target: Target) -> int:
        """See `PurgeSide`."""
        mine = f"op = 'upsert' and {for_spark(target.is_row_of_it)}"
        rows = self._number(f"select count(*) from {_DOCUMENTS} where {mine}")
        done = self._done()
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
                self._run(
                    f"call {CATALOG}.system.rewrite_data_files(table => '{name}', "
                    "options => map('delete-file-threshold', '1'))"
                )
        self._move_position()
        upkeep.keep_position()
        found = current(catalog)
        kept = tag_of(found[0]) if found else ""
        marts = [table for name in catalog.names("marts") if (table := catalog.table(f"marts.{name}"))]
        old = {ref for table in marts for ref in table.refs() if ref.startswith(tag_of("")) and ref != kept}
        untag(catalog, [ref.removeprefix(tag_of("")) for ref in sorted(old)], "marts")
        before = self.loader.clock() + _AHEAD
        for name in tables:
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

    def _move_position(self) -> None:
        """Let the present snapshots say what is loaded: older ones are about to go.

        Nothing is written but that; without a file of its own the snapshot has what the one before has.
        """
        done = {name: value for name, value in self._done().items() if name.startswith(_OURS)}
        if not done:
            return
        moved = {LANDED_SNAPSHOT: str(self._landed_snapshot())}
        with snapshot_properties(self.loader.spark.session(), done | moved):
            self._run(f"insert into {_DOCUMENTS} select * from {_DOCUMENTS} where false")

    def _done(self) -> dict[str, str]:
        documents = self.loader.catalog.table("raw.documents")
        return dict(newest_with(documents, LOAD_ID) or {}) if documents else {}

    def _landed_snapshot(self) -> int | None:
        landed = self.loader.catalog.table(_LANDED)
        snapshot = landed.current_snapshot() if landed else None
        return int(snapshot.snapshot_id) if snapshot else None

    def _run(self, statement: str) -> None:
        self.loader.spark.run(statement, doing=_DOING)

    def _number(self, query: str) -> int:
        [(number,)] = self.loader.spark.rows(query, doing=_DOING)
        return int(number or 0)
