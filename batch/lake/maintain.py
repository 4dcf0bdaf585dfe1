"""Keeps Iceberg tables small: files rewritten, old snapshots expired, files that nothing names removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch.lake.builds import TABLE
from batch.lake.catalog import LOADED_TAG, Catalog, Table, newest_snapshot_with
from batch.lake.config import CATALOG
from batch.lake.landed import TABLE as LANDED
from batch.lake.notes import LOAD_ID
from batch.lake.session import Spark
from stream.clock import Clock

_ORPHAN_AGE = timedelta(days=3)
"""Younger files may be those of a commit under way; Iceberg itself refuses less than a day."""
_ORPHANS_EACH = timedelta(days=1)
_LOOKED_AT = "claude-analytics.orphans-looked-for-at"
"""Property of `ops.published_builds`."""
_WRITTEN_BY_SPARK = ("documents", "loads", "changed_lines", "micro_batches")


@dataclass(frozen=True)
class LakeMaintenance:
    """Everything maintenance needs; the caller has the pipeline lock.

    Landed files are left alone: `raw.landed` consists of them (see `batch.lake.landed_retention`).

    Attributes:
        snapshots_kept: How long snapshots are kept beside those of published builds.
    """

    spark: Spark
    catalog: Catalog
    clock: Clock
    snapshots_kept: timedelta = timedelta(days=5)

    def run(self) -> list[str]:
        """Do all of it; return what was done, in a few words each.

        Raises:
            StepFailedError: Spark refused; what was done before stays done.
        """
        if self.catalog.table("raw.documents") is None:
            return []
        self.keep_position()
        forgotten = self._forget_changed_lines()
        rewritten = sum(self._rewrite(f"raw.{name}") for name in _WRITTEN_BY_SPARK)
        tables = self.catalog.every_name()
        expired = sum(map(self._expire, tables))
        orphans = self._remove_all_orphans(tables)
        counts = {
            "changed lines forgotten": forgotten,
            "data files rewritten": rewritten,
            "files of old snapshots removed": expired,
            "orphan files removed": orphans,
        }
        return [f"{number:,} {what}" for what, number in counts.items() if number]

    def keep_position(self) -> None:
        """Tag what says how far is loaded: a rewritten table's newest snapshot does not."""
        documents = self.catalog.table("raw.documents")
        found = newest_snapshot_with(documents, LOAD_ID)
        if found is None:
            return
        snapshot_id, properties = found
        until = properties["claude-analytics.landed-snapshot"]
        for name, version in (("documents", snapshot_id), ("landed", until)):
            tagged = f"create or replace tag {LOADED_TAG} as of version {version}"
            self.spark.run(f"alter table {CATALOG}.raw.{name} {tagged}", doing=f"tag `raw.{name}`")

    def _forget_changed_lines(self) -> int:
        """Delete what every model has seen of `raw.changed_lines`, as in DuckDB."""
        if self.catalog.table("ops.model_inputs") is None:
            return 0
        lines, doing = f"{CATALOG}.raw.changed_lines", "forget changed lines"
        inputs = f"select min(input_sequence) from {CATALOG}.ops.model_inputs where input = 'raw'"
        [(seen,)] = self.spark.rows(inputs, doing=doing)
        seen = f"load_id <= {int(seen or 0)}"  # as a constant, so that whole files go without being read
        [(rows,)] = self.spark.rows(f"select count(*) from {lines} where {seen}", doing=doing)
        if rows:
            self.spark.run(f"delete from {lines} where {seen}", doing=doing)
        return int(rows)

    def _rewrite(self, table: str) -> int:
        rows = self.spark.rows(
            f"call {CATALOG}.system.rewrite_data_files(table => '{table}', "
            "options => map('delete-ratio-threshold', '0.1'))",
            doing=f"rewrite `{table}`",
        )
        return int(rows[0][0]) if rows else 0

    def _expire(self, table: str) -> int:
        before = self.clock() - self.snapshots_kept
        if not has_snapshot_before(self.catalog.table(table), before):
            return 0  # without asking Spark, which takes a second to say so
        if table == LANDED:
            return self._forget_landed(before)
        rows = self.spark.rows(
            f"call {CATALOG}.system.expire_snapshots(table => '{table}', "
            f"older_than => timestamp '{before:%Y-%m-%d %H:%M:%S}')",
            doing=f"expire snapshots of `{table}`",
        )
        return sum(int(number or 0) for number in rows[0]) if rows else 0

    def _forget_landed(self, before: datetime) -> int:
        """Expire snapshots without the files that they named, as Spark would: those are the landed files."""
        self.catalog.commit(
            LANDED, lambda table: table.maintenance.expire_snapshots().older_than(before).commit()
        )
        return 0

    def _remove_all_orphans(self, tables: Sequence[str]) -> int:
        """Look for orphans once a day: it lists every file there is."""
        noted = self.catalog.table(TABLE)
        now, at = self.clock(), noted.properties.get(_LOOKED_AT) if noted else None
        if at is not None and now - datetime.fromisoformat(at) < _ORPHANS_EACH:
            return 0
        removed = sum(map(self._remove_orphans, tables))
        note_look(self.catalog, now)
        return removed

    def _remove_orphans(self, table: str) -> int:
        before = self.clock() - _ORPHAN_AGE
        listing = ", prefix_listing => true" if self.spark.config.is_remote else ""
        rows = self.spark.rows(
            f"call {CATALOG}.system.remove_orphan_files(table => '{table}', "
            f"older_than => timestamp '{before:%Y-%m-%d %H:%M:%S}'{listing})",
            doing=f"remove orphan files of `{table}`",
        )
        return len(rows)


def has_snapshot_before(table: Table | None, before: datetime) -> bool:
    """Whether a table has a snapshot of a time before, beside the present one."""
    present = table.current_snapshot() if table else None
    if table is None or present is None:
        return False
    milliseconds = before.timestamp() * 1000
    others = (each for each in table.snapshots() if each.snapshot_id != present.snapshot_id)
    return any(each.timestamp_ms < milliseconds for each in others)


def note_look(catalog: Catalog, at: datetime) -> None:
    """Write down when orphan files were looked for last; for a day nobody looks again.

    Raises:
        StepFailedError: Nothing has been published, so there is no table to write it to.
    """

    def note(table: Table) -> None:
        with table.transaction() as transaction:
            transaction.set_properties({_LOOKED_AT: at.isoformat()})

    catalog.commit(TABLE, note)
