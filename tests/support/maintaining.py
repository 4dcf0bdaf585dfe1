"""Makes landing zones of several days by hand, and merges them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from batch.maintenance.compaction import Compaction
from batch.maintenance.maintain import Maintenance
from batch.maintenance.retention import Retention
from stream.core.normalise import DeadLetter
from stream.core.schema import Row
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.micro_batch import MicroBatch
from stream.landing.zone import Failpoint, LandingZone, no_failpoint
from stream.warehouse.warehouse import Warehouse
from tests.support import landing

START = datetime(2026, 1, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class Yard:
    """A data folder with a clock of its own.

    Attributes:
        folder: The data folder.
        now: What its clock shows.
    """

    folder: Path
    now: datetime = START
    at_failpoint: Failpoint = no_failpoint

    def clock(self) -> datetime:
        """Return the time."""
        return self.now

    @property
    def zone(self) -> LandingZone:
        """The landing zone."""
        return LandingZone(self.folder / "landing", clock=self.clock)

    @property
    def letters(self) -> DeadLetterStore:
        """The dead letters."""
        return DeadLetterStore(self.folder / "dead_letter", clock=self.clock)

    def land(self, *rows: Row, lane: str = "stream", letters: list[DeadLetter] | None = None) -> MicroBatch:
        """Land a file now."""
        landed = landing.land(self.folder, rows, lane=lane, dead_letters=letters or [], clock=self.clock)
        if letters:
            self.letters.store(landed, letters)
        return landed

    def warehouse(self, name: str = "analytics") -> Warehouse:
        """Return a warehouse of this landing zone."""
        path = self.folder / f"{name}.duckdb"
        return Warehouse(path, landing=self.zone, clock=self.clock, threads=1, memory_limit="512MB")

    @property
    def compaction(self) -> Compaction:
        """What merges."""
        return Compaction(
            landing=self.zone,
            dead_letters=self.letters,
            clock=self.clock,
            memory_limit="512MB",
            grace=HOUR,
            at_failpoint=self.at_failpoint,
        )

    def maintenance(self, *, retention_days: int | None = None) -> Maintenance:
        """Return the whole step, on the warehouse `analytics`."""
        retention = retention_days and Retention(self.zone, self.letters, self.clock, retention_days)
        return Maintenance(self.compaction, retention or None, self.warehouse(), 5)

    def files(self, lane: str = "stream") -> list[str]:
        """List the files of a lane that exist, in sight or not, by sequence and kind."""
        paths = sorted((self.folder / "landing" / lane).glob("date=*/*.parquet"), key=lambda path: path.name)
        kinds = {True: "merged", False: "plain"}
        return [f"{int(path.name[:12])} {kinds['.merged.' in path.name]}" for path in paths]


def rows_of(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Return all rows of `raw.conversations` but the file that each came from."""
    with warehouse.opened(timeout_seconds=5) as connection:
        return connection.execute(
            "select * exclude (micro_batch_id) from raw.conversations order by _id"
        ).fetchall()
