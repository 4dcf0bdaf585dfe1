"""Whether Spark need be asked to expire anything."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from batch.lake.maintain import has_snapshot_before

NOW = datetime(2026, 1, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Snapshot:
    """As PyIceberg names its parts."""

    snapshot_id: int
    timestamp_ms: int


@dataclass(frozen=True)
class Snapshots:
    """A table with snapshots of some days ago, the last of them the present one."""

    days_ago: tuple[int, ...]

    def snapshots(self) -> list[Snapshot]:
        """Return all of them."""
        times = [(NOW - timedelta(days=each)).timestamp() * 1000 for each in self.days_ago]
        return [Snapshot(number, int(time)) for number, time in enumerate(times)]

    def current_snapshot(self) -> Snapshot | None:
        """Return the present one."""
        return self.snapshots()[-1] if self.days_ago else None


@pytest.mark.parametrize(
    ("days_ago", "expected"),
    [((), False), ((9,), False), ((2, 1), False), ((9, 1), True)],
    ids=["empty", "the present one is old", "young", "old"],
)
def test_only_old_snapshots_expire(days_ago: tuple[int, ...], expected: bool) -> None:  # noqa: FBT001
    """The present one stays, however old it is."""
    assert expected is has_snapshot_before(Snapshots(days_ago), NOW - timedelta(days=5))


def test_a_table_that_is_not_there_has_none() -> None:
    """As for one that was dropped meanwhile."""
    assert not has_snapshot_before(None, NOW)
