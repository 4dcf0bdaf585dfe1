"""Publishes the marts and schema `ops`: a build of Parquet files, then one rename that lets readers see it.

A build that fails or is killed half-way is never seen; readers keep the one before it. Only one process may
publish at a time: callers hold the lock of the pipeline.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb

from batch.publish import live_views
from batch.publish.folder import ServingFolder
from batch.publish.manifest import Manifest, Source
from batch.publish.tables import copy_tables
from batch.publish.views import views_script, write_views
from batch.runs import ops_tables
from stream import sql
from stream.clock import Clock
from stream.core.cluster_time import instant_of
from stream.disk import sync_folder
from stream.landing.zone import Failpoint, LandingZone, no_failpoint


@dataclass(frozen=True)
class Published:
    """What a publish did.

    Attributes:
        manifest: Of the build that is current now.
        previous: The build that was current before, None if it is the first.
        removed: Builds deleted, because newer ones took their place.
        has_new_views: Whether the file of views was replaced.
    """

    manifest: Manifest
    previous: str | None
    removed: Sequence[str]
    has_new_views: bool


class MartsSource(Protocol):
    """What a publisher copies from: a warehouse, or what can be opened like one."""

    @property
    def path(self) -> object:
        """Where it is, for messages."""

    def opened(self, *, timeout_seconds: float) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return DuckDB with the marts; see `Warehouse.opened`."""


@dataclass(frozen=True)
class Publisher:
    """Everything that publishing needs, made by the command line.

    Attributes:
        warehouse: Its marts are published.
        serving: Where to.
        landing: What the live views read.
        dbt_target_dir: Where dbt left word of its last run.
        timezone: Of the live views' today.
        keep: How many builds to keep beside the newest.
        at_failpoint: Tests crash the process at its failpoints.
    """

    warehouse: MartsSource
    serving: ServingFolder
    landing: LandingZone
    dbt_target_dir: Path
    timezone: str
    keep: int
    clock: Clock
    at_failpoint: Failpoint = no_failpoint

    def publish(self, build_id: str, *, timeout_seconds: float) -> Published:
        """Copy the marts into a new build and make it current.

        Args:
            build_id: Of the new build; sorts behind all others.
            timeout_seconds: How long to wait for the warehouse.

        Raises:
            StepFailedError: There are no marts, or they cannot be copied.
            WarehouseBusyError: Another process holds the warehouse for longer.
            LandingFullError: No space.
            LandingNotWritableError: The serving folder cannot be written.
        """
        self.serving.remove_unfinished()
        self.serving.point_current()
        folder = self.serving.begin(build_id)
        with self.warehouse.opened(timeout_seconds=timeout_seconds) as connection:
            source = _source(connection)
            created_at = self.clock()
            ops_tables.leave_in_log(connection)  # the run that publishes is noted behind it
            ops_tables.prepare(connection)
            ops_tables.note_build(
                connection,
                build_id=build_id,
                created_at=created_at,
                source_at=source.instant,
                micro_batches=source.micro_batches,
            )
            tables = copy_tables(
                connection, folder, warehouse=self.warehouse.path, at_failpoint=self.at_failpoint
            )
        sync_folder(folder)
        self.at_failpoint("tables_written")
        manifest = Manifest(
            build_id=build_id,
            created_at=created_at,
            tables=tables,
            source=source,
            dbt=_dbt_run(self.dbt_target_dir),
        )
        self.serving.finish(manifest)
        self.at_failpoint("build_finished")
        return self._make_current(manifest)

    def roll_back(self, build_id: str) -> Published:
        """Let readers see an earlier build again; the next publish moves them on.

        Raises:
            SettingsError: There is no such build.
        """
        self.serving.remove_unfinished()
        return self._make_current(self.serving.manifest(build_id))

    def _make_current(self, manifest: Manifest) -> Published:
        previous = self.serving.current_build()
        self.serving.show(manifest.build_id)
        self.at_failpoint("build_shown")
        self.serving.point_current()
        self.at_failpoint("current_moved")
        live_views.prepare(self.landing.root)
        script = views_script(self.serving, manifest.tables, self.landing.root, self.timezone)
        has_new_views = write_views(self.serving, script, at_failpoint=self.at_failpoint)
        self.at_failpoint("views_written_down")
        removed = self.serving.remove_old(keep=self.keep)
        return Published(manifest, previous, removed, has_new_views)


def _source(connection: duckdb.DuckDBPyConnection) -> Source:
    """Find how far the marts reach: the loads that every model built from `raw` has seen.

    The stream may have loaded more since; without the build's own log, all that is loaded counts.
    """
    seen = "null"
    if _has_table(connection, "ops", "model_inputs"):
        seen = "(select min(input_sequence) from ops.model_inputs where input = 'raw')"
    row = connection.execute(
        f"""
        with seen as (
            select least(coalesce({seen}, (select max(load_id) from raw.loads)), max(load_id)) as load_id
            from raw.loads
        )
        select
            seen.load_id,
            (select loaded_at from raw.loads where loads.load_id = seen.load_id),
            (select count(*) from raw.micro_batches where micro_batches.load_id <= seen.load_id),
            (select max(last_cluster_time) from raw.micro_batches where micro_batches.load_id <= seen.load_id)
        from seen
        """
    ).fetchone()
    if row is None or row[0] is None:
        return Source()
    load_id, loaded_at, micro_batches, cluster_time = row
    instant = instant_of(cluster_time) if cluster_time is not None else None
    return Source(load_id, loaded_at, micro_batches, cluster_time, instant)


def _has_table(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    found = connection.execute(
        "select 1 from duckdb_tables() where database_name = current_database() "
        f"and schema_name = {sql.literal(schema)} and table_name = {sql.literal(name)}"
    ).fetchone()
    return found is not None


def _dbt_run(target_dir: Path) -> dict[str, str]:
    """Read which dbt run came before; nothing depends on it, so what cannot be read is left out."""
    try:
        metadata = json.loads((target_dir / "run_results.json").read_bytes())["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    names = ("invocation_id", "invocation_started_at", "generated_at", "dbt_version")
    return {name: str(metadata[name]) for name in names if metadata.get(name) is not None}
