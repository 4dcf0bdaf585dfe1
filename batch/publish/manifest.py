"""What a published build says about itself: its `MANIFEST.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field, computed_field

from stream.core.state import State


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


class Manifest(State):
    """What a build says about itself.

    Attributes:
        build_id: Name of its folder.
        created_at: When it was made.
        tables: By schema and name.
        source: How far into the source it reaches.
        dbt: Invocation id, version and time of the dbt run before it; empty if there was none.
    """

    schema_version: int = Field(default=1, alias="version")
    build_id: str
    created_at: datetime
    tables: tuple[PublishedTable, ...]
    source: Source
    dbt: Mapping[str, str]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(table.size_bytes for table in self.tables)
