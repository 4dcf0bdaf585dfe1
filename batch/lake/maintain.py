"""Keeps Iceberg tables small: files rewritten, old snapshots expired, files that nothing names removed."""

from dataclasses import dataclass
from datetime import timedelta

from batch.lake.catalog import LOADED_TAG, Catalog, newest_snapshot_with
from batch.lake.config import CATALOG
from batch.lake.notes import LOAD_ID
from batch.lake.session import Spark
from stream.clock import Clock

_ORPHAN_AGE = timedelta(days=3)
"""Younger files may be those of a commit under way; Iceberg itself refuses less than a day."""
_WRITTEN_BY_SPARK = ("documents", "loads", "changed_lines", "micro_batches")


@dataclass(frozen=True)
class LakeMaintenance:
    """Everything maintenance needs; the caller has the pipeline lock.

    Landed files are left alone: `raw.landed` consists of them.

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
        if not self.catalog.is_made() or self.catalog.table("raw.documents") is None:
            return []
        self.keep_position()
        rewritten = sum(self._rewrite(f"raw.{name}") for name in _WRITTEN_BY_SPARK)
        tables = ["raw.landed", *(f"raw.{name}" for name in _WRITTEN_BY_SPARK)]
        for schema in ("ops", "marts"):
            tables += [f"{schema}.{name}" for name in self.catalog.names(schema)]
        expired = sum(map(self._expire, tables))
        orphans = sum(map(self._remove_orphans, tables))
        counts = {
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

    def _rewrite(self, table: str) -> int:
        rows = self.spark.rows(
            f"call {CATALOG}.system.rewrite_data_files(table => '{table}', "
            "options => map('delete-ratio-threshold', '0.1'))",
            doing=f"rewrite `{table}`",
        )
        return int(rows[0][0]) if rows else 0

    def _expire(self, table: str) -> int:
        before = self.clock() - self.snapshots_kept
        rows = self.spark.rows(
            f"call {CATALOG}.system.expire_snapshots(table => '{table}', "
            f"older_than => timestamp '{before:%Y-%m-%d %H:%M:%S}')",
            doing=f"expire snapshots of `{table}`",
        )
        return sum(int(number or 0) for number in rows[0]) if rows else 0

    def _remove_orphans(self, table: str) -> int:
        before = self.clock() - _ORPHAN_AGE
        listing = ", prefix_listing => true" if self.spark.config.location.startswith("s3://") else ""
        rows = self.spark.rows(
            f"call {CATALOG}.system.remove_orphan_files(table => '{table}', "
            f"older_than => timestamp '{before:%Y-%m-%d %H:%M:%S}'{listing})",
            doing=f"remove orphan files of `{table}`",
        )
        return len(rows)
