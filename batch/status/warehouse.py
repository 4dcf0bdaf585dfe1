"""What the warehouse holds, counted for people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import duckdb

from batch.probe import probe_warehouse
from stream import sql
from stream.errors import AnalyticsError
from stream.landing.dead_letters import StoredDeadLetter
from stream.warehouse.load import one_row
from stream.warehouse.warehouse import Warehouse

_LEASE_SECONDS = 3.0


@dataclass(frozen=True)
class Summary:
    """Figures of `raw.conversations` and its manifest.

    Attributes:
        documents: Rows.
        documents_by_type: Rows of each type, most frequent first.
        conversations: Different session ids.
        projects: Different project ids.
        first_date: Of the oldest document with a timestamp.
        last_date: Of the newest document with a timestamp.
        days: Days with at least one such document.
        micro_batches: Loaded files.
        dead_letters: Rejected in loaded micro-batches.
        tombstones: Deletes remembered.
        last_loaded_at: When the newest load was done.
    """

    documents: int
    documents_by_type: Mapping[str, int]
    conversations: int
    projects: int
    first_date: date | None
    last_date: date | None
    days: int
    micro_batches: int
    dead_letters: int
    tombstones: int
    last_loaded_at: datetime | None


@dataclass(frozen=True)
class Seen:
    """What could be seen of a warehouse at a glance.

    Attributes:
        exists: Whether there is one yet.
        size_bytes: Of its file or files.
        pending: Micro-batches not loaded yet; None if it could not be asked.
        rows: In `raw`; where `summary` is None, deletions among them.
        last_loaded_at: When the newest load was done.
        summary: What counting found; None where it could not be asked, or nothing is counted.
        stale_rows: Rows of documents that were rejected since; None if nobody could say.
        problem: Why it could not be asked.
    """

    exists: bool
    size_bytes: int = 0
    pending: int | None = None
    rows: int | None = None
    last_loaded_at: datetime | None = None
    summary: Summary | None = None
    stale_rows: int | None = None
    problem: AnalyticsError | None = None


class Glance(Protocol):
    """A warehouse of either kind."""

    def look(self, letters: Sequence[StoredDeadLetter]) -> Seen:
        """See what there is; what is in the way becomes a fact.

        Args:
            letters: Documents that were rejected.
        """


@dataclass(frozen=True)
class DuckDBGlance:
    """The DuckDB file, asked if it is free."""

    warehouse: Warehouse

    def look(self, letters: Sequence[StoredDeadLetter]) -> Seen:
        """See `Glance`."""
        found: list[tuple[Summary, int]] = []
        opened = probe_warehouse(
            self.warehouse,
            timeout_seconds=_LEASE_SECONDS,
            ask=lambda connection: found.append((summarise(connection), count_stale(connection, letters))),
        )
        summary, stale_rows = found[0] if found else (None, None if opened.exists else 0)
        return Seen(
            exists=opened.exists,
            size_bytes=self.warehouse.path.stat().st_size if self.warehouse.path.exists() else 0,
            pending=opened.pending,
            rows=summary.documents if summary else None,
            last_loaded_at=summary.last_loaded_at if summary else None,
            summary=summary,
            stale_rows=stale_rows,
            problem=opened.problem,
        )


def summarise(connection: duckdb.DuckDBPyConnection) -> Summary:
    """Count what `raw` holds; reads only narrow columns."""
    totals = one_row(
        connection,
        """
        select
            count(*), count(distinct session_id), count(distinct project_id),
            min(date) filter ("timestamp" is not null), max(date) filter ("timestamp" is not null),
            count(distinct date) filter ("timestamp" is not null)
        from raw.conversations
        """,
    )
    manifest = one_row(
        connection,
        "select count(*), coalesce(sum(dead_letters), 0)::bigint, max(loaded_at) from raw.micro_batches",
    )
    (tombstones,) = one_row(connection, "select count(distinct _id) from raw.tombstones")
    by_type = connection.execute(
        "select type, count(*) as documents from raw.conversations group by all order by documents desc, type"
    ).fetchall()
    return Summary(
        documents=totals[0],
        documents_by_type=dict(by_type),
        conversations=totals[1],
        projects=totals[2],
        first_date=totals[3],
        last_date=totals[4],
        days=totals[5],
        micro_batches=manifest[0],
        dead_letters=manifest[1],
        tombstones=tombstones,
        last_loaded_at=manifest[2],
    )


def count_stale(connection: duckdb.DuckDBPyConnection, letters: Iterable[StoredDeadLetter]) -> int:
    """Count the rows of documents that have been rejected since: each is of an older version."""
    newest = {
        letter.letter.document_id: letter.rejected_at
        for letter in letters
        if letter.letter.document_id is not None
    }
    if not newest:
        return 0
    rejected = sql.rows((key, at) for key, at in newest.items())
    (found,) = one_row(
        connection,
        f"""
        select count(*)
        from raw.conversations
        inner join (values {rejected}) as rejected (_id, rejected_at) on conversations._id = rejected._id
        where conversations.extracted_at < rejected.rejected_at::timestamptz
        """,
    )
    return int(found)
