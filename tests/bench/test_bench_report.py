"""How long a year of heavy use takes to report, and to show in a browser. Measures; never asserts a time."""

import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import psutil
import pytest

from batch.dashboards.report.write import write_report
from tests.support.browser import Page, browsing, chromium
from tests.support.heavy_year import make_heavy_year
from tests.support.marts import MartsWarehouse

pytestmark = [pytest.mark.bench, pytest.mark.integration]


def worked_seconds(page: Page) -> float:
    """Return the processor time that the page's main thread has taken since the page was asked for."""
    metrics = {each["name"]: each["value"] for each in page.call("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def test_a_year_of_heavy_use(sample_marts: MartsWarehouse, tmp_path: Path) -> None:
    """Seconds to ask and write, size of the file, milliseconds until it is seen and until all is drawn."""
    program = chromium()
    if program is None:
        pytest.skip("no chromium on the PATH")
    make_heavy_year(sample_marts.path, tmp_path / "heavy.duckdb")
    report = tmp_path / "report.html"
    with duckdb.connect(tmp_path / "heavy.duckdb", read_only=True) as connection:
        facts = connection.execute(
            "select (select count(*) from marts.dim_sessions), (select count(*) from marts.fct_api_calls), "
            "(select count(*) from marts.fct_tool_calls), (select count(*) from marts.dim_date)"
        ).fetchall()[0]
        began = time.perf_counter()
        size_bytes = write_report(connection, report, now=datetime(2026, 11, 7, tzinfo=UTC))
        took = time.perf_counter() - began
    told = "{:,} conversations, {:,} API calls, {:,} tool calls on {:,} days".format(*facts)
    print(f"\n{told}: {size_bytes / 1e6:.1f} MB in {took:.1f} s (load {psutil.getloadavg()[0]:.0f})")  # noqa: T201 - a bench tells its figures
    with browsing(program, tmp_path / "profile") as page:
        # The processor's own time beside the clock's: what a machine that does nothing else would take.
        page.call("Performance.enable", timeDomain="threadTicks")
        for width in (1440, 390):
            page.open(report, width=width)
            worked = worked_seconds(page)
            seen = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
            drawn = page.evaluate("document.documentElement.dataset.drawnAfter")
            told = (
                f"first seen after {seen:.0f} ms, all drawn after {drawn} ms, {1000 * worked:.0f} ms of work"
            )
            print(f"{width} px: {told}")  # noqa: T201
        page.evaluate(
            "window.began = performance.now(); document.querySelector('[data-days=\"90\"]').click()"
        )
        page.wait_for("document.documentElement.dataset.ready === 'true'")
        print(f"90 days chosen: all drawn after {page.evaluate('performance.now() - began'):.0f} ms")  # noqa: T201
        assert [] == page.problems
