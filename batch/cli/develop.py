"""Commands for one machine: `demo`, `mongo` and `import`."""

import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from batch.cli.context import Context
from batch.cli.printing.progress import reading
from batch.cli.printing.tables import size_text
from batch.importer.report import ImportReport
from stream import logs
from stream.clock import utc_now
from stream.source.client import connect

_MAX_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(demo)
    app.command()(mongo)
    app.command(name="import")(import_)


def demo(
    log_dir: Annotated[
        Path | None,
        typer.Option(
            "--logs", metavar="DIR", help="Your own logs, e.g. `~/.claude/projects`; a sample if left out."
        ),
    ] = None,
) -> None:
    """See it all work on this machine, with a MongoDB of its own: import, stream, load, build.

    A second run adds nothing twice. Nothing keeps running, and nothing leaves this machine.
    """
    from batch.cli.demo import run_demo  # noqa: PLC0415 - brings dbt along

    context = Context.from_environment(quiet=True)
    run_demo(context.settings, log_dir.expanduser() if log_dir else None, context.console)


def mongo() -> None:
    """Run the embedded MongoDB (a real mongod, a replica set of one) until Ctrl-C.

    Commands with the same DATA_DIR find it by themselves, unless MONGO_URI is set.
    """
    from batch.mongod.replica_set import EmbeddedMongo  # noqa: PLC0415

    context = Context.from_environment()
    with EmbeddedMongo(context.mongo_dir) as embedded:
        context.console.print(f"MongoDB runs on [bold]{embedded.uri}[/]")
        context.console.print(f"its files are in {context.mongo_dir}; Ctrl-C stops it")
        threading.Event().wait()


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", help="Log files, or folders such as `~/.claude/projects`."),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep watching, and import within a second what is appended.")
    ] = False,
) -> None:
    """Import logs of Claude Code (JSONL) into MongoDB, each line once, however often it is called."""
    from batch.importer.follower import follow as follow_logs  # noqa: PLC0415 - quick help
    from batch.importer.importer import import_logs  # noqa: PLC0415

    context = Context.from_environment()
    log = logs.logger("import")
    folders = [path.expanduser() for path in paths]
    with closing(connect(context.mongo)) as client:
        collection = client[context.mongo.database][context.mongo.collection]
        if not follow:
            with reading("Importing", context.console) as show:
                report = import_logs(
                    folders,
                    collection,
                    clock=utc_now,
                    on_progress=lambda progress: show(progress.done_bytes, progress.total_bytes),
                )
            print_import(report, context.console)
            return
        follow_logs(
            folders,
            collection,
            clock=utc_now,
            stop=threading.Event(),
            on_import=lambda report: log.info(
                "imported", inserted=report.inserted, unreadable=report.unreadable_count
            ),
            on_outage=lambda error: log.warning("source_unavailable", problem=error.message),
        )


def print_import(report: ImportReport, console: Console) -> None:
    """Say what an import did, and name what it could not read."""
    rate = report.lines / report.seconds if report.seconds else 0
    console.print(
        f"{report.lines:,} lines of {report.files:,} logs ({size_text(report.size_bytes)}): "
        f"{report.inserted:,} new, {report.already_there:,} there already"
        + (f", {report.incomplete:,} still being written" if report.incomplete else "")
        + f"; {rate:,.0f} lines/s"
    )
    if report.unreadable_count:
        console.print(f"[yellow]{report.unreadable_count:,} could not be read:[/]")
        for line in report.unreadable[:_MAX_SHOWN]:
            where = f"{line.path}:{line.line_number}" if line.line_number else str(line.path)
            console.print(f"  {where}: {line.reason}", markup=False)
        if report.unreadable_count > _MAX_SHOWN:
            console.print(f"  … and {report.unreadable_count - _MAX_SHOWN:,} more")
