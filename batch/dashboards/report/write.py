"""Makes the report: opens the marts where readers may, asks, writes the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb

from batch.dashboards.questions import read_questions
from batch.dashboards.report.figures import gather
from batch.dashboards.report.page import render
from batch.runs import ops_tables
from batch.shipped import questions
from stream.disk import disk_errors, write_durably
from stream.errors import MartsMissingError
from stream.warehouse.warehouse import Warehouse

REPORT_NAME = "report.html"


@contextmanager
def opened_marts(
    published: Path, warehouse: Warehouse | None, *, timeout_seconds: float
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published marts if there are any, so that nobody waits; else the warehouse, under its lease.

    Args:
        published: The DuckDB file of views.
        warehouse: Opened if that file is not there; None where marts are in Iceberg.
        timeout_seconds: How long to wait for the warehouse lock.

    Raises:
        MartsMissingError: There is neither.
        WarehouseBusyError: Another process kept the warehouse for too long.
    """
    if published.is_file():
        with duckdb.connect(published, read_only=True) as connection:
            yield connection
        return
    if warehouse is None:
        raise MartsMissingError(
            f"there is nothing to report: `{published}` is not there",
            hint="run `claude-analytics pipeline` first: it publishes the marts",
        )
    if not warehouse.path.is_file():
        raise MartsMissingError(
            f"there is nothing to report: neither `{published}` nor `{warehouse.path}` is there",
            hint="run `claude-analytics demo` to see it all on this machine, or `load` and `transform` first",
        )
    with warehouse.opened(timeout_seconds=timeout_seconds) as connection:
        ops_tables.prepare(connection)
        yield connection


def write_report(connection: duckdb.DuckDBPyConnection, output: Path, *, now: datetime) -> int:
    """Write the report of the marts behind a connection; an existing file is replaced as a whole.

    Returns:
        Its size in bytes.

    Raises:
        MartsMissingError: The marts have not been built, or by an older version.
        LandingFullError, LandingNotWritableError: The file cannot be written.
    """
    figures = gather(connection, read_questions(questions()), now=now)
    content = render(figures).encode()
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_durably(output, content)
    return len(content)
