"""Warehouses for tests of the dbt project: documents go in through the stream's core, dbt builds marts."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import duckdb

from batch.importer.cursor import LogCursor
from batch.transform.dbt_project import DbtProject
from batch.transform.transform import BuildResult, transform
from stream.core.change_event import CODEC_OPTIONS
from stream.core.normalise import DeadLetter, deletion, normalise
from stream.core.schema import Row, to_table
from stream.landing.footer import footer_of
from stream.landing.zone import STREAM_LANE, LandingZone
from stream.warehouse.warehouse import Warehouse

IMPORTED_AT = datetime(2026, 7, 1, tzinfo=UTC)
_EXTRACTED_AT = int(IMPORTED_AT.timestamp() * 1_000_000)
_TABLES = ("config.materialized:table", "config.materialized:incremental")
_NO_CHECKS = ("--exclude-resource-types", "test", "unit_test")

MARTS = (
    "dim_date",
    "dim_models",
    "dim_projects",
    "dim_sessions",
    "dim_tools",
    "fct_active_hours",
    "fct_api_calls",
    "fct_file_operations",
    "fct_messages",
    "fct_progress_api_calls",
    "fct_tool_calls",
    "agg_branch_cost",
    "agg_code_changes",
    "agg_cost_agreement",
    "agg_daily_cost",
    "agg_daily_summary",
    "agg_hourly_activity",
    "agg_monthly_cost",
    "agg_session_metrics",
    "agg_tool_efficiency",
    "agg_unknown_kinds",
    "agg_usage_weeks",
    "agg_usage_windows",
)


def documents_of(folder: Path, *, ingested_at: datetime = IMPORTED_AT) -> list[dict[str, Any]]:
    """Return the documents that `import` would make of all logs in a folder of projects."""
    documents = []
    for path in sorted(folder.rglob("*.jsonl")):
        documents += documents_of_file(path, folder, ingested_at=ingested_at)
    return documents


def documents_of_file(
    path: Path, folder: Path, *, source_file: str | None = None, ingested_at: datetime = IMPORTED_AT
) -> list[dict[str, Any]]:
    """Return the documents that `import` would make of one log."""
    name = source_file or path.relative_to(folder).as_posix()
    log = LogCursor(source_file=name, project_id=name.split("/")[0])
    taken = (log.take(line, ingested_at=ingested_at) for line in path.read_bytes().split(b"\n"))
    return [document for document in taken if isinstance(document, dict)]


def break_key(path: Path, view: str) -> None:
    """Have a view bring every row twice, and a null in any case, until views are made again."""
    with duckdb.connect(path) as connection:
        [(definition,)] = connection.execute(
            "select sql from duckdb_views() where database_name = current_database() "
            f"and schema_name || '.' || view_name = '{view}'"
        ).fetchall()
        query = definition.split(" AS ", 1)[1].rstrip(";\n")
        connection.execute(
            f"create or replace view {view} as with found as ({query}), rows as "
            "(select found.* from (select 1) as one left join found on true) "
            "select * from rows union all select * from rows"
        )


def overlook_the_file() -> None:
    """Have dbt take what it has parsed for another DuckDB file, too: nothing in it depends on that."""
    from dbt.adapters.duckdb.credentials import DuckDBCredentials  # noqa: PLC0415 - takes a second

    matter = ("database", "schema", "path", "settings")
    setattr(DuckDBCredentials, "_connection_keys", lambda _self: matter)  # noqa: B010 - not ours to type


class MartsWarehouse:
    """A warehouse in a folder: takes documents, and builds the marts from them.

    Args:
        folder: May hold a warehouse already, with which to go on.
        timezone: That of reports.
        artifacts: Folder of dbt's own files; shared by many warehouses, dbt parses the project once for all
            that are built with the same variables.

    Attributes:
        path: The DuckDB file.
    """

    def __init__(self, folder: Path, *, timezone: str = "UTC", artifacts: Path | None = None) -> None:
        overlook_the_file()
        self._now = IMPORTED_AT
        self._landing = LandingZone(folder / "landing", clock=self._clock)
        self._lane = self._landing.lane(STREAM_LANE)
        self.path = folder / "analytics.duckdb"
        self.warehouse = Warehouse(self.path, landing=self._landing, clock=self._clock, threads=2)
        self._version = 0
        if self.path.exists():
            self._now += timedelta(days=1)
            [(self._version,)] = self.rows("select max(last_cluster_time) from raw.micro_batches")
        self._artifacts = artifacts or folder
        self._viewed: DbtProject | None = None
        self.project = DbtProject(
            warehouse=self.path, data_dir=self._artifacts, threads=2, memory_limit="2GB"
        )
        self.use_timezone(timezone)

    def copied(self, folder: Path) -> "MartsWarehouse":
        """Return a warehouse with the same rows and marts in another folder; they part from here on."""
        shutil.copytree(self.path.parent, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("dbt"))
        copy = MartsWarehouse(folder, timezone=self.project.reporting_timezone, artifacts=self._artifacts)
        copy._viewed = copy.project if self._viewed == self.project else None
        return copy

    def use_aliases(self, aliases: Mapping[str, str]) -> None:
        """Give folders other projects from the next build on."""
        self.change_project("aliases", project_aliases=aliases)

    def use_timezone(self, timezone: str) -> None:
        """Report in another time zone from the next build on."""
        name = timezone.replace("/", "-") if timezone != "UTC" else ""
        self.change_project(name, reporting_timezone=timezone)

    def change_project(self, name: str, **fields: Any) -> None:
        """Build with other variables or files from now on.

        dbt parses the whole project whenever they differ from those before: 5 s. So each variant has a
        folder for what dbt has parsed, by this name.
        """
        self.project = replace(self.project, data_dir=self._artifacts / name, **fields)

    def _clock(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def change(self, upserts: Iterable[Mapping[str, Any]] = (), *, deletes: Sequence[object] = ()) -> None:
        """Land and load one micro-batch of upserts, then deletes by `_id`."""
        rows: list[Row] = []
        for document in upserts:
            self._version += 1
            stored = bson.decode(bson.encode(document), CODEC_OPTIONS)
            row = normalise(stored, source_version=self._version, extracted_at=_EXTRACTED_AT)
            if isinstance(row, DeadLetter):
                raise TypeError(row)
            rows.append(row)
        for document_id in deletes:
            self._version += 1
            rows.append(deletion(document_id, source_version=self._version))
        newest = self._lane.newest()
        micro_batch = self._lane.new_name(newest.sequence + 1 if newest else 1)
        table = to_table(rows)
        self._lane.land(micro_batch, table, footer_of(micro_batch.id, table, landed_at=self._clock()))
        self.warehouse.load(timeout_seconds=20)

    def build(self, *models: str, full_refresh: bool = False, checks_views: bool = True) -> BuildResult:
        """Build the marts."""
        result = transform(
            self.project,
            lease=self.warehouse.lock.held(timeout_seconds=20),
            models=models,
            full_refresh=full_refresh,
            checks_views=checks_views,
        )
        self._note_views(models)
        return result

    def build_unchecked(self, *models: str, full_refresh: bool = False) -> None:
        """Build the marts without the checks, which take half of the time, for tests that compare rows.

        As in a cycle, views and seeds are left as they are once the same project has made them.
        """
        are_views_made = not models and self._viewed == self.project and self._has_views()
        command = ["run", "--select", *_TABLES] if are_views_made else ["build", *_NO_CHECKS]
        arguments = [*command, "--no-write-json"]
        arguments += ["--select", *models] if models else []
        arguments += ["--full-refresh"] if full_refresh else []
        with self.warehouse.lock.held(timeout_seconds=20):
            outcome = self.project.invoke(self.project.arguments(*arguments))
        failed = [
            result.message for result in outcome.results if result.status.value not in {"success", "pass"}
        ]
        if failed:
            raise RuntimeError(failed)
        self._note_views(models)

    def _note_views(self, models: Sequence[str]) -> None:
        if not models:
            self._viewed = self.project

    def _has_views(self) -> bool:
        return bool(self.rows("select 1 from duckdb_views() where schema_name = 'intermediate' limit 1"))

    def marts_of_full_refresh(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return what `marts` would after a full refresh; the warehouse stays as it is."""
        kept = self.path.with_suffix(".kept")
        shutil.copy(self.path, kept)
        try:
            self.build_unchecked(full_refresh=True)
            return self.marts()
        finally:
            kept.replace(self.path)

    def wrongly_described(self) -> list[tuple[str, str]]:
        """Return model and name of columns without a description, and of descriptions without a column.

        Needs dbt's manifest.
        """
        manifest = json.loads((self.project.target_dir / "manifest.json").read_text())
        described = {
            (node["name"], name.lower())
            for node in manifest["nodes"].values()
            for name, column in node.get("columns", {}).items()
            if column["description"]
        }
        columns = self.rows(
            "select table_name, lower(column_name) from information_schema.columns "
            "where table_schema in ('staging', 'intermediate', 'marts', 'seeds')"
        )
        return sorted(described.symmetric_difference(columns))

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Ask the warehouse."""
        with duckdb.connect(self.path, read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(query, parameters).fetchall()

    def marts(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of all marts, sorted."""
        with duckdb.connect(self.path, read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return {
                mart: connection.execute(f"select * from marts.{mart} order by all").fetchall()
                for mart in MARTS
            }
