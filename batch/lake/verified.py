"""What a verification asks of the Iceberg tables: rows are digested where they are, and compared here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from batch.dead_letters import AS_IS_FIELD
from batch.lake.config import CATALOG
from batch.lake.load import LakeLoader
from batch.lake.session import spark_errors
from batch.lake.spark_sql import from_duckdb, literals
from batch.verify.digest import PORTABLE_DIGEST, portable_digest
from batch.verify.pending import Pending
from batch.verify.report import Kind
from batch.verify.warehouse_side import StoredRow, differences

_DOING = "verify"
DIGEST = portable_digest(
    of_instant="unix_micros({})",
    of_date="unix_date({})",
    quote="`",
    of_text="cast(conv(substr(md5({}), 1, 15), 16, 10) as bigint)",
)


@dataclass(frozen=True)
class LakeSide:
    """The Iceberg tables; of a piece, keys and digests travel, never the rows.

    Attributes:
        lease_timeout_seconds: How long to wait for another loader.
    """

    loader: LakeLoader
    lease_timeout_seconds: float
    digest: str = PORTABLE_DIGEST

    def compare(self, digests: Path, predicate: str) -> tuple[int, dict[str, Kind]]:
        """See `batch.verify.warehouse_side.WarehouseSide`."""
        self.loader.prepare()
        frame = self.loader.spark.run(
            f"select _id, count(*) as copies, min({DIGEST}) as digest from {CATALOG}.raw.conversations "
            f"where {from_duckdb(predicate)} group by _id",
            doing=_DOING,
        )
        with spark_errors(_DOING):
            found = frame.toArrow()
        with duckdb.connect(config={"threads": 1, "memory_limit": "256MB"}) as connection:
            connection.register("found", found)
            stored = "select _id, copies, cast(digest as ubigint) as digest from found"
            different = differences(connection, digests=digests, stored=stored)
            [(rows,)] = connection.execute("select coalesce(sum(copies), 0)::bigint from found").fetchall()
        return int(rows), different

    def look(self, keys: Sequence[str]) -> tuple[Pending, dict[str, StoredRow]]:
        """See `batch.verify.warehouse_side.WarehouseSide`."""
        self.loader.prepare()
        pending = self.loader.landed.pending(self.loader.pending())
        found = self.loader.spark.rows(
            f"""
            select
                _id, count(*), min({DIGEST}),
                bool_or(coalesce(get_json_object(extra, '$.{AS_IS_FIELD}') is not null
                    and message_raw is null, false)),
                min(source_version)
            from {CATALOG}.raw.conversations
            where _id in {literals(keys)}
            group by _id
            """,
            doing=_DOING,
        )
        return pending, {key: StoredRow(*facts) for key, *facts in found}

    def versions(self, keys: Collection[str]) -> dict[str, int]:
        """See `batch.verify.warehouse_side.WarehouseSide`."""
        self.loader.prepare()
        found = self.loader.spark.rows(
            f"select _id, source_version from {CATALOG}.raw.documents where _id in {literals(keys)}",
            doing=_DOING,
        )
        return dict(found)

    def load(self) -> object:
        """See `batch.verify.warehouse_side.WarehouseSide`."""
        return self.loader.load(timeout_seconds=self.lease_timeout_seconds)
