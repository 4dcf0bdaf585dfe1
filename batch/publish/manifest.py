"""What a published build says about itself: its `MANIFEST.json`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from stream.errors import SchemaTooNewError

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class PublishedTable:
    """One table of a build.

    Attributes:
        schema: Of the table in the warehouse and in the views.
        name: Of the table.
        file: Name of its Parquet file in the build's folder.
        rows: In it.
        size_bytes: Of the file.
        columns: Name and DuckDB type of each column, in order.
    """

    schema: str
    name: str
    file: str
    rows: int
    size_bytes: int
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Source:
    """How far into the source a build reaches.

    Attributes:
        load_id: Newest load that the marts have seen; None if nothing was ever loaded.
        loaded_at: When that was.
        micro_batches: Landed files loaded up to then.
        cluster_time: Newest change among them, as in `source_version`.
        instant: The second it lies in.
    """

    load_id: int | None = None
    loaded_at: datetime | None = None
    micro_batches: int = 0
    cluster_time: int | None = None
    instant: datetime | None = None


@dataclass(frozen=True)
class Manifest:
    """What a build says about itself.

    Attributes:
        build_id: Name of its folder.
        created_at: When it was made.
        tables: By schema and name.
        source: How far into the source it reaches.
        dbt: Invocation id, version and time of the dbt run before it; empty if there was none.
    """

    build_id: str
    created_at: datetime
    tables: tuple[PublishedTable, ...]
    source: Source
    dbt: Mapping[str, str]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(table.size_bytes for table in self.tables)

    def to_json(self) -> dict[str, Any]:
        """Return a form that `json` can write."""
        fields = {"version": MANIFEST_VERSION, "rows": self.rows, "size_bytes": self.size_bytes}
        return (
            fields
            | {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in asdict(self).items()
                if name != "source"
            }
            | {
                "source": {
                    name: value.isoformat() if isinstance(value, datetime) else value
                    for name, value in asdict(self.source).items()
                }
            }
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Manifest":
        """Read what `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
            SchemaTooNewError: A newer version of this program wrote it.
        """
        SchemaTooNewError.require_known(
            f"the manifest of build `{data['build_id']}`", version=data["version"], known=MANIFEST_VERSION
        )
        source = dict(data["source"])
        for name in ("loaded_at", "instant"):
            source[name] = datetime.fromisoformat(source[name]) if source[name] else None
        return cls(
            build_id=data["build_id"],
            created_at=datetime.fromisoformat(data["created_at"]),
            tables=tuple(
                PublishedTable(**table | {"columns": tuple((name, kind) for name, kind in table["columns"])})
                for table in data["tables"]
            ),
            source=Source(**source),
            dbt=data["dbt"],
        )
