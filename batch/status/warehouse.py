"""What the warehouse holds, counted for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from stream import sql
from stream.landing.dead_letters import StoredDeadLetter
from stream.warehouse.load import one_row


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
