"""Import logs of Claude Code (JSONL) into MongoDB; repeating it adds nothing twice."""

import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from batch.cli.context import Context
from batch.cli.printing.progress import reading
from batch.cli.printing.tables import print_unreadable, size_text
from batch.importer import encoding
from batch.importer.follower import follow as follow_logs
from batch.importer.importer import import_logs
from batch.importer.report import ImportReport
from stream import logs
from stream.clock import utc_now
from stream.source.client import connect
from stream.source.majority import require_writable


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", help="Log files, or folders such as `~/.claude/projects`."),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep running and import new lines within a second.")
    ] = False,
) -> None:
    context = Context.from_environment()
    log = logs.logger("import")
    problem = encoding.problem()
    if problem:
        log.warning("importing_without_compiled_code", problem=problem, hint=encoding.HINT)
    folders = [path.expanduser() for path in paths]
    with closing(connect(context.mongo)) as client:
        collection = client[context.mongo.database][context.mongo.collection]
        if not follow:
            require_writable(client, context.mongo)
            with reading("Importing", context.console) as show:
                report = import_logs(
                    folders,
                    collection,
                    clock=utc_now,
                    on_progress=lambda progress: show(progress.done_bytes, progress.total_bytes),
                )
            _print(report, context.console)
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


def _print(report: ImportReport, console: Console) -> None:
    """Say what an import did, and name what it could not read."""
    rate = report.lines / report.seconds if report.seconds else 0
    console.print(
        f"{report.lines:,} lines of {report.files:,} logs ({size_text(report.size_bytes)}): "
        f"{report.inserted:,} new, {report.already_there:,} there already"
        + (f", {report.incomplete:,} still being written" if report.incomplete else "")
        + f"; {rate:,.0f} lines/s"
    )
    print_unreadable(report, console)
