"""Compare every document with the warehouse; report missing, extra and different ones.

The stream may be running: changes under way are recognised. Exit code 2 if there is a difference.
"""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from batch.cli.context import Context
from batch.cli.options import AsJson, Since
from batch.cli.printing.progress import counting
from batch.cli.printing.tables import duration_text, facts, size_text
from batch.verify.report import KINDS, REAL, Verification
from batch.verify.verify import Verifier

_REMEDIES = {
    "missing": "`claude-analytics backfill` reads what is not there",
    "extra": "a delete was not seen, or a row was added; `claude-analytics load --full-refresh` rebuilds the "
    "rows from the landing zone",
    "different": "`claude-analytics load --full-refresh` rebuilds the rows from the landing zone; if that "
    "does not help, `claude-analytics backfill` reads the documents anew",
    "duplicate": "`claude-analytics load --full-refresh` rebuilds the rows from the landing zone",
    "pending": "on the way: a running stream worker, or `claude-analytics load`, brings them",
    "dead letter": "rejected and kept: `claude-analytics dead-letters list` says why",
}


def command(
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
    as_json: AsJson = False,
) -> None:
    context = Context.from_environment(quiet=True)
    verifier = Verifier(
        mongo=context.mongo,
        landing=context.landing,
        dead_letters=context.dead_letters,
        warehouse=context.warehouse,
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
        limit=limit,
        redactor=context.redactor,
    )
    with counting("Comparing documents", context.console) as show:
        found = verifier.run(
            since=since, fraction=sample, seed=int(datetime.now(UTC).timestamp()), on_progress=show
        )
    if as_json:
        context.console.print_json(json.dumps(found.to_json()))
    else:
        _print_verification(found, context)
    if not found.is_same:
        raise typer.Exit(2)


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
    verdict = "[bold green]same[/]" if found.is_same else "[bold red]different[/]"
    context.console.print(f"\nverdict: {verdict}")
