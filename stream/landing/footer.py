"""The footer of a landed file: what it says about itself, and how it is summed up."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stream.core.cluster_time import upgraded
from stream.core.position import Position
from stream.core.schema import LANDING_SCHEMA_VERSION
from stream.core.state import State

FIRST_WITH_LASTING_TIMES = 4
"""The landing schema version since which cluster times are packed as `stream.core.cluster_time` does."""

_KEY = b"claude_analytics"


class Footer(State):
    """What a landed file says about itself.

    Attributes:
        micro_batch_id: `MicroBatch.id`.
        rows: Upserts, deletes and truncate markers together.
        dead_letters: Documents rejected in the same window.
        first_cluster_time: Oldest `source_version` of upserts and deletes, None without any.
        last_cluster_time: Newest `source_version` of upserts and deletes, None without any.
        position: Where the stream stood behind its last event; None in a backfill lane.
        landed_at: When it was written.
        truncate_marker: Cluster time below which every row of the collection is deleted, wherever it lands
            and whenever it is loaded. None without one.
        schema_version: Of the rows in the file; the times here are as now, whatever the version.
    """

    micro_batch_id: str
    rows: int
    upserts: int
    deletes: int
    dead_letters: int
    first_cluster_time: int | None
    last_cluster_time: int | None
    position: Position | None
    landed_at: datetime
    truncate_marker: int | None = None
    schema_version: int = LANDING_SCHEMA_VERSION

    @property
    def is_old(self) -> bool:
        """Whether keys and cluster times of its rows are written as before schema version 4."""
        return self.schema_version < FIRST_WITH_LASTING_TIMES

    def with_rows(self, operations: Counter[str]) -> "Footer":
        """Return the footer of the same file written again with other rows, counted by `op`."""
        return self.model_copy(update=_counted(operations) | {"schema_version": LANDING_SCHEMA_VERSION})

    def to_metadata(self) -> dict[bytes, bytes]:
        """Return the form it has in a Parquet footer."""
        return {_KEY: self.to_json()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None, *, what: str) -> "Footer":
        """Read what `to_metadata` gave; raises as `from_json`."""
        content = (metadata or {}).get(_KEY)
        if content is None:
            raise ValueError("it has no footer of this program")
        return cls.from_json(content, what=what)

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Return the fields as this version writes them, with the version of the rows."""
        if "floor" in fields:  # its name in schema version 2
            fields["truncate_marker"] = fields.pop("floor")
        if version < FIRST_WITH_LASTING_TIMES:
            for name in ("first_cluster_time", "last_cluster_time", "truncate_marker"):
                if fields.get(name) is not None:
                    fields[name] = upgraded(fields[name])
        return fields | {"schema_version": version}


def _counted(operations: Counter[str]) -> dict[str, int]:
    return {"rows": operations.total(), "upserts": operations["upsert"], "deletes": operations["delete"]}


def make_footer(
    micro_batch_id: str,
    operations: Counter[str],
    *,
    versions: Iterable[int | None],
    landed_at: datetime,
    dead_letters: int = 0,
    position: Position | None = None,
    truncate_marker: int | None = None,
) -> Footer:
    """Sum a file up.

    Args:
        micro_batch_id: `MicroBatch.id`.
        operations: Rows by `op`.
        versions: Oldest and newest of upserts and deletes; None counts for nothing.
        landed_at: As in `Footer`, like all that follow.
        dead_letters: See there.
        position: See there.
        truncate_marker: See there.
    """
    known = [version for version in versions if version is not None]
    return Footer(
        micro_batch_id=micro_batch_id,
        **_counted(operations),
        dead_letters=dead_letters,
        first_cluster_time=min(known, default=None),
        last_cluster_time=max(known, default=None),
        position=position,
        landed_at=landed_at,
        truncate_marker=truncate_marker,
    )


def footer_of(
    micro_batch_id: str,
    table: pa.Table,
    *,
    landed_at: datetime,
    dead_letters: int = 0,
    position: Position | None = None,
) -> Footer:
    """Sum up a file whose rows are all at hand, in columns of `LANDING_SCHEMA`."""
    operation, version = table["op"], table["source_version"]
    is_marker = pc.equal(operation, "truncate")
    return make_footer(
        micro_batch_id,
        Counter({each["values"].as_py(): each["counts"].as_py() for each in operation.value_counts()}),
        versions=pc.min_max(version.filter(pc.invert(is_marker))).as_py().values(),
        landed_at=landed_at,
        dead_letters=dead_letters,
        position=position,
        truncate_marker=pc.max(version.filter(is_marker)).as_py(),
    )
