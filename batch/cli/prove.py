"""Commands that prove and explain: `verify`, `doctor` and `dead-letters`."""

import json
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from batch.cli.context import Context
from batch.cli.printing.progress import counting
from batch.cli.printing.tables import duration_text, facts, size_text
from batch.dead_letters import replay
from batch.doctor.check import Check
from batch.doctor.examine import Doctor
from batch.doctor.facts import Address
from batch.verify.report import KINDS, REAL, Verification
from batch.verify.verify import Verifier
from stream.clock import utc_now
from stream.core.normalise import normalise
from stream.landing.dead_letters import StoredDeadLetter

_JSON = typer.Option("--json", help="Print JSON instead of a table.")
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}
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


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(verify)
    app.command()(doctor)
    letters = typer.Typer(help="The rejected documents.", no_args_is_help=True)
    letters.command("list")(list_letters)
    letters.command("show")(show_letter)
    letters.command("replay")(replay_letters)
    app.add_typer(letters, name="dead-letters")


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write a date or time as in ISO 8601, e.g. 2026-01-31") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def verify(
    sample: Annotated[
        float,
        typer.Option(
            "--sample", min=0.0, max=1.0, metavar="FRACTION", help="Compare only so large a share, by chance."
        ),
    ] = 1.0,
    since: Annotated[
        datetime | None,
        typer.Option(parser=_instant, metavar="DATE", help="Only documents of this day or time (UTC) on."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many `_id`s of each kind to name.")
    ] = 10,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Prove that every document is in the warehouse as it should be, and nothing else is.

    The stream may be running: changes under way are told apart. Exit code 2 if there is a difference.
    """
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


def doctor(as_json: Annotated[bool, _JSON] = False) -> None:
    """Look at everything the platform needs: MongoDB, privileges, oplog, disk, files, warehouse, ports.

    Each line is ok, warn or fail, and says what to do. Exit code 2 if a line fails.
    """
    context = Context.from_environment(quiet=True)
    settings = context.settings
    checks = Doctor(
        mongo=context.mongo,
        data_dir=settings.data.data_dir,
        landing=context.landing,
        dead_letters=context.dead_letters,
        warehouse=context.warehouse,
        addresses=[
            Address("METRICS_PORT", settings.metrics.host, settings.metrics.port),
            Address("BACKFILL_METRICS_PORT", settings.metrics.host, settings.backfill.metrics_port),
        ],
    ).examine()
    if as_json:
        context.console.print_json(json.dumps([check.to_json() for check in checks]))
    else:
        _print_checks(checks, context)
    if any(check.level == "fail" for check in checks):
        raise typer.Exit(2)


def _print_checks(checks: list[Check], context: Context) -> None:
    for check in checks:
        text = f"{check.name}: {check.text}".replace("[", r"\[")
        context.console.print(f"[{_COLOURS[check.level]}]{check.level:4}[/]  {text}", soft_wrap=True)
        if check.fix and check.level != "ok":
            context.console.print(f"        → {check.fix}", soft_wrap=True, markup=False)
    counts = {level: sum(1 for check in checks if check.level == level) for level in _COLOURS}
    context.console.print(f"\n{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed")


def list_letters(as_json: Annotated[bool, _JSON] = False) -> None:
    """List rejected documents: where each was read, when, and why it has no row."""
    context = Context.from_environment(quiet=True)
    letters = context.dead_letters.list(context.landing)
    if as_json:
        lines = [
            {"id": each.id, "rejected_at": each.rejected_at, "_id": each.letter.document_id}
            | {"reason": each.letter.reason, "detail": each.letter.detail}
            for each in letters
        ]
        context.console.print_json(json.dumps(lines))
        return
    for each in letters:
        context.console.print(
            f"{each.id}  {each.rejected_at[:19]}  {each.letter.reason}: {each.letter.detail}",
            soft_wrap=True,
            markup=False,
        )
    context.console.print(f"{len(letters):,} dead letters")


def show_letter(letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Show one rejected document as a whole."""
    context = Context.from_environment(quiet=True)
    (letter,) = _letters(context, [letter_id])
    table = facts(letter.id)
    table.add_row("rejected", letter.rejected_at)
    table.add_row("reason", letter.letter.reason)
    table.add_row("detail", Text(letter.letter.detail))
    table.add_row("_id", Text(letter.letter.document_id or "cannot be read"))
    context.console.print(table)
    context.console.print_json(letter.letter.raw)


def replay_letters(
    letter_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="Only these; all unless given.")
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Give what is still rejected a row, whole in `extra`.")
    ] = False,
) -> None:
    """Try rejected documents again; what has a row now is loaded, and leaves the queue.

    Exit code 2 if some are still rejected.
    """
    context = Context.from_environment(quiet=True)
    found = replay(
        _letters(context, letter_ids),
        store=context.dead_letters,
        landing=context.landing,
        clock=utc_now,
        as_is=as_is,
        normalise_document=partial(normalise, redactor=context.redactor),
    )
    if found.micro_batch:
        context.warehouse.load(timeout_seconds=context.settings.duckdb.lease_timeout_seconds)
    context.console.print(f"{len(found.replayed):,} replayed, {len(found.rejected):,} still rejected")
    for each in found.rejected:
        context.console.print(f"  {each.id}  {each.letter.detail}", soft_wrap=True, markup=False)
    if found.rejected:
        raise typer.Exit(2)


def _letters(context: Context, letter_ids: list[str] | None) -> list[StoredDeadLetter]:
    letters = context.dead_letters.list(context.landing)
    if not letter_ids:
        return letters
    unknown = set(letter_ids) - {each.id for each in letters}
    if unknown:
        raise typer.BadParameter(f"no dead letter has the id `{min(unknown)}`")
    return [each for each in letters if each.id in letter_ids]
