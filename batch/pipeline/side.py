"""What the steps of a cycle ask of the warehouse that they load and build in; and DuckDB's answers."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from batch.maintenance.maintain import Maintenance
from batch.runs.journal import RUNNING, StepRun
from batch.runs.ops_tables import leave_in_log, note_runs
from batch.validate.checkpoint import Gate
from batch.validate.validate import Validation, validate
from stream.errors import AnalyticsError
from stream.warehouse.load import one_row
from stream.warehouse.warehouse import Warehouse

_COPY_SECONDS = 5.0

OnProgress = Callable[[int, int], None]


def no_progress(_done: int, _total: int) -> None:
    """Show nothing."""


class CycleSide(Protocol):
    """A warehouse, as the steps see it."""

    def load(self, on_progress: OnProgress) -> int:
        """Load what has landed and is not loaded yet; return how many rows.

        Raises:
            AnalyticsError: Why it failed.
        """

    def check(
        self, layers: Sequence[str], *, run_id: str, least_documents: int, build_docs: bool
    ) -> Validation:
        """Check every rule of some layers; see `batch.validate.validate.validate`."""

    def newest_load(self) -> int | None:
        """Return the id of the newest load, None before the first.

        Raises:
            AnalyticsError: It cannot be asked.
        """

    def maintain(self) -> list[str]:
        """Clear away what is old, and merge what is small; return what was done, in a few words each.

        Raises:
            AnalyticsError: What stopped it; what was done before stays done.
        """

    def note_runs(self, steps: Sequence[StepRun]) -> None:
        """Bring schema `ops` up to date, if that can be done at once."""


@dataclass(frozen=True)
class DuckDBCycleSide:
    """The DuckDB file.

    Attributes:
        gate: Great Expectations on it.
        maintenance: Of landing zone and warehouse.
        lease_timeout_seconds: How long to wait for the warehouse lock.
    """

    warehouse: Warehouse
    gate: Gate
    maintenance: Maintenance
    lease_timeout_seconds: float

    def load(self, on_progress: OnProgress) -> int:
        """See `CycleSide`."""
        return self.warehouse.load(timeout_seconds=self.lease_timeout_seconds, on_progress=on_progress).rows

    def check(
        self, layers: Sequence[str], *, run_id: str, least_documents: int, build_docs: bool
    ) -> Validation:
        """See `CycleSide`."""
        return validate(
            self.warehouse,
            self.gate,
            run_id=run_id,
            timeout_seconds=self.lease_timeout_seconds,
            layers=layers,
            least_documents=least_documents,
            build_docs=build_docs,
        )

    def newest_load(self) -> int | None:
        """See `CycleSide`; raises as `Warehouse.opened`."""
        with self.warehouse.opened(timeout_seconds=self.lease_timeout_seconds) as connection:
            (load_id,) = one_row(connection, "select max(load_id) from raw.loads")
        return None if load_id is None else int(load_id)

    def maintain(self) -> list[str]:
        """See `CycleSide`."""
        return self.maintenance.run()

    def note_runs(self, steps: Sequence[StepRun]) -> None:
        """See `CycleSide`; the journal itself never waits."""
        if not self.warehouse.path.exists():
            return
        with (
            suppress(AnalyticsError),
            self.warehouse.opened(timeout_seconds=_COPY_SECONDS) as connection,
        ):
            if any(step.outcome == RUNNING for step in steps):
                leave_in_log(connection)  # of a run that goes on, and is noted again at its end
            note_runs(steps, connection)
