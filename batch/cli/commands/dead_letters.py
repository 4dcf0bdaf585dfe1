"""The rejected documents."""

import json
from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from batch.cli.context import Context
from batch.cli.cycle import make_side
from batch.cli.options import AsJson
from batch.cli.printing.tables import facts
from batch.dead_letters import replay
from batch.pipeline.side import no_progress
from stream.clock import utc_now
from stream.core.normalise import normalise
from stream.landing.dead_letters import StoredDeadLetter

command = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")


@command.command("list")
def list_letters(as_json: AsJson = False) -> None:
    """List rejected documents: where each was read, when, and why it has no row."""
    context = Context.from_environment(quiet=True)
    letters = context.dead_letters.list(context.landed)
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


@command.command("show")
def show_letter(
    letter_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the dead letter, as shown by `list`.")
    ],
) -> None:
    """Show one rejected document in full."""
    context = Context.from_environment(quiet=True)
    (letter,) = _letters(context, [letter_id])
    table = facts(letter.id)
    table.add_row("rejected", letter.rejected_at)
    table.add_row("reason", letter.letter.reason)
    table.add_row("detail", Text(letter.letter.detail))
    table.add_row("_id", Text(letter.letter.document_id or "cannot be read"))
    context.console.print(table)
    context.console.print_json(letter.letter.raw)


@command.command("replay")
def replay_letters(
    letter_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID…", help="Ids of the dead letters to replay; default: all."),
    ] = None,
    as_is: Annotated[
        bool,
        typer.Option(
            "--as-is", help="Load documents that are still rejected as rows with everything in `extra`."
        ),
    ] = False,
) -> None:
    """Try rejected documents again; those that now become rows are loaded and leave the queue.

    Exit code 2 if some are still rejected.
    """
    context = Context.from_environment(quiet=True)
    found = replay(
        _letters(context, letter_ids),
        store=context.dead_letters,
        landing=context.landed,
        clock=utc_now,
        as_is=as_is,
        normalise_document=partial(normalise, redactor=context.redactor),
    )
    if found.micro_batch:
        make_side(context).load(no_progress)
    context.console.print(f"{len(found.replayed):,} replayed, {len(found.rejected):,} still rejected")
    for each in found.rejected:
        context.console.print(f"  {each.id}  {each.letter.detail}", soft_wrap=True, markup=False)
    if found.rejected:
        raise typer.Exit(2)


@command.command("discard")
def discard_letters(
    letter_ids: Annotated[
        list[str], typer.Argument(metavar="ID…", help="As `list` shows them; `all` for all.")
    ],
) -> None:
    """Take rejected documents out of the queue for good: they need no row.

    They stay on disk, so that `verify` knows why there is none.
    """
    context = Context.from_environment(quiet=True)
    letters = _letters(context, None if letter_ids == ["all"] else letter_ids)
    context.dead_letters.discard(letters)
    context.console.print(f"{len(letters):,} discarded")


def _letters(context: Context, letter_ids: list[str] | None) -> list[StoredDeadLetter]:
    letters = context.dead_letters.list(context.landed)
    if not letter_ids:
        return letters
    unknown = set(letter_ids) - {each.id for each in letters}
    if unknown:
        raise typer.BadParameter(f"no dead letter has the id `{min(unknown)}`")
    return [each for each in letters if each.id in letter_ids]
