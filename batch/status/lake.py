"""What the Iceberg tables hold: at a glance by their metadata, without Spark; or counted in Spark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batch.lake.catalog import Catalog, Table, newest_with
from batch.lake.config import CATALOG
from batch.lake.load import LakeLoader
from batch.lake.notes import LOAD_ID, Noted
from batch.status.warehouse import Seen, Summary
from stream.errors import AnalyticsError
from stream.landing.dead_letters import StoredDeadLetter

_SCHEMAS = ("raw", "ops", "marts")
_OF_LANDED_FILES = "raw.landed"
"""A table without files of its own."""


@dataclass(frozen=True)
class LakeGlance:
    """The tables; see `batch.status.warehouse.Glance`."""

    loader: LakeLoader

    def look(self, letters: Sequence[StoredDeadLetter]) -> Seen:
        """See `Glance`; whether rows are of an older version than a rejected document, only `verify` says."""
        try:
            return _look(self.loader)
        except AnalyticsError as error:
            return Seen(exists=True, stale_rows=None if letters else 0, problem=error)


def _look(loader: LakeLoader) -> Seen:
    documents = loader.catalog.table("raw.documents")
    if documents is None:
        return Seen(exists=False, stale_rows=0)
    done = newest_with(documents, LOAD_ID)
    return Seen(
        exists=True,
        size_bytes=_size_bytes(loader.catalog),
        pending=len(loader.pending()),
        rows=live_rows(_summary(documents)),
        last_loaded_at=Noted.from_summary(done).loaded_at if done else None,
    )


def summarise_lake(loader: LakeLoader) -> Summary:
    """Count what `raw` holds, as `batch.status.warehouse.summarise` does; Spark reads narrow columns of it.

    Raises:
        StepFailedError: Spark failed.
    """
    rows, doing = loader.spark.rows, "count what `raw` holds"
    conversations, has_time = f"{CATALOG}.raw.conversations", "filter (where `timestamp` is not null)"
    [totals] = rows(
        f"""
        select
            count(distinct session_id), count(distinct project_id),
            min(date) {has_time}, max(date) {has_time}, count(distinct date) {has_time}
        from {conversations}
        """,
        doing=doing,
    )
    by_type = rows(
        f"select type, count(*) as number from {conversations} group by type order by number desc, type",
        doing=doing,
    )
    [manifest] = rows(
        f"select count(*), coalesce(sum(dead_letters), 0) from {CATALOG}.raw.micro_batches", doing=doing
    )
    [(tombstones,)] = rows(f"select count(*) from {CATALOG}.raw.documents where op = 'delete'", doing=doing)
    done = newest_with(loader.catalog.table("raw.documents"), LOAD_ID)
    return Summary(
        documents=sum(documents for _, documents in by_type),
        documents_by_type=dict(by_type),
        conversations=totals[0],
        projects=totals[1],
        first_date=totals[2],
        last_date=totals[3],
        days=totals[4],
        micro_batches=manifest[0],
        dead_letters=manifest[1],
        tombstones=tombstones,
        last_loaded_at=Noted.from_summary(done).loaded_at if done else None,
    )


def live_rows(summary: Mapping[str, str]) -> int:
    """Return how many rows a snapshot has, by its summary: those of its files but those marked as gone."""
    return int(summary.get("total-records", 0)) - int(summary.get("total-position-deletes", 0))


def _size_bytes(catalog: Catalog) -> int:
    names = [f"{schema}.{name}" for schema in _SCHEMAS for name in catalog.names(schema)]
    tables = [catalog.table(name) for name in names if name != _OF_LANDED_FILES]
    return sum(int(_summary(table).get("total-files-size", 0)) for table in tables if table is not None)


def _summary(table: Table) -> Mapping[str, str]:
    snapshot = table.current_snapshot()
    found: Mapping[str, str] = snapshot.summary.additional_properties if snapshot and snapshot.summary else {}
    return found
