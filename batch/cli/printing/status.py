"""The status on one screen."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from batch.cli.printing.tables import duration_text, facts, size_text
from batch.status.cycle import CycleStatus
from batch.status.status import Status
from stream.clock import age_text

_COLOURS = {"succeeded": "green", "running": "cyan", "failed": "bold red", "killed": "bold red"}
_SECOND = "%Y-%m-%d %H:%M:%S"


def print_status(status: Status, console: Console) -> None:
    """Show one screen of status."""
    table = facts("Claude Analytics")
    table.add_row("stream worker", "running" if status.is_streaming else "not running")
    if status.position_at is None or status.position_age_seconds is None:
        table.add_row("position", "none yet: `claude-analytics stream` takes one")
    else:
        headroom = status.oplog_headroom_seconds
        table.add_row(
            "position",
            f"{status.position_at:{_SECOND}} UTC  ({age_text(status.position_age_seconds)} ago"
            + (f", safe for another {age_text(headroom)})" if headroom is not None else ")"),
        )
    if status.source_problem:
        table.add_row("source", escape(status.source_problem))
    table.add_row(
        "landing zone",
        f"{status.landed_micro_batches:,} micro-batches, {size_text(status.landed_size_bytes)}",
    )
    pending = "unknown" if status.pending_micro_batches is None else f"{status.pending_micro_batches:,}"
    table.add_row("pending", f"{pending} micro-batches")
    stale = f", {status.stale_rows:,} of them with a row that is older" if status.stale_rows else ""
    table.add_row("dead letters", f"{status.dead_letters:,}{stale}")
    _add_warehouse(table, status)
    _add_cycle(table, status.cycle)
    console.print(table)
    if status.cycle.last_runs:
        console.print()
        console.print(_steps(status.cycle))
    for problem in status.problems:
        console.print(f"[yellow]problem:[/] {problem}", markup=True)


def _add_warehouse(table: Table, status: Status) -> None:
    if not status.warehouse_size_bytes:
        table.add_row("warehouse", "none yet")
        return
    table.add_row("warehouse", size_text(status.warehouse_size_bytes))
    if status.warehouse:
        held = status.warehouse
        table.add_row("documents", f"{held.documents:,} in {held.conversations:,} conversations")
    elif status.warehouse_rows is not None:
        table.add_row("rows", f"{status.warehouse_rows:,}, deletions among them")
    if status.last_loaded_at:
        table.add_row("last load", f"{status.last_loaded_at:{_SECOND}} UTC")


def _add_cycle(table: Table, cycle: CycleStatus) -> None:
    if cycle.build is None:
        table.add_row("published", "nothing yet: `claude-analytics pipeline` does")
    else:
        table.add_row(
            "published",
            f"{cycle.build.build_id}  ({age_text(cycle.build.age_seconds)} ago, {cycle.build.rows:,} rows)",
        )
        table.add_row("builds", f"{cycle.builds:,} kept, {size_text(cycle.builds_size_bytes)}")
    if cycle.next_run_at is not None:
        table.add_row("next run", f"{cycle.next_run_at:{_SECOND} %Z}")
    else:
        table.add_row("next run", "no scheduler is running")


def _steps(cycle: CycleStatus) -> Table:
    table = Table(title="Last run of each step", title_justify="left", title_style="bold", box=None)
    for name in ("step", "outcome", "began"):
        table.add_column(name, no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    for step in cycle.last_runs:
        table.add_row(
            step.step,
            f"[{_COLOURS.get(step.outcome, 'yellow')}]{step.outcome}[/]",
            f"{step.started_at:{_SECOND}} UTC",
            "" if step.seconds is None else duration_text(step.seconds),
            "" if step.rows is None else f"{step.rows:,}",
        )
    return table
