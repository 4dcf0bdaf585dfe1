"""Run everything on this machine, with an embedded MongoDB, from logs to report.

A second run adds nothing twice. Nothing keeps running, and nothing leaves this machine.
"""

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from rich.console import Console

from batch.cli.companion import Companion
from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_pipeline
from batch.cli.printing.progress import counting, reading
from batch.cli.printing.questions import print_answers
from batch.cli.printing.tables import duration_text, print_summary, print_unreadable, size_text
from batch.cli.readers import make_worker
from batch.dashboards.questions import read_questions
from batch.dashboards.report.write import REPORT_NAME, write_report
from batch.importer.importer import import_logs
from batch.importer.report import ImportReport
from batch.mongod.replica_set import EmbeddedMongo
from batch.runs.journal import PUBLISH, TRANSFORM, VALIDATE, new_run_id
from batch.settings import Settings
from batch.shipped import questions, sample_logs
from batch.status.warehouse import summarise
from batch.transform.dbt_project import load_dbt
from stream.clock import utc_now
from stream.decode.memory import rare_garbage_collection
from stream.source.client import connect
from stream.worker import WorkerSummary

_QUESTIONS = ("spend_over_time", "spend_by_model", "tools_used", "headline")
_LAG = "claude_analytics_stream_durable_lag_seconds"


def command(
    log_dir: Annotated[
        Path | None,
        typer.Option(
            "--logs",
            metavar="DIR",
            help="Folder of your own logs, e.g. `~/.claude/projects`; default: the sample logs.",
        ),
    ] = None,
) -> None:
    outer = Context.from_environment(quiet=True)
    settings, console = outer.settings, outer.console
    started = time.monotonic()
    folder = (settings.data.data_dir / "demo" / ("sample" if log_dir is None else "logs")).resolve()
    # Neither parsing nor validating asks MongoDB.
    with (
        rare_garbage_collection(),
        Companion(_own(settings, settings.mongo.uri.get_secret_value(), folder)) as companion,
        EmbeddedMongo(folder / "mongo") as embedded,
    ):
        _tell(console, 1, f"a MongoDB of its own runs: {embedded.uri}")
        context = Context(_own(settings, embedded.uri, folder), console)
        registry = CollectorRegistry()
        worker = make_worker(context, registry)
        # Before the import, so that the change stream brings every document of it.
        worker.take_position()
        report = _import(log_dir.expanduser() if log_dir else sample_logs(), context)
        _tell(console, 2, _told_import(report, is_sample=log_dir is None))
        print_unreadable(report, console)
        with console.status("following the change stream …"):
            streamed = worker.run(until_idle_seconds=0)
        _tell(console, 3, _told_stream(streamed, registry.get_sample_value(_LAG)))
        with context.pipeline_locked():
            _build_check_publish(context, companion)
    with context.warehouse.opened(timeout_seconds=settings.duckdb.lease_timeout_seconds) as connection:
        console.print()
        print_summary(summarise(connection), console)
        console.print()
        asked = {each.name: each for each in read_questions(questions())}
        print_answers(connection, [asked[name] for name in _QUESTIONS], console)
        write_report(connection, folder / REPORT_NAME, now=utc_now())
    _print_places(context, console)
    console.print(
        f"\nDone in {duration_text(time.monotonic() - started)}. Run it again: nothing comes twice."
    )


def _build_check_publish(context: Context, companion: Companion) -> None:
    """Do the hourly steps, each written down like those of a pipeline run.

    Raises:
        AnalyticsError: What a step said.
    """
    console = context.console
    run_id = new_run_id(utc_now())
    with counting("building the marts", console) as show:
        cycle = make_cycle(context, run_id, on_progress=show)
        pipeline = make_pipeline(context, run_id, cycle)
        # Takes a second and a half, which the other process still needs to parse.
        load_dbt()
        companion.wait_until_parsed()
        built = pipeline.run_alone(TRANSFORM, cycle.transform)
    _tell(console, 4, f"{built.summary}{_took(context, TRANSFORM)}")
    with console.status("checking raw, staging and marts …"):
        checked = pipeline.run_alone(VALIDATE, lambda: companion.validate(run_id))
    _tell(console, 5, f"{checked.summary} (Great Expectations){_took(context, VALIDATE)}")
    for finding in checked.details["findings"]:
        console.print(
            f"  [dim]{finding['severity']}: {finding['description']} Broken by: {finding['example']}[/]",
            soft_wrap=True,
        )
    published = pipeline.run_alone(PUBLISH, cycle.publish)
    _tell(console, 6, f"{published.summary} as build {run_id}{_took(context, PUBLISH)}")


def _took(context: Context, step: str) -> str:
    done = context.journal.last(step)
    return f" in {done.seconds:.1f} s" if done and done.seconds is not None else ""


def _own(settings: Settings, uri: str, folder: Path) -> Settings:
    """Return the settings with MongoDB, files and warehouse of the demo."""
    return settings.replace(
        mongo=settings.mongo.model_copy(update={"uri": SecretStr(uri)}),
        data=settings.data.model_copy(update={"data_dir": folder}),
        duckdb=settings.duckdb.model_copy(update={"path": folder / "analytics.duckdb"}),
    )


def _import(log_dir: Path, context: Context) -> ImportReport:
    with (
        closing(connect(context.settings.mongo)) as client,
        reading("importing", context.console) as show,
    ):
        return import_logs(
            [log_dir],
            client[context.settings.mongo.database][context.settings.mongo.collection],
            clock=utc_now,
            on_progress=lambda progress: show(progress.done_bytes, progress.total_bytes),
        )


def _told_import(report: ImportReport, *, is_sample: bool) -> str:
    rate = report.lines / report.seconds if report.seconds else 0
    return (
        f"{report.lines:,} lines of {report.files:,} {'sample ' if is_sample else ''}logs "
        f"({size_text(report.size_bytes)}) imported: {report.inserted:,} new, "
        f"{report.already_there:,} there already; {rate:,.0f} lines/s"
    )


def _told_stream(streamed: WorkerSummary, lag_seconds: float | None) -> str:
    rate = f"; {streamed.events / max(streamed.seconds, 0.001):,.0f} events/s" if streamed.events else ""
    lag = "unknown" if lag_seconds is None else f"{lag_seconds:.0f} s"
    return (
        f"{streamed.events:,} change events streamed, {streamed.loaded.rows:,} rows in "
        f"{streamed.loaded.micro_batches:,} micro-batches loaded{rate}; "
        f"lag {lag} at {streamed.position.instant:%Y-%m-%d %H:%M:%S} UTC"
    )


def _tell(console: Console, number: int, text: str) -> None:
    console.print(f"[bold green]{number}[/] {text}", soft_wrap=True)


def _print_places(context: Context, console: Console) -> None:
    console.print()
    for name, path in (
        ("landing zone", context.landing.root),
        ("dead letters", context.settings.data.dead_letter_dir),
        ("warehouse", context.warehouse.path),
        ("published", context.serving.database),
        ("report", context.settings.data.data_dir / REPORT_NAME),
    ):
        console.print(f"  [dim]{name:13}[/] {path}", soft_wrap=True)
