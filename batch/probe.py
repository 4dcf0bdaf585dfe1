"""Looks at what is on this machine: the landing zone, its dead letters, the warehouse. Changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from stream.core.position import Position
from stream.disk import disk_errors
from stream.errors import AnalyticsError
from stream.landing.dead_letters import DeadLetterStore, StoredDeadLetter
from stream.landing.micro_batch import MicroBatch
from stream.landing.partitions import StreamLanes
from stream.landing.places import AnyZone
from stream.landing.zone import LandingZone
from stream.warehouse.warehouse import Warehouse

Found = TypeVar("Found")


@dataclass(frozen=True)
class LandingFacts:
    """What could be seen of the landing zone.

    Attributes:
        is_streaming: Whether a worker runs; not seen where the landing zone cannot be read.
        position: Where the stream is in the source; None if it never ran, or that cannot be read.
        position_problem: Why it cannot be read.
        landed: All micro-batches in files; none if they cannot be listed.
        sizes: Of all micro-batches, in bytes; also of objects.
        landed_problem: Why they cannot be listed.
        letters: Rejected documents; None if they cannot be read.
    """

    is_streaming: bool
    position: Position | None
    position_problem: AnalyticsError | None
    landed: tuple[MicroBatch, ...]
    sizes: tuple[int, ...]
    landed_problem: AnalyticsError | None
    letters: tuple[StoredDeadLetter, ...] | None


@dataclass(frozen=True)
class WarehouseFacts:
    """What could be seen of the warehouse.

    Attributes:
        path: The DuckDB file.
        exists: Whether there is one yet.
        duckdb_version: Of the library.
        problem: Why it cannot be opened; None if it can, or does not exist.
        pending: Micro-batches not loaded yet; None if it could not be asked.
    """

    path: Path
    exists: bool
    duckdb_version: str
    problem: AnalyticsError | None
    pending: int | None


def probe_landing(landing: AnyZone, dead_letters: DeadLetterStore) -> LandingFacts:
    """Look at the landing zone; whatever is in the way becomes a fact."""
    lane = StreamLanes(landing)
    root = landing.root if isinstance(landing, LandingZone) else Path()
    position, position_problem = _tried_to(lane.position, root)
    landed, landed_problem = _tried_to(lambda: _listed(landing), root)
    micro_batches, sizes = landed or ((), ())
    is_streaming, _ = _tried_to(lambda: lane.is_being_written, root)
    try:
        letters = tuple(dead_letters.list(landing))
    except (AnalyticsError, OSError, ValueError, KeyError):
        letters = None
    return LandingFacts(
        is_streaming=bool(is_streaming),
        position=position,
        position_problem=position_problem,
        landed=micro_batches,
        sizes=sizes,
        landed_problem=landed_problem,
        letters=letters,
    )


def _listed(landing: AnyZone) -> tuple[tuple[MicroBatch, ...], tuple[int, ...]]:
    """Return the files and the sizes of all that has landed; of objects, the sizes alone."""
    if isinstance(landing, LandingZone):
        files = tuple(landing.micro_batches())
        return files, tuple(each.path.stat().st_size for each in files if each.path.exists())
    return (), tuple(each.size_bytes for lane in landing.lanes() for each in lane.landed())


def probe_warehouse(
    warehouse: Warehouse,
    *,
    timeout_seconds: float,
    ask: Callable[[duckdb.DuckDBPyConnection], object] = lambda _connection: None,
) -> WarehouseFacts:
    """Open the warehouse, if there is one; whatever is in the way becomes a fact.

    Args:
        warehouse: Which one.
        timeout_seconds: How long to wait for its lock.
        ask: Called with the connection, if it opens, to ask for more.
    """
    exists, pending, problem = warehouse.path.exists(), None, None
    if exists:
        try:
            with warehouse.opened(timeout_seconds=timeout_seconds) as connection:
                pending = len(warehouse.pending(connection))
                ask(connection)
        except AnalyticsError as error:
            pending, problem = None, error
    return WarehouseFacts(warehouse.path, exists, duckdb.__version__, problem, pending)


def _tried_to(read: Callable[[], Found], folder: Path) -> tuple[Found | None, AnalyticsError | None]:
    try:
        with disk_errors(folder):
            return read(), None
    except AnalyticsError as error:
        return None, error
