"""Progress bars: on a terminal only, so that logs and pipes stay clean."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from batch.backfill.progress import STATES, BackfillProgress

Show = Callable[[int, int], None]
"""Takes how many are done and how many there are."""


def reading(title: str, console: Console) -> AbstractContextManager[Show]:
    """Show a bar in bytes."""
    return _of_all(title, console, DownloadColumn(), TransferSpeedColumn())


def counting(title: str, console: Console) -> AbstractContextManager[Show]:
    """Show a bar."""
    return _of_all(title, console, MofNCompleteColumn(), TimeElapsedColumn())


@contextmanager
def _of_all(title: str, console: Console, *columns: ProgressColumn) -> Iterator[Show]:
    with _bar(console, *columns, TimeRemainingColumn()) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _bar(console: Console, *columns: ProgressColumn) -> Progress:
    first = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    return Progress(*first, *columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def backfilling(title: str, console: Console) -> Iterator[Callable[[BackfillProgress], None]]:
    """Show a bar in documents, with speed, time left and ranges; the function given takes one look."""
    columns = (
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} documents"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[ranges]}"),
    )
    with _bar(console, *columns) as progress:
        task = progress.add_task(title, total=0, speed="", ranges="")
        began = time.monotonic()

        def show(look: BackfillProgress) -> None:
            speed = look.size_bytes / max(time.monotonic() - began, 0.001) / 1e6
            states = look.ranges
            progress.update(
                task,
                description=f"{title}: loading" if look.is_read else title,
                completed=look.documents,
                total=max(look.documents, look.documents_expected),
                speed=f"{speed:,.0f} MB/s",
                ranges=f"ranges: {', '.join(f'{states[state]:,} {state}' for state in STATES)}",
            )

        yield show
