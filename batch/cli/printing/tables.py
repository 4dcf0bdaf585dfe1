"""Results as tables for people."""

from rich.console import Console
from rich.table import Table

from batch.importer.report import ImportReport
from batch.status.warehouse import Summary

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000
_MINUTE = 60
_HOUR = 3600
_MAX_SHOWN = 20


def size_text(size_bytes: float) -> str:
    """Write a size with a unit, e.g. `12.3 MB`."""
    for unit in _UNITS:
        if size_bytes < _STEP or unit == _UNITS[-1]:
            break
        size_bytes /= _STEP
    return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"


def print_unreadable(report: ImportReport, console: Console) -> None:
    """Name what an import left out or could not read."""
    if not report.unreadable_count:
        return
    console.print(f"[yellow]{report.unreadable_count:,} could not be read or were left out:[/]")
    for line in report.unreadable[:_MAX_SHOWN]:
        where = f"{line.path}:{line.line_number}" if line.line_number else str(line.path)
        console.print(f"  {where}: {line.reason}", markup=False)
    if report.unreadable_count > _MAX_SHOWN:
        console.print(f"  … and {report.unreadable_count - _MAX_SHOWN:,} more")


def facts(title: str) -> Table:
    """Return a table of names and values."""
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    return table


def print_summary(summary: Summary, console: Console) -> None:
    """Show what the warehouse holds."""
    table = Table(title="Documents by type", title_justify="left", title_style="bold", box=None)
    table.add_column("type", no_wrap=True)
    table.add_column("documents", justify="right")
    table.add_column("share", justify="right", style="dim")
    for kind, documents in summary.documents_by_type.items():
        table.add_row(kind, f"{documents:,}", f"{documents / summary.documents:.1%}")
    totals = facts("Warehouse")
    totals.add_row("documents", f"{summary.documents:,}")
    totals.add_row("conversations", f"{summary.conversations:,}")
    totals.add_row("projects", f"{summary.projects:,}")
    totals.add_row("days", f"{summary.days:,}  ({summary.first_date} to {summary.last_date})")
    totals.add_row("micro-batches", f"{summary.micro_batches:,}")
    totals.add_row("dead letters", f"{summary.dead_letters:,}")
    console.print(table)
    console.print()
    console.print(totals)


def duration_text(seconds: float) -> str:
    """Write a duration, e.g. `4.2 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:,.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
