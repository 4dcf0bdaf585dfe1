"""How the platform is doing: position, pending files, dead letters, the warehouse. Changes nothing."""

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from batch.summary import Summary, summarise
from stream.clock import Clock
from stream.dead_letters import DeadLetterStore
from stream.errors import AnalyticsError
from stream.landing import STREAM_LANE, LandingZone
from stream.warehouse import Warehouse

_LEASE_SECONDS = 3.0


@dataclass(frozen=True)
class Status:
    """One look at everything.

    Attributes:
        is_streaming: Whether a stream worker runs on this folder.
        position_at: Server time up to which changes have landed; None before the first start.
        position_age_seconds: How long ago that is by this machine's clock.
        landed_micro_batches: Files in the landing zone.
        landed_size_bytes: Their size.
        pending_micro_batches: Files not loaded yet; None if the warehouse could not be asked.
        dead_letters: Rejected documents.
        warehouse: Figures of the warehouse; None if it could not be asked.
        warehouse_size_bytes: Size of the DuckDB file.
        problems: What could not be found out, and why.
    """

    is_streaming: bool
    position_at: datetime | None
    position_age_seconds: float | None
    landed_micro_batches: int
    landed_size_bytes: int
    pending_micro_batches: int | None
    dead_letters: int
    warehouse: Summary | None
    warehouse_size_bytes: int
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give a form that `json` can write, apart from dates."""
        return asdict(self)


def look(
    landing: LandingZone, dead_letters: DeadLetterStore, warehouse: Warehouse, *, clock: Clock
) -> Status:
    """Gather the status; what cannot be found out becomes a problem, never an error."""
    problems: list[str] = []
    lane = landing.lane(STREAM_LANE)
    position = None
    try:
        position = lane.position()
    except AnalyticsError as error:
        problems.append(f"{error.message}; {error.hint}")
    landed = landing.micro_batches()
    pending: int | None = len(landed)
    summary = None
    if warehouse.path.exists():
        try:
            with warehouse.opened(timeout_seconds=_LEASE_SECONDS) as connection:
                pending = len(warehouse.pending(connection))
                summary = summarise(connection)
        except AnalyticsError as error:
            pending = None
            problems.append(f"{error.message}; {error.hint}")
    return Status(
        is_streaming=lane.is_being_written,
        position_at=position.instant if position else None,
        position_age_seconds=(clock() - position.instant).total_seconds() if position else None,
        landed_micro_batches=len(landed),
        landed_size_bytes=sum(_size_bytes(micro_batch.path) for micro_batch in landed),
        pending_micro_batches=pending,
        dead_letters=dead_letters.count(landing),
        warehouse=summary,
        warehouse_size_bytes=_size_bytes(warehouse.path),
        problems=tuple(problems),
    )


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
