"""Backfills for people: what one would read, and what it did."""

from rich.console import Console

from batch.backfill.backfill import BackfillSummary
from batch.backfill.plan import Plan
from batch.cli.printing.tables import duration_text, facts, size_text


def print_plan(plan: Plan, landed: int, namespace: str, console: Console) -> None:
    """Show what a backfill would read."""
    table = facts(f"Backfill of {namespace}")
    table.add_row("documents", f"about {plan.documents:,}")
    table.add_row("size", f"about {size_text(plan.size_bytes)} of BSON")
    table.add_row("ranges", f"{len(plan.ranges):,} of `_id`")
    if landed:
        table.add_row("landed already", f"{landed:,} ranges: an earlier run would be resumed")
    console.print(table)


def print_backfill(summary: BackfillSummary, console: Console) -> None:
    """Show what a backfill did."""
    seconds = max(summary.seconds, 0.001)
    title = "Backfill finished" if summary.is_finished else "Backfill interrupted"
    table = facts(title)
    table.add_row("documents", f"{summary.documents:,} ({size_text(summary.size_bytes)} of BSON)")
    rate = size_text(summary.size_bytes / seconds)
    table.add_row("speed", f"{summary.documents / seconds:,.0f} documents/s, {rate}/s")
    compiled = summary.compiled / summary.documents if summary.documents else 1
    table.add_row("compiled", f"{compiled:.1%} of the documents; the others, unusual ones, by Python")
    table.add_row("time", duration_text(summary.seconds))
    skipped = f", {summary.ranges_skipped:,} of them before" if summary.ranges_skipped else ""
    table.add_row("ranges", f"{summary.ranges_landed:,} of {summary.ranges:,} landed{skipped}")
    table.add_row("loaded", f"{summary.loaded.rows_upserted:,} rows inserted or replaced")
    table.add_row("dead letters", f"{summary.dead_letters:,}")
    console.print(table)
    if not summary.is_finished:
        console.print("Nothing is lost: run the same command again to go on from here.")
