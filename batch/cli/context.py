"""What every command starts from: settings, logging, and the objects made of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import SecretStr
from rich.console import Console

from batch.mongod.state import running_uri
from batch.pipeline.timetable import Timetable
from batch.publish.folder import ServingFolder
from batch.publish.reader_group import ReaderGroup
from batch.runs.journal import Journal
from batch.runs.lock import PipelineLock
from batch.settings import Settings
from stream import logs
from stream.clock import utc_now
from stream.core.redact import Redactor
from stream.core.secret_rules import known_rules
from stream.errors import SettingsError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedZone
from stream.landing.places import AnyZone, object_storage, places
from stream.landing.zone import LandingZone
from stream.settings import MongoSettings
from stream.warehouse.warehouse import Warehouse


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
    def from_environment(cls, *, quiet: bool = False) -> Self:
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
        """The landing zone, where it is a folder.

        Raises:
            SettingsError: It is in an object store.
        """
        data = self.settings.data
        if data.is_remote:
            raise SettingsError(
                f"this command needs landed files in a folder; DATA_URL is `{data.url}`",
                hint="unset DATA_URL; or set WAREHOUSE=iceberg for `load` and `verify` (docs/lake.md)",
            )
        return LandingZone(data.landing_dir, clock=utc_now)

    @cached_property
    def landed_objects(self) -> FencedZone:
        """The landing zone, where it is in an object store.

        Raises:
            SettingsError: It is a folder, or the extra for object stores is not installed.
            StorageRefusedError: The object store cannot be used.
        """
        return FencedZone(object_storage(self.settings.data), clock=utc_now)

    @property
    def landed(self) -> AnyZone:
        """The landing zone, whichever it is."""
        return self.landed_objects if self.settings.data.is_remote else self.landing

    @property
    def local_landing(self) -> LandingZone:
        """The landing zone in a folder of this machine; nothing is in it where another is used."""
        return LandingZone(self.settings.data.landing_dir, clock=utc_now)

    @cached_property
    def dead_letters(self) -> DeadLetterStore:
        """The dead letters."""
        return places(self.settings.data, clock=utc_now).dead_letters

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
        return self._warehouse(self.settings.duckdb.memory_limit, threads=self.settings.duckdb.threads)

    def warehouse_beside_reading(self, memory_limit: str) -> Warehouse:
        """Return the warehouse, for somebody who reads MongoDB beside: half of the cores are for that.

        More threads than are free cost more than they bring: to keep rows in order, they wait for each other.
        """
        threads = self.settings.duckdb.threads or max(1, (os.cpu_count() or 1) // 2)
        return self._warehouse(memory_limit, threads=threads)

    def _warehouse(self, memory_limit: str, *, threads: int | None) -> Warehouse:
        return Warehouse(
            self.settings.warehouse_path,
            landing=self.landing,
            clock=utc_now,
            threads=threads,
            memory_limit=memory_limit,
        )

    @cached_property
    def journal(self) -> Journal:
        """What ran when."""
        return Journal(self.settings.data.data_dir / "runs.jsonl", clock=utc_now)

    @cached_property
    def pipeline_lock(self) -> PipelineLock:
        """The right to build, check and publish."""
        return PipelineLock(self.settings.data.data_dir, "pipeline", clock=utc_now)

    @contextmanager
    def pipeline_locked(self) -> Iterator[None]:
        """Hold the pipeline lock; wait for whoever has it as long as the settings say.

        Raises:
            WarehouseBusyError: It was not free in time.
        """
        with self.pipeline_lock.taken(timeout_seconds=self.settings.duckdb.lease_timeout_seconds):
            yield

    @cached_property
    def scheduling(self) -> PipelineLock:
        """The right to be the scheduler."""
        return PipelineLock(self.settings.data.data_dir, "schedule", clock=utc_now)

    @cached_property
    def timetable(self) -> Timetable:
        """When which run is due."""
        settings = self.settings.pipeline
        return Timetable(settings.runs_at, settings.daily, settings.schedule_timezone)

    @cached_property
    def serving(self) -> ServingFolder:
        """What readers open."""
        group = self.settings.data.serving_group
        readers = ReaderGroup.of(group) if group else None
        return ServingFolder(self.settings.data.serving_dir, readers=readers)

    @property
    def mongo_dir(self) -> Path:
        """Where the embedded MongoDB keeps its files."""
        return self.settings.data.data_dir / "mongo"
