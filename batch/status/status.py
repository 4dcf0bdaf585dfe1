"""How the platform is doing: position, pending files, dead letters, the warehouse. Changes nothing."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from batch.probe import probe_landing
from batch.status.cycle import CycleStatus
from batch.status.warehouse import Glance, Summary
from stream.clock import Clock
from stream.core.position import Position
from stream.errors import AnalyticsError, WarehouseBusyError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.places import AnyZone

_STALE_STREAM_SECONDS = 300
_STALE_LANDING_SECONDS = 7200


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
        stale_rows: Rows of documents that were rejected since: they are of an older version; None if the
            warehouse could not be asked.
        warehouse: Figures of the warehouse; None if it could not be asked, or is not counted.
        warehouse_rows: Rows of `raw`; deletions among them where `warehouse` is None.
        warehouse_size_bytes: Size of the DuckDB file, or of the tables in Iceberg.
        last_loaded_at: When the newest load was done.
        oplog_headroom_seconds: Time until the position falls off the oplog; None if nobody could be asked.
        source_problem: Why the source could not be asked, and what to do; no problem of what is here.
        cycle: The last runs, the next one, and the published build.
        problems: What is stale, has failed, or could not be found out, and why.
    """

    is_streaming: bool
    position_at: datetime | None
    position_age_seconds: float | None
    landed_micro_batches: int
    landed_size_bytes: int
    pending_micro_batches: int | None
    dead_letters: int
    stale_rows: int | None
    warehouse: Summary | None
    warehouse_rows: int | None
    warehouse_size_bytes: int
    last_loaded_at: datetime | None
    oplog_headroom_seconds: float | None
    source_problem: str | None
    cycle: CycleStatus
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a form that `json` can write, apart from dates."""
        return asdict(self)


def look(
    landing: AnyZone,
    dead_letters: DeadLetterStore,
    warehouse: Glance,
    *,
    cycle: CycleStatus,
    headroom_seconds: Callable[[Position], float | None],
    clock: Clock,
) -> Status:
    """Gather the status; what cannot be found out becomes a problem, never an error.

    Args:
        landing: The landing zone.
        dead_letters: The rejected documents.
        warehouse: Asked if it is free; while a run is under way that may not be so.
        cycle: The rest of it.
        headroom_seconds: Asks MongoDB how long a position stays readable; may raise AnalyticsError.
        clock: Gives the present.
    """
    problems = list(cycle.problems)
    seen = probe_landing(landing, dead_letters)
    position, letters = seen.position, seen.letters or ()
    held = warehouse.look(letters)
    # A run that builds holds the warehouse for as long as that takes: nothing is wrong.
    is_building = cycle.is_running and isinstance(held.problem, WarehouseBusyError)
    troubles = (seen.position_problem, seen.landed_problem, None if is_building else held.problem)
    problems += [f"{each.message}; {each.hint}" for each in troubles if each]
    if seen.letters is None:
        problems.append("the dead letters cannot be read; look into `dead_letter/` below DATA_DIR")
    age_seconds = (clock() - position.instant).total_seconds() if position else None
    stale = _staleness(age_seconds, is_streaming=seen.is_streaming)
    if stale is not None:
        problems.append(stale)
    headroom, source_problem = _asked(headroom_seconds, position)
    return Status(
        is_streaming=seen.is_streaming,
        position_at=position.instant if position else None,
        position_age_seconds=age_seconds,
        landed_micro_batches=len(seen.sizes),
        landed_size_bytes=sum(seen.sizes),
        pending_micro_batches=held.pending if held.exists else len(seen.sizes),
        dead_letters=len(letters),
        stale_rows=held.stale_rows,
        warehouse=held.summary,
        warehouse_rows=held.rows,
        warehouse_size_bytes=held.size_bytes,
        last_loaded_at=held.last_loaded_at,
        oplog_headroom_seconds=headroom,
        source_problem=source_problem,
        cycle=cycle,
        problems=tuple(problems),
    )


def _asked(
    headroom_seconds: Callable[[Position], float | None], position: Position | None
) -> tuple[float | None, str | None]:
    if position is None:
        return None, None
    try:
        return headroom_seconds(position), None
    except AnalyticsError as error:
        return None, f"{error.message}; {error.hint}"


def _staleness(age_seconds: float | None, *, is_streaming: bool) -> str | None:
    """Say that the position lags: a worker moves it every few seconds, also while nothing changes."""
    if age_seconds is None:
        return None
    if is_streaming and age_seconds > _STALE_STREAM_SECONDS:
        return (
            f"the stream worker runs, but has read nothing for {age_seconds / 60:,.0f} minutes; "
            "see its log, and whether MongoDB answers: `claude-analytics doctor`"
        )
    if not is_streaming and age_seconds > _STALE_LANDING_SECONDS:
        return (
            f"nothing has been read from MongoDB for {age_seconds / 3600:,.0f} hours; "
            "start `claude-analytics stream`, or run `claude-analytics pipeline`"
        )
    return None
