"""The marts of Iceberg as a DuckDB file, for as long as they are copied to `serving/`; streamed."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from batch.lake.builds import BuiltTable
from batch.lake.catalog import Catalog
from batch.runs import ops_tables
from batch.runs.journal import StepRun
from stream import sql

_NOTES = ("raw.micro_batches", "raw.loads", "ops.model_inputs")
"""What a build says about itself is read from these; the last is dbt's."""


@dataclass(frozen=True)
class Mirror:
    """Opened in place of a warehouse by what publishes.

    Attributes:
        path: Where the tables are, for messages.
        tables: Returns the tables to copy, as they are to be seen.
        steps: Returns what ran when.
        max_rows: Larger tables are left out: `serving/` is for one machine.
        folder: Where the file is while it is needed.
        memory_limit: Of DuckDB.
    """

    path: str
    catalog: Catalog
    tables: Callable[[], Sequence[BuiltTable]]
    steps: Callable[[], Sequence[StepRun]]
    max_rows: int
    folder: Path
    memory_limit: str

    @contextmanager
    def opened(self, *, timeout_seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """Copy the tables, and give them.

        Raises:
            CatalogUnreachableError: The catalog does not answer.
        """
        del timeout_seconds  # nobody is waited for: snapshots do not change
        self.folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=".mirror-", dir=self.folder) as folder,
            duckdb.connect(
                Path(folder) / "mirror.duckdb", config={"memory_limit": self.memory_limit}
            ) as connection,
        ):
            connection.execute("set TimeZone = 'UTC'")
            for schema in ("raw", "ops", "marts"):
                connection.execute(f"create schema {schema}")
            for name in _NOTES:
                self._copy(connection, name, None)
            for each in self.tables():
                self._copy(connection, f"{each.schema}.{each.name}", each.snapshot_id)
            ops_tables.prepare(connection)
            ops_tables.note_runs(self.steps(), connection)
            yield connection

    def _copy(self, connection: duckdb.DuckDBPyConnection, name: str, snapshot_id: int | None) -> None:
        table = self.catalog.table(name)
        if table is None:
            return
        snapshot = table.snapshot_by_id(snapshot_id) if snapshot_id else table.current_snapshot()
        properties = snapshot.summary.additional_properties if snapshot and snapshot.summary else {}
        if int(properties.get("total-records", 0)) > self.max_rows:
            return
        rows = table.scan(snapshot_id=snapshot_id).to_arrow_batch_reader()
        connection.register("rows_of_table", rows)
        schema, _, table_name = name.partition(".")
        connection.execute(
            f"create table {sql.identifier(schema)}.{sql.identifier(table_name)} as from rows_of_table"
        )
        connection.unregister("rows_of_table")
