"""Which landed files become one."""

from datetime import date
from pathlib import Path

import pytest

from batch.maintenance.merges import LandedFile, days_worth_a_look, plan_merges
from stream.landing.micro_batch import MicroBatch

TODAY = date(2026, 1, 5)


def file(sequence: int, day: int = 3, *, ending: str = ".parquet") -> MicroBatch:
    path = Path(f"landing/stream/date=2026-01-{day:02d}/{sequence:012d}-00000000-00000000{ending}")
    return MicroBatch(path, "stream", sequence)


def sequences(runs: list[list[MicroBatch]]) -> list[list[int]]:
    return [[each.sequence for each in run] for run in runs]


def test_only_closed_days_with_something_to_merge() -> None:
    """Not today, not the newest file of the lane, not what is merged already or alone."""
    merged = file(3, 2, ending=".merged.parquet")
    lane = [file(0, 1), file(1, 1), merged, file(4, 2), *(file(n) for n in (5, 6, 7)), file(8, 4), file(9, 4)]

    assert [[0, 1], [5, 6, 7]] == sequences(days_worth_a_look(lane, today=TODAY))
    assert [[0, 1]] == sequences(days_worth_a_look(lane, today=date(2026, 1, 3)))
    assert [] == days_worth_a_look([], today=TODAY)


def landed(*sizes: int | None) -> list[LandedFile]:
    """Return files of so many rows, ten bytes each; None is one that stays."""
    return [
        LandedFile(file(number), size or 1, 10 * (size or 1), size is None)
        for number, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("day", "max_size_bytes", "expected"),
    [
        (landed(1, 1, 1), 1000, [[0, 1, 2]]),
        (landed(3, 3, 3, 3), 1000, [[0, 1], [2, 3]]),
        (landed(1, 1, 1, 1), 20, [[0, 1], [2, 3]]),
        (landed(9, 1, 1), 1000, [[1, 2]]),
        (landed(1, 1, None, 1, 1), 1000, [[0, 1], [3, 4]]),
        (landed(1, None, 1), 1000, []),
        (landed(1), 1000, []),
        ([], 1000, []),
    ],
    ids=["all", "rows", "bytes", "one too large", "parted by one that stays", "nothing left", "one", "none"],
)
def test_runs_of_neighbours(day: list[LandedFile], max_size_bytes: int, expected: list[list[int]]) -> None:
    """As many as a load takes in one transaction; the order of files never changes."""
    assert expected == sequences(plan_merges(day, max_rows=6, max_size_bytes=max_size_bytes))
