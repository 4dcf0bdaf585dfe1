"""Compare every document with the warehouse; report missing, extra and different ones.

The stream may be running: changes under way are recognised. Exit code 2 if a difference is left, or if the
stream cannot bring what is under way.
"""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from batch.cli.context import Context
from batch.cli.lake import make_verified_side
from batch.cli.options import AsJson, Since
from batch.cli.printing.progress import counting
from batch.cli.printing.tables import duration_text, facts, size_text
from batch.verify.report import KINDS, REAL, Verification
from batch.verify.verify import RepairOutcome, Verifier
from batch.verify.warehouse_side import DuckDBSide, WarehouseSide
from stream.clock import utc_now
from stream.core.collection_event import InvalidationPolicy
from stream.landing.places import places

_REPAIR = "`claude-analytics verify --repair` writes what differs, beside a running worker"
_REMEDIES = {
    "missing": f"a document without a row; {_REPAIR}",
    "extra": f"a row without a document: a delete was not seen, or a row was added; {_REPAIR}",
    "different": f"the row says something else; {_REPAIR}",
    "duplicate": f"several rows of one document; {_REPAIR}",
    "pending": "on the way: a running stream worker, or `claude-analytics load`, brings them",
    "dead letter": "rejected and kept: `claude-analytics dead-letters list` says why",
    "stale": "rejected in its present form, so the row is of an older one; `claude-analytics dead-letters "
    "list` says why",
}


def command(  # noqa: PLR0917 - its options
    sample: Annotated[
        float,
        typer.Option(
            "--sample",
            min=0.0,
            max=1.0,
            metavar="FRACTION",
            help="Compare a random share of the documents, e.g. 0.1.",
        ),
    ] = 1.0,
    since: Since = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Maximum number of `_id`s to list per kind of difference.")
    ] = 10,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what differs, as the stream would, and prove it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a repair.")] = False,
    as_json: AsJson = False,
) -> None:
    context = Context.from_environment(quiet=True)
    side = _side(context)
    where = places(context.settings.data, clock=utc_now)
    verifier = Verifier(
        mongo=context.mongo,
        landing=where.landing,
        dead_letters=where.dead_letters,
        side=side,
        limit=limit,
        redactor=context.redactor,
        policy=InvalidationPolicy(context.settings.stream.on_drop, context.settings.stream.on_history_lost),
    )
    with counting("Comparing documents", context.console) as show:
        found = verifier.run(
            since=since, fraction=sample, seed=int(datetime.now(UTC).timestamp()), on_progress=show
        )
    if not as_json:
        _print_verification(found, context)
    mended = _repair(verifier, found, context, yes=yes) if repair and found.mismatches else None
    if as_json:
        outcome = {"repair": mended.to_json()} if mended else {}
        context.console.print_json(json.dumps(found.to_json() | outcome))
    if not (found.is_same or (mended and mended.is_whole and found.blocked_by is None)):
        raise typer.Exit(2)


def _side(context: Context) -> WarehouseSide:
    if context.settings.lake.is_iceberg:
        return make_verified_side(context)
    return DuckDBSide(context.warehouse, context.settings.duckdb.lease_timeout_seconds)


def _repair(verifier: Verifier, found: Verification, context: Context, *, yes: bool) -> RepairOutcome:
    """Write what differs, once a person has agreed; show what it brought."""
    if not yes:
        typer.confirm(
            f"\nRead these {len(found.mismatches):,} documents again, and write their rows or tombstones?",
            abort=True,
            err=True,
        )
    with counting("Repairing", context.console) as show:
        outcome = verifier.repair(found.mismatches, on_progress=show)
    written = outcome.written
    typer.echo(
        f"\nrepaired: {written.upserts:,} rows written, {written.deletes:,} removed, "
        f"{written.dead_letters:,} rejected and kept",
        err=True,
    )
    left = ", ".join(f"{count:,} {kind}" for kind, count in outcome.left.counts.items() if count)
    typer.echo(f"looked at again: {left or 'all the same'}", err=True)
    return outcome


def _print_verification(found: Verification, context: Context) -> None:
    seconds = max(found.seconds, 0.001)
    first_at, last_at = found.at
    table = facts(f"{found.namespace} and its warehouse")
    table.add_row("compared at", f"{first_at:%Y-%m-%d %H:%M:%S} to {last_at:%H:%M:%S} UTC, by cluster time")
    share = "" if found.pieces == found.ranges_in_all else f" of {found.ranges_in_all:,}: a sample"
    table.add_row("documents", f"{found.documents:,} in {found.pieces:,} pieces{share}")
    table.add_row("rows", f"{found.rows:,}")
    rate = size_text(found.size_bytes / seconds)
    table.add_row(
        "speed", f"{found.documents / seconds:,.0f} documents/s, {rate}/s, {duration_text(found.seconds)}"
    )
    for kind in KINDS:
        if found.counts[kind] or kind in REAL:
            table.add_row(kind, f"{found.counts[kind]:,}")
    context.console.print(table)
    for kind in KINDS:
        if found.counts[kind]:
            context.console.print(f"\n{kind}: {_REMEDIES[kind]}", soft_wrap=True, markup=False)
            for key in found.first[kind]:
                context.console.print(f"  {key}", soft_wrap=True, markup=False)
            hidden = found.counts[kind] - len(found.first[kind])
            if hidden:
                context.console.print(f"  … and {hidden:,} more")
    if found.blocked_by:
        problem = found.blocked_by
        context.console.print(f"\nblocked: {problem.message}", soft_wrap=True, markup=False)
        context.console.print(f"  what to do: {problem.hint}", soft_wrap=True, markup=False)
    rejected = found.counts["dead letter"] + found.counts["stale"]
    colour = "bold green" if found.is_same else "bold red"
    but = f", but for {rejected:,} rejected documents" if found.is_same and rejected else ""
    context.console.print(f"\nverdict: [{colour}]{found.verdict}[/]{but}")
