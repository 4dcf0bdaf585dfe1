"""What a load notes once it is committed: its row in `raw.loads`, and its micro-batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import pyarrow as pa

from batch.lake.catalog import Catalog, Table
from batch.lake.landed import TABLE, known_at, registered_between
from batch.lake.landed_files import ALL, Landed, LandedFile
from stream.landing.footer import Footer

LOAD_ID = "claude-analytics.load-id"
_FACTS = "claude-analytics.load"
_CHUNK = 1_000
"""Footers at a time."""


@dataclass(frozen=True)
class Noted:
    """What the summary of a load's snapshot says.

    Attributes:
        load_id: Counted from 1.
        loaded_at: When.
        since: Snapshot of `raw.landed` behind which it began; None if it loaded all, as the first does.
        until: Snapshot of `raw.landed` up to which it loaded.
        rows_upserted: Documents inserted or replaced.
        rows_deleted: Documents removed.
        is_bulk: Whether everything may have changed.
    """

    load_id: int
    loaded_at: datetime
    since: str | None
    until: int
    rows_upserted: int
    rows_deleted: int
    is_bulk: bool

    def to_summary(self) -> dict[str, str]:
        """Return it as properties of a snapshot."""
        facts = (
            self.loaded_at.isoformat(),
            self.since or "",
            self.until,
            self.rows_upserted,
            self.rows_deleted,
            int(self.is_bulk),
        )
        return {LOAD_ID: str(self.load_id), _FACTS: ",".join(map(str, facts))}

    @classmethod
    def from_summary(cls, summary: Mapping[str, str]) -> "Noted":
        """Read what `to_summary` gave.

        Raises:
            KeyError, ValueError: It is something else.
        """
        loaded_at, since, until, upserted, deleted, is_bulk = summary[_FACTS].split(",")
        return cls(
            int(summary[LOAD_ID]),
            datetime.fromisoformat(loaded_at),
            since or None,
            int(until),
            int(upserted),
            int(deleted),
            is_bulk=is_bulk == "1",
        )


def note_load(catalog: Catalog, landed: Landed, noted: Noted) -> int:
    """Note a load and its micro-batches unless that is done; return how many micro-batches it had.

    Args:
        catalog: Of the tables.
        landed: Its files are asked for their footers; one that is there no more is left out.
        noted: The load.
    """
    if _has(catalog.table("raw.loads"), noted.load_id):
        return 0
    # Looked at again with each try: without a lock, another may have noted the same.
    found = _micro_batches(catalog, landed, noted)
    if found and not _has(catalog.table("raw.micro_batches"), noted.load_id):
        rows = _manifest(catalog.table("raw.micro_batches"), landed, found, noted)

        def put(table: Table) -> None:
            if not _has(table, noted.load_id):
                _put(table, rows, is_first=noted.since is None)

        catalog.commit("raw.micro_batches", put)
    row = {
        "load_id": noted.load_id,
        "loaded_at": noted.loaded_at,
        "micro_batches": len(found),
        "rows_upserted": noted.rows_upserted,
        "rows_deleted": noted.rows_deleted,
        "is_bulk": noted.is_bulk,
    }

    def append(table: Table) -> None:
        if not _has(table, noted.load_id):
            table.append(_rows(table, [row]))

    catalog.commit("raw.loads", append)
    return len(found)


def newest_noted(catalog: Catalog) -> int:
    """Return the id of the newest load that is noted; 0 before the first."""
    table = catalog.table("raw.loads")
    ids = table.scan(selected_fields=("load_id",)).to_arrow()["load_id"] if table else []
    return max((each.as_py() for each in ids), default=0)


def noted_between(catalog: Catalog, lane: str, first: int, last: int) -> set[str]:
    """Return the ids of a lane's micro-batches that are noted as loaded, from one number to another."""
    from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThanOrEqual  # noqa: PLC0415 - see the package

    table = catalog.table("raw.micro_batches")
    if table is None:
        return set()
    numbered = And(GreaterThanOrEqual("sequence", first), LessThanOrEqual("sequence", last))
    found = table.scan(And(EqualTo("lane", lane), numbered), selected_fields=("micro_batch_id",)).to_arrow()
    return set(found["micro_batch_id"].to_pylist())


def _put(table: Table, rows: pa.Table, *, is_first: bool) -> None:
    """Add rows; those of a load that began at the start, with all that is there, take the place of others."""
    if is_first and table.current_snapshot() is not None:
        table.overwrite(rows)
    else:
        table.append(rows)


def _has(table: Table, load_id: int) -> bool:
    return bool(table.scan(f"load_id = {load_id}", selected_fields=("load_id",)).to_arrow().num_rows)


def _rows(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=table.schema().as_arrow())


def _micro_batches(catalog: Catalog, landed: Landed, noted: Noted) -> list[LandedFile]:
    """Find what was registered between the two snapshots of a load."""
    table = catalog.table(TABLE)
    if table is None:
        return []
    since = int(noted.since) if noted.since else None
    before = known_at(table, since) if since is not None and table.snapshot_by_id(since) else None
    ids = registered_between(table, since, noted.until)
    return [each for each in landed.files(before.known_to() if before else ALL) if each.id in ids]


def _manifest(table: Table, landed: Landed, files: Sequence[LandedFile], noted: Noted) -> pa.Table:
    """Return the rows of `raw.micro_batches`; as columns they take little memory, however many they are."""
    rows = map(lambda file, footer: _manifest_row(file, footer, noted), files, landed.footers(files))
    chunks = iter(lambda: list(islice(rows, _CHUNK)), [])
    return pa.concat_tables(_rows(table, chunk) for chunk in chunks)


def _manifest_row(file: LandedFile, footer: Footer, noted: Noted) -> dict[str, Any]:
    return {
        "micro_batch_id": file.id,
        "lane": file.lane,
        "sequence": file.sequence,
        "rows": footer.rows,
        "upserts": footer.upserts,
        "deletes": footer.deletes,
        "dead_letters": footer.dead_letters,
        "first_cluster_time": footer.first_cluster_time,
        "last_cluster_time": footer.last_cluster_time,
        "landed_at": footer.landed_at,
        "load_id": noted.load_id,
        "loaded_at": noted.loaded_at,
    }
