"""What every command starts from: settings, logging, and the objects made of them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from prometheus_client import CollectorRegistry
from rich.console import Console

from batch.settings import Settings
from stream import logs
from stream.clock import utc_now
from stream.dead_letters import DeadLetterStore
from stream.landing import LandingZone
from stream.warehouse import Warehouse
from stream.worker import Worker


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
    def from_environment(cls) -> "Context":
        """Read the settings and set up logging.

        Raises:
            SettingsError: A setting does not fit.
        """
        settings = Settings.from_environment()
        logs.configure(settings.logging)
        return cls(settings, Console(highlight=False))

    @cached_property
    def landing(self) -> LandingZone:
        """The landing zone."""
        return LandingZone(self.settings.data.landing_dir, clock=utc_now)

    @cached_property
    def dead_letters(self) -> DeadLetterStore:
        """The dead letters."""
        return DeadLetterStore(self.settings.data.dead_letter_dir, clock=utc_now)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse."""
        return Warehouse(
            self.settings.warehouse_path,
            landing=self.landing,
            clock=utc_now,
            threads=self.settings.duckdb.threads,
            memory_limit=self.settings.duckdb.memory_limit,
        )

    def worker(self, registry: CollectorRegistry) -> Worker:
        """Give a stream worker."""
        return Worker(
            mongo=self.settings.mongo,
            data=self.settings.data,
            settings=self.settings.stream,
            duckdb=self.settings.duckdb,
            warehouse=self.warehouse,
            registry=registry,
            log=logs.logger("stream"),
        )

    @property
    def mongo_dir(self) -> Path:
        """Where the embedded MongoDB keeps its files."""
        return self.settings.data.data_dir / "mongo"
