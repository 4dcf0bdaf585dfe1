"""What the warehouse says: which of its rows differ from a piece of the collection, and single rows."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb

from batch.dead_letters import AS_IS_FIELD
from batch.verify.digest import DIGEST
from batch.verify.pending import Pending, PendingFiles
from batch.verify.report import Kind
from stream import sql
from stream.warehouse.load import one_row
from stream.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class StoredRow:
    """What the warehouse holds of one `_id`.

    Attributes:
        copies: Rows with this `_id`; more than one is a defect.
        digest: Of one of them.
        is_as_is: Whether it holds a rejected document as it is, since a person decided so.
        source_version: Cluster time of the change that made it.
    """

    copies: int
    digest: int
    is_as_is: bool = False
    source_version: int = 0


class WarehouseSide(Protocol):
    """What a verification asks of a warehouse, whichever it is."""

    @property
    def digest(self) -> str:
        """The digest of documents, as DuckDB's SQL; that of an equal row is the same."""

    def compare(self, digests: Path, predicate: str) -> tuple[int, dict[str, Kind]]:
        """Compare a piece of the warehouse with what was read of the collection.

        Args:
            digests: Parquet file of `DIGEST_SCHEMA`.
            predicate: Which rows are compared.

        Returns:
            The number of rows, and each `_id` that differs, as it looks at first sight.
        """

    def look(self, keys: Sequence[str]) -> tuple[Pending, dict[str, StoredRow]]:
        """Return what has landed and is not loaded, and the rows of some `_id`s."""

    def versions(self, keys: Collection[str]) -> dict[str, int]:
        """Return the newest version that is known of each of these, deleted ones too."""

    def load(self) -> object:
        """Load what has landed."""


@dataclass(frozen=True)
class DuckDBSide:
    """The DuckDB file, opened for as long as each question takes.

    Attributes:
        lease_timeout_seconds: How long to wait for others to release it.
    """

    warehouse: Warehouse
    lease_timeout_seconds: float
    digest: str = DIGEST

    def compare(self, digests: Path, predicate: str) -> tuple[int, dict[str, Kind]]:
        """See `WarehouseSide`."""
        with self._opened() as connection:
            (rows,) = one_row(connection, f"select count(*) from raw.conversations where {predicate}")
            stored = (
                f"select _id, count(*) as copies, min({DIGEST}) as digest from raw.conversations "
                f"where {predicate} group by _id"
            )
            return int(rows), differences(connection, digests=digests, stored=stored)

    def look(self, keys: Sequence[str]) -> tuple[Pending, dict[str, StoredRow]]:
        """See `WarehouseSide`."""
        with self._opened() as connection:
            return PendingFiles(self.warehouse.pending(connection)), stored_rows(connection, keys)

    def versions(self, keys: Collection[str]) -> dict[str, int]:
        """See `WarehouseSide`."""
        with self._opened() as connection:
            return known_versions(connection, keys)

    def load(self) -> object:
        """See `WarehouseSide`."""
        return self.warehouse.load(timeout_seconds=self.lease_timeout_seconds)

    def _opened(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return self.warehouse.opened(timeout_seconds=self.lease_timeout_seconds)


def differences(connection: duckdb.DuckDBPyConnection, *, digests: Path, stored: str) -> dict[str, Kind]:
    """Return each `_id` whose rows differ from what was read of the collection.

    Args:
        connection: That the query runs on.
        digests: Parquet file of `DIGEST_SCHEMA`.
        stored: Query of the rows: `_id`, how many there are of it, and the digest of one.
    """
    found = connection.execute(
        f"""
        with stored as ({stored})
        select
            coalesce(expected._id, stored._id),
            case
                when stored._id is null then 'missing'
                when expected._id is null then 'extra'
                when stored.copies > 1 then 'duplicate'
                else 'different'
            end
        from read_parquet({sql.literal(str(digests))}) as expected
        full outer join stored on expected._id = stored._id
        where stored.copies is distinct from 1 or expected.digest is distinct from stored.digest
        """
    ).fetchall()
    return dict(found)


def known_versions(connection: duckdb.DuckDBPyConnection, keys: Collection[str]) -> dict[str, int]:
    """Return the newest version that is known of each of these, deleted ones too."""
    wanted = f"(select unnest({sql.array(keys)}::varchar[]))"
    found = connection.execute(
        f"""
        select _id, max(source_version)
        from (
            select _id, source_version from raw.conversations where _id in {wanted}
            union all
            select _id, source_version from raw.tombstones where _id in {wanted}
        )
        group by _id
        """
    ).fetchall()
    return dict(found)


def stored_rows(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> dict[str, StoredRow]:
    """Return the rows of some `_id`s; what is not there is left out."""
    found = connection.execute(
        f"""
        select
            _id, count(*), min({DIGEST}),
            bool_or(coalesce(json_exists(extra, '$.{AS_IS_FIELD}') and message_raw is null, false)),
            min(source_version)
        from raw.conversations
        where _id in (select unnest({sql.array(keys)}::varchar[]))
        group by _id
        """
    ).fetchall()
    return {key: StoredRow(*facts) for key, *facts in found}


def judge(expected: Mapping[str, int | None], stored: Mapping[str, StoredRow], key: str) -> Kind | None:
    """Say how a document and its row differ; None if they do not.

    Args:
        expected: Digests of documents by `_id`; None for one that cannot become a row.
        stored: Rows by `_id`.
        key: The `_id`.
    """
    row = stored.get(key)
    if key not in expected:
        return "extra" if row else None
    if row is None:
        return "missing"
    if row.copies > 1:
        return "duplicate"
    if expected[key] is None and row.is_as_is:
        return "dead letter"
    return None if row.digest == expected[key] else "different"
