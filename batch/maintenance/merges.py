"""Which landed files or objects become one: runs of neighbours of a closed day. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from stream.landing.fenced import LandedObject
from stream.landing.micro_batch import MicroBatch

File = TypeVar("File")

_FOLDER_PREFIX = "date="


@dataclass(frozen=True)
class LandedFile(Generic[File]):
    """What decides on a merge.

    Attributes:
        micro_batch: The file or object.
        rows: In it.
        size_bytes: Of it.
        stays: Whether it must stay what it is; then it also parts its neighbours, which keeps the order.
    """

    micro_batch: File
    rows: int
    size_bytes: int
    stays: bool


def landed_on(micro_batch: MicroBatch) -> date:
    """Return the day (UTC) whose folder a file lies in."""
    return date.fromisoformat(micro_batch.path.parent.name.removeprefix(_FOLDER_PREFIX))


def days_worth_a_look(lane: Sequence[MicroBatch], *, today: date) -> list[list[MicroBatch]]:
    """Return the files of each closed day that has something to merge, in order.

    The lane's newest file is left out, whatever its day: its name is where the stream goes on.

    Args:
        lane: All files of the lane in sight, oldest first.
        today: In UTC; its files may still become more.
    """
    days: dict[date, list[MicroBatch]] = {}
    for each in lane[:-1]:
        day = landed_on(each)
        if day < today:
            days.setdefault(day, []).append(each)
    return [files for files in days.values() if sum(not each.is_merged for each in files) > 1]


def plan_merges(day: Iterable[LandedFile[File]], *, max_rows: int, max_size_bytes: int) -> list[list[File]]:
    """Part the files of a day into runs, each of which becomes one file.

    Args:
        day: Oldest first.
        max_rows: In a run, unless its only file has more: what one transaction of a load takes.
        max_size_bytes: Of a run, likewise.

    Returns:
        Runs of at least two files.
    """
    runs: list[list[File]] = [[]]
    rows = size_bytes = 0
    for file in day:
        rows += file.rows
        size_bytes += file.size_bytes
        if file.stays or rows > max_rows or size_bytes > max_size_bytes:
            runs.append([])
            rows, size_bytes = (0, 0) if file.stays else (file.rows, file.size_bytes)
        if not file.stays:
            runs[-1].append(file.micro_batch)
    return [run for run in runs if len(run) > 1]


def stretches(lane: Sequence[LandedObject], *, max_size_bytes: int) -> list[list[LandedObject]]:
    """Return the small objects of a lane that have a neighbour which is small, too: others need no look.

    The lane's newest object is left out: its number is where the next one is created.

    Args:
        lane: All that is in sight, in order.
        max_size_bytes: Larger ones are not small.

    Returns:
        Stretches of at least two, whose numbers follow each other without a gap.
    """
    found: list[list[LandedObject]] = []
    for each in lane[:-1]:
        if each.first is not None or each.size_bytes > max_size_bytes:
            continue
        if found and found[-1][-1].sequence == each.sequence - 1:
            found[-1].append(each)
        else:
            found.append([each])
    return [stretch for stretch in found if len(stretch) > 1]
