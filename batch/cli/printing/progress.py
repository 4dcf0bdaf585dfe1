"""Progress bars: on a terminal only, so that logs and pipes stay clean."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from batch.backfill.progress import STATES, BackfillProgress


@contextmanager
def reading(title: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a bar in bytes; the function given takes how many are done and how many there are."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task: TaskID = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def counting(title: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a bar; the function given takes how many are done and how many there are."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task: TaskID = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def backfilling(title: str, console: Console) -> Iterator[Callable[[BackfillProgress], None]]:
    """Show a bar in documents, with speed, time left and ranges; the function given takes one look."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} documents"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[ranges]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task: TaskID = progress.add_task(title, total=0, speed="", ranges="")
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
