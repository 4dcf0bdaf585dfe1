"""What every command starts from: settings, logging, and the objects made of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from rich.console import Console

from batch.mongod.state import running_uri
from batch.publish.folder import ServingFolder
from batch.publish.reader_group import ReaderGroup
from batch.runs.journal import Journal
from batch.runs.lock import PipelineLock
from batch.settings import Settings
from stream import logs
from stream.clock import utc_now
from stream.core.redact import Redactor
from stream.core.secret_rules import known_rules
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import LandingZone
from stream.settings import MongoSettings, StreamSettings
from stream.warehouse.warehouse import Warehouse
from stream.worker import Worker

if TYPE_CHECKING:
    from batch.backfill.backfill import Backfill
    from batch.maintenance.maintain import Maintenance
    from batch.pipeline.timetable import Timetable
    from batch.publish.publish import Publisher
    from batch.transform.dbt_project import DbtProject


@dataclass
class Context:
    """Makes objects from settings, when they are asked for.

    Attributes:
        settings: What is in force.
        console: Where results are printed.
    """

    settings: Settings
    console: Console

    @classmethod
    def from_environment(cls, *, quiet: bool = False) -> Context:
        """Read the settings and set up logging.

        Args:
            quiet: Log warnings and errors only, whatever LOG_LEVEL says; for commands that tell a story.

        Raises:
            SettingsError: A setting does not fit.
        """
        settings = Settings.from_environment()
        is_louder = settings.logging.level in {"debug", "info"}
        logs.configure(settings.logging, level="warning" if quiet and is_louder else None)
        return cls(settings, Console(highlight=False))

    @cached_property
    def mongo(self) -> MongoSettings:
        """Where the source is: as set, else the embedded MongoDB if one runs here, else the default."""
        settings = self.settings.mongo
        embedded = None if "uri" in settings.model_fields_set else running_uri(self.mongo_dir)
        return settings.model_copy(update={"uri": SecretStr(embedded)}) if embedded else settings

    @cached_property
    def landing(self) -> LandingZone:
        """The landing zone."""
        return LandingZone(self.settings.data.landing_dir, clock=utc_now)

    @cached_property
    def dead_letters(self) -> DeadLetterStore:
        """The dead letters."""
        return DeadLetterStore(self.settings.data.dead_letter_dir, clock=utc_now)

    @cached_property
    def redactor(self) -> Redactor | None:
        """What takes secrets out of documents, if that is wanted."""
        settings = self.settings.redaction
        if settings.redact == "off":
            return None
        key = settings.key.get_secret_value() if settings.key else ""
        return Redactor(known_rules(), key=key.encode())

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse."""
        return self._warehouse(self.settings.duckdb.memory_limit)

    def _warehouse(self, memory_limit: str) -> Warehouse:
        return Warehouse(
            self.settings.warehouse_path,
            landing=self.landing,
            clock=utc_now,
            threads=self.settings.duckdb.threads,
            memory_limit=memory_limit,
        )

    @cached_property
    def dbt_project(self) -> DbtProject:
        """The dbt project on this warehouse."""
        from batch.transform.dbt_project import DbtProject  # noqa: PLC0415 - brings dbt along

        return DbtProject(
            warehouse=self.settings.warehouse_path,
            data_dir=self.settings.data.data_dir,
            target=self.settings.dbt.target,
            threads=self.settings.duckdb.threads,
            memory_limit=self.settings.duckdb.memory_limit,
            reporting_timezone=self.settings.pipeline.reporting_timezone,
        )

    @cached_property
    def journal(self) -> Journal:
        """What ran when."""
        return Journal(self.settings.data.data_dir / "runs.jsonl", clock=utc_now)

    @cached_property
    def pipeline_lock(self) -> PipelineLock:
        """The right to build, check and publish."""
        return PipelineLock(self.settings.data.data_dir, "pipeline", clock=utc_now)

    @cached_property
    def scheduling(self) -> PipelineLock:
        """The right to be the scheduler."""
        return PipelineLock(self.settings.data.data_dir, "schedule", clock=utc_now)

    @cached_property
    def timetable(self) -> Timetable:
        """When which run is due."""
        from batch.pipeline.timetable import Timetable  # noqa: PLC0415 - quick help

        settings = self.settings.pipeline
        return Timetable(settings.runs_at, settings.daily, settings.schedule_timezone)

    @cached_property
    def serving(self) -> ServingFolder:
        """What readers open."""
        group = self.settings.data.serving_group
        readers = ReaderGroup.of(group) if group else None
        return ServingFolder(self.settings.data.serving_dir, readers=readers)

    @cached_property
    def publisher(self) -> Publisher:
        """What publishes the marts."""
        from batch.publish.publish import Publisher  # noqa: PLC0415 - quick help

        return Publisher(
            warehouse=self.warehouse,
            serving=self.serving,
            landing=self.landing,
            dbt_target_dir=self.dbt_project.target_dir,
            timezone=self.settings.pipeline.reporting_timezone,
            keep=self.settings.pipeline.keep_builds,
            clock=utc_now,
        )

    @cached_property
    def maintenance(self) -> Maintenance:
        """What merges and removes files."""
        from batch.maintenance.compaction import Compaction  # noqa: PLC0415 - quick help
        from batch.maintenance.maintain import Maintenance  # noqa: PLC0415
        from batch.maintenance.retention import Retention  # noqa: PLC0415

        settings = self.settings.maintenance
        compaction = Compaction(
            landing=self.landing,
            dead_letters=self.dead_letters,
            clock=utc_now,
            memory_limit=self.settings.duckdb.memory_limit,
            grace=timedelta(seconds=settings.grace_seconds),
        )
        days = settings.retention_days
        return Maintenance(
            compaction=compaction,
            retention=Retention(self.landing, self.dead_letters, utc_now, days) if days else None,
            warehouse=self.warehouse,
            lease_timeout_seconds=self.settings.duckdb.lease_timeout_seconds,
        )

    def worker(self, registry: CollectorRegistry, settings: StreamSettings | None = None) -> Worker:
        """Give a stream worker; `settings` take the place of those in force."""
        from batch.backfill.everything import CollectionReader  # noqa: PLC0415 - quick help

        return Worker(
            mongo=self.mongo,
            data=self.settings.data,
            settings=settings or self.settings.stream,
            duckdb=self.settings.duckdb,
            warehouse=self._warehouse(self.settings.stream.memory_limit),
            registry=registry,
            log=logs.logger("stream"),
            read_collection=CollectionReader(
                lambda is_landing_only: self.backfill(CollectorRegistry(), is_landing_only=is_landing_only),
                landing=self.landing,
                log=logs.logger("backfill"),
            ),
            redactor=self.redactor,
        )

    def backfill(
        self, registry: CollectorRegistry, *, threads: int | None = None, is_landing_only: bool = False
    ) -> Backfill:
        """Give a backfill; `threads` takes the place of the setting."""
        from batch.backfill.backfill import Backfill  # noqa: PLC0415 - quick help
        from batch.backfill.progress import BackfillMetrics  # noqa: PLC0415

        settings = self.settings.backfill
        return Backfill(
            mongo=self.mongo,
            landing=self.landing,
            dead_letters=self.dead_letters,
            warehouse=None if is_landing_only else self._warehouse(settings.memory_limit),
            metrics=BackfillMetrics(registry),
            log=logs.logger("backfill"),
            threads=threads or settings.workers or os.cpu_count() or 1,
            range_size_bytes=settings.range_size_bytes,
            batch_size=self.settings.stream.batch_size,
            lease_timeout_seconds=self.settings.duckdb.lease_timeout_seconds,
            redactor=self.redactor,
        )

    @property
    def mongo_dir(self) -> Path:
        """Where the embedded MongoDB keeps its files."""
        return self.settings.data.data_dir / "mongo"
