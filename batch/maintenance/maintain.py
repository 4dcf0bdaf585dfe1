"""The last step of a run: files merged, old ones removed, logs cut."""

from dataclasses import dataclass
from typing import ClassVar

from batch.maintenance.compaction import Compaction
from batch.maintenance.pruning import prune_changed_lines
from batch.maintenance.retention import Retention
from stream.errors import WarehouseBusyError
from stream.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Maintenance:
    """Everything maintenance needs; the caller has the pipeline lock.

    Attributes:
        retention: None keeps all landed files for ever.
        lease_timeout_seconds: How long to wait for the warehouse.
    """

    compaction: Compaction
    retention: Retention | None
    warehouse: Warehouse
    lease_timeout_seconds: float

    _left_for_later: ClassVar[str] = "the warehouse is busy, the rest is left for the next run"

    def run(self) -> list[str]:
        """Do all of it; give what was done, in a few words each, nothing if there was nothing to do.

        Raises:
            MicroBatchCorruptError: A landed file is damaged.
            LandingFullError: No space.
        """
        merged = self.compaction.merge()
        done = [f"{merged.files:,} landed files merged into {merged.into:,}"] if merged.files else []
        if not self.warehouse.path.exists():
            return done
        try:
            with self.warehouse.opened(timeout_seconds=self.lease_timeout_seconds) as connection:
                replaced = self.compaction.remove_replaced()
                old = self.retention.remove_old(connection) if self.retention else 0
                lines = prune_changed_lines(connection)
        except WarehouseBusyError:
            return [*done, self._left_for_later]
        counts = {
            "merged files removed": replaced,
            "old landed files removed": old,
            "changed lines forgotten": lines,
        }
        return done + [f"{number:,} {what}" for what, number in counts.items() if number]
