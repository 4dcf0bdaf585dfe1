"""Which build of the marts is the current one: tags on the tables, and one commit of a pointer.

Each table of a build is tagged `build-<id>`, so its snapshot outlives every expiry. One append to
`ops.published_builds`, a row for each mart, makes the build the current one: readers who take the snapshots
of the rows with the highest sequence see all of one build, also while the next is made. To roll back is to
append the rows of an earlier build again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from batch.lake.catalog import Catalog, Table
from stream.errors import SettingsError

TABLE = "ops.published_builds"


@dataclass(frozen=True)
class BuiltTable:
    """One table as it is in a build.

    Attributes:
        schema: Of the table.
        name: Of the table.
        table_uuid: Tells it from another one of the same name.
        snapshot_id: What the build holds of it.
    """

    schema: str
    name: str
    table_uuid: str
    snapshot_id: int


def tables_now(catalog: Catalog, schema: str) -> list[BuiltTable]:
    """Return the tables of a schema as they are, by name; those without rows ever written are left out."""
    found = []
    for name in sorted(catalog.names(schema)):
        table = catalog.table(f"{schema}.{name}")
        snapshot = table.current_snapshot() if table else None
        if table is not None and snapshot is not None:
            found.append(BuiltTable(schema, name, str(table.metadata.table_uuid), snapshot.snapshot_id))
    return found


def tag(catalog: Catalog, build_id: str, tables: Iterable[BuiltTable]) -> None:
    """Tag the tables of a build; doing it again changes nothing."""
    for built in tables:

        def add(table: Table, snapshot_id: int = built.snapshot_id) -> None:
            if tag_of(build_id) not in table.refs():
                table.manage_snapshots().create_tag(snapshot_id, tag_of(build_id)).commit()

        catalog.commit(f"{built.schema}.{built.name}", add)


def untag(catalog: Catalog, build_ids: Sequence[str], schema: str) -> None:
    """Let snapshots of builds that nobody may go back to expire."""
    for name in catalog.names(schema) if build_ids else ():

        def remove(table: Table) -> None:
            for each in build_ids:
                if tag_of(each) in table.refs():
                    table.manage_snapshots().remove_tag(tag_of(each)).commit()
                    table.refresh()

        catalog.commit(f"{schema}.{name}", remove)


def tag_of(build_id: str) -> str:
    """Return the name of a build's tag."""
    return f"build-{build_id}"


def point(catalog: Catalog, build_id: str, tables: Sequence[BuiltTable], *, now: datetime) -> None:
    """Make a build the current one, by one commit; of two at once one comes behind the other."""

    def append(table: Table) -> None:
        sequence = 1 + max((row["sequence"] for row in _rows(table)), default=0)
        rows = [
            {"sequence": sequence, "build_id": build_id, "published_at": now, "table_schema": each.schema}
            | {"table_name": each.name, "table_uuid": each.table_uuid, "snapshot_id": each.snapshot_id}
            for each in tables
        ]
        table.append(pa.Table.from_pylist(rows, schema=table.schema().as_arrow()))

    catalog.commit(TABLE, append)


def current(catalog: Catalog) -> tuple[str, list[BuiltTable]] | None:
    """Return the build that readers see and its tables; None before the first."""
    rows = _rows(catalog.table(TABLE))
    newest = max((row["sequence"] for row in rows), default=None)
    chosen = [row for row in rows if row["sequence"] == newest]
    return (chosen[0]["build_id"], list(map(_built, chosen))) if chosen else None


def tables_of(catalog: Catalog, build_id: str) -> list[BuiltTable]:
    """Return the tables of an earlier build.

    Raises:
        SettingsError: It was never published.
    """
    rows = [row for row in _rows(catalog.table(TABLE)) if row["build_id"] == build_id]
    if not rows:
        raise SettingsError(
            f"there is no build `{build_id}` in `{TABLE}`", hint="its rows name the builds that there are"
        )
    first = min(row["sequence"] for row in rows)
    return [_built(row) for row in rows if row["sequence"] == first]


def _rows(table: Table | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.scan().to_arrow().to_pylist() if table else []
    return rows


def _built(row: dict[str, Any]) -> BuiltTable:
    return BuiltTable(row["table_schema"], row["table_name"], row["table_uuid"], row["snapshot_id"])
