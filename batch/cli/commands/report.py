"""Write the dashboards as one HTML file that needs neither a server nor a network.

Reads the published marts, or the warehouse if nothing has been published yet.
"""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from batch.cli.context import Context
from batch.cli.printing.tables import size_text
from batch.dashboards.report.write import REPORT_NAME, opened_marts, write_report
from batch.publish.folder import ServingFolder
from stream.clock import utc_now


def command(
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Output file; default: `report.html` in DATA_DIR."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
) -> None:
    context = Context.from_environment()
    data = context.settings.data
    path = (output or data.data_dir / REPORT_NAME).resolve()
    with opened_marts(
        ServingFolder(data.serving_dir).database,
        None if context.settings.lake.is_iceberg else context.warehouse,
        timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
    ) as connection:
        size_bytes = write_report(connection, path, now=utc_now())
    context.console.print(f"{path} ({size_text(size_bytes)})", soft_wrap=True)
    if show:
        webbrowser.open(path.as_uri())
