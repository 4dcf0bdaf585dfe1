"""What a purge asks of the landing zone and of the warehouse; and DuckDB's answers."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from batch.purge import warehouse_side
from batch.purge.target import Target
from stream.clock import Clock
from stream.warehouse.warehouse import Warehouse


class LandedSide(Protocol):
    """A landing zone of either kind: `batch.purge.landed`, `batch.purge.objects`."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep writers away, as far as they are known.

        Raises:
            AlreadyRunningError: One runs.
        """

    def fence(self) -> None:
        """See that a writer that nobody knows of lands nothing more.

        Raises:
            AlreadyRunningError: It could not be kept from it.
        """

    def rows(self, target: Target) -> int:
        """Count its rows, those out of sight as well."""

    def remove_rows(self, target: Target) -> int:
        """Write again whatever has rows of it; give how many rows went."""


class PurgeSide(Protocol):
    """A warehouse of either kind. The methods are called in this order, each of which may be done again."""

    def exists(self) -> bool:
        """Whether there is one yet."""

    def keeping_loads_away(self) -> AbstractContextManager[None]:
        """Keep loads away while landed files are replaced.

        Raises:
            WarehouseBusyError: Another process loads for too long.
        """

    def forget(self, target: Target) -> int:
        """Delete its rows from `raw`, noted like a load that does so, so that marts follow; give how many."""

    def has_marts(self) -> bool:
        """Whether the star schema has been built."""

    def settle(self) -> None:
        """See that the marts, once published, hold nothing that was removed from them."""

    def forget_notes(self, target: Target) -> None:
        """Delete what loads and models noted about conversations: all marts are up to date, or none is."""

    def wipe(self) -> None:
        """Rewrite what still holds deleted rows; nothing that was removed is left in any file."""

    def mentions(self, target: Target) -> int:
        """Count lines of other conversations that hold the id somewhere: forks, and who wrote about it."""

    def rows_left(self, target: Target) -> int:
        """Count its rows in all tables."""


@dataclass(frozen=True)
class DuckDBPurgeSide:
    """The DuckDB file.

    Attributes:
        lease_timeout_seconds: How long to wait for the warehouse.
    """

    warehouse: Warehouse
    clock: Clock
    lease_timeout_seconds: float

    def exists(self) -> bool:
        """See `PurgeSide`."""
        return self.warehouse.path.exists()

    @contextmanager
    def keeping_loads_away(self) -> Iterator[None]:
        """See `PurgeSide`; under the warehouse lock no load has listed the files that are replaced."""
        with self.warehouse.lock.held(timeout_seconds=self.lease_timeout_seconds):
            yield

    def forget(self, target: Target) -> int:
        """See `PurgeSide`."""
        with self.warehouse.opened(timeout_seconds=self.lease_timeout_seconds) as connection:
            return warehouse_side.forget(connection, target, now=self.clock())

    def has_marts(self) -> bool:
        """See `PurgeSide`."""
        with self.warehouse.opened(timeout_seconds=self.lease_timeout_seconds) as connection:
            return warehouse_side.has_marts(connection)

    def settle(self) -> None:
        """Do nothing: what is published is copied row by row."""

    def forget_notes(self, target: Target) -> None:
        """See `PurgeSide`."""
        with self.warehouse.opened(timeout_seconds=self.lease_timeout_seconds) as connection:
            warehouse_side.forget_notes(connection, target)

    def wipe(self) -> None:
        """See `PurgeSide`; copies of the file that were set aside as damaged go as well."""
        self.warehouse.rewrite(timeout_seconds=self.lease_timeout_seconds)
        for path in self.warehouse.path.parent.glob(f"{self.warehouse.path.name}*.corrupt-*"):
            path.unlink()

    def mentions(self, target: Target) -> int:
        """See `PurgeSide`."""
        with self.warehouse.opened(timeout_seconds=self.lease_timeout_seconds) as connection:
            return warehouse_side.mentions(connection, target)

    def rows_left(self, target: Target) -> int:
        """See `PurgeSide`."""
        with self.warehouse.opened(timeout_seconds=self.lease_timeout_seconds) as connection:
            return warehouse_side.rows_left(connection, target)
