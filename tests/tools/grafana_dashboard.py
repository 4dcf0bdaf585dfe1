"""Grafana's dashboard as code: `make docs` writes `deploy/grafana/dashboards/pipeline.json` from it.

Lag first: whether changes can still be lost, how fresh everything is, then why.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    FieldColor,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)

from tests.support.paths import ROOT

FILE = ROOT / "deploy" / "grafana" / "dashboards" / "pipeline.json"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_STREAM = "claude_analytics_stream"
_BATCH = "claude_analytics_batch"
_GOOD, _CAUTION, _BAD, _PLAIN = "green", "orange", "red", "blue"


@dataclass(frozen=True)
class View:
    """One panel.

    Attributes:
        title: Its heading.
        description: What it says, and when to worry.
        queries: PromQL, and the legend of its series.
        unit: As Grafana names it.
        steps: Colours, each from a value on; the first from the start.
        kind: Big number, lines, or bars.
        width: Of 24 columns.
        is_stacked: Whether lines stand on each other.
    """

    title: str
    description: str
    queries: Sequence[tuple[str, str]]
    unit: str
    steps: Sequence[tuple[float | None, str]] = ((None, _PLAIN),)
    kind: type[Stat | TimeSeries | BarGauge] = TimeSeries
    width: int = 8
    is_stacked: bool = False


def number(title: str, description: str, query: str, unit: str, *steps: tuple[float | None, str]) -> View:
    """Return a big number with colours."""
    return View(title, description, [(query, "")], unit, steps, Stat, width=4)


def dashboard() -> Dashboard:
    """Put all panels together."""
    built = (
        Dashboard("Claude Analytics: pipeline")
        .uid("claude-analytics-pipeline")
        .description(
            "From MongoDB to the published build: can changes be lost, how fresh is everything, and why."
        )
        .tags(["claude-analytics"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(1)  # one crosshair for all panels
        .readonly()
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    numbers = itertools.count(1)
    for title, views in SECTIONS:
        built = built.with_row(Row(title).id(next(numbers)))
        for view in views:
            built = built.with_panel(_panel(view).id(next(numbers)))
    return built


def _panel(view: View) -> Stat | TimeSeries | BarGauge:
    mode = FieldColorModeId.PALETTE_CLASSIC if view.kind is TimeSeries else FieldColorModeId.THRESHOLDS
    panel = (
        view.kind()
        .title(view.title)
        .description(view.description)
        .datasource(_SOURCE)
        .unit(view.unit)
        .color_scheme(FieldColor().mode(mode))
        .span(view.width)
        .height(4 if view.kind is Stat else 8)
        .thresholds(
            ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(value=value, color=colour) for value, colour in view.steps])
        )
    )
    for place, (query, legend) in enumerate(view.queries):
        target = Dataquery().expr(query).legend_format(legend).ref_id("ABCDEF"[place]).datasource(_SOURCE)
        panel = panel.with_target(target if view.kind is TimeSeries else target.instant())
    if isinstance(panel, Stat):
        return panel.color_mode(BigValueColorMode.BACKGROUND).reduce_options(
            ReduceDataOptions().calcs(["lastNotNull"])
        )
    if isinstance(panel, BarGauge):
        return panel.orientation(VizOrientation.HORIZONTAL)
    if view.is_stacked:
        panel = panel.stacking(StackingConfig().mode(StackingMode.NORMAL))
    return (
        panel.min(0)
        .fill_opacity(40 if view.is_stacked else 8)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )


SECTIONS: Sequence[tuple[str, Sequence[View]]] = (
    (
        "Now",
        (
            number(
                "Oplog headroom",
                "Time until the saved position falls off MongoDB's oplog and changes are lost for good.",
                f"min({_STREAM}_oplog_headroom_seconds)",
                "s",
                (None, _BAD),
                (3600, _CAUTION),
                (86400, _GOOD),
            ),
            number(
                "Lag until durable",
                "How far the landing zone is behind MongoDB. What has landed cannot be lost.",
                f"max({_STREAM}_durable_lag_seconds)",
                "s",
                (None, _GOOD),
                (15, _CAUTION),
                (60, _BAD),
            ),
            number(
                "Lag until loaded",
                "How long the oldest landed file has waited for DuckDB; grows while dbt builds.",
                f"max({_STREAM}_load_lag_seconds)",
                "s",
                (None, _GOOD),
                (600, _CAUTION),
                (1800, _BAD),
            ),
            number(
                "Age of the build",
                "Time since the figures that dashboards show were published; -1 before the first build.",
                f"max({_BATCH}_build_age_seconds)",
                "s",
                (None, _GOOD),
                (4500, _CAUTION),
                (7200, _BAD),
            ),
            number(
                "Alerts",
                "Alerts of the pipeline that fire now; the runbook says what to do about each.",
                'count(ALERTS{alertname=~"ClaudeAnalytics.+",alertstate="firing"}) or vector(0)',
                "none",
                (None, _GOOD),
                (1, _BAD),
            ),
            number(
                "Processes up",
                "Stream worker and scheduler that answer Prometheus.",
                'sum(up{job=~"claude-analytics-.+"})',
                "none",
                (None, _BAD),
                (1, _CAUTION),
                (2, _GOOD),
            ),
        ),
    ),
    (
        "Freshness",
        (
            View(
                "Lag",
                "Read and durable, behind MongoDB; loaded, behind landing. All grow: the source is ahead. "
                "Only loading grows: DuckDB is held.",
                [
                    (f"{_STREAM}_source_lag_seconds", "until read"),
                    (f"{_STREAM}_durable_lag_seconds", "until durable"),
                    (f"{_STREAM}_load_lag_seconds", "until loaded, after landing"),
                    ("instance:claude_analytics_stream_position_lag_seconds:difference", "saved position"),
                ],
                "s",
                width=12,
            ),
            View(
                "Oplog",
                "How far the oplog reaches back, and how long the saved position stays in it. The worker "
                "must never be down for longer than the headroom.",
                [
                    (f"{_STREAM}_oplog_headroom_seconds", "headroom"),
                    (f"{_STREAM}_oplog_window_seconds", "window"),
                ],
                "s",
                width=12,
            ),
        ),
    ),
    (
        "Stream",
        (
            View(
                "Change events",
                "Events read from MongoDB, by operation.",
                [("instance_op:claude_analytics_stream_events:rate5m", "{{op}}")],
                "cps",
                is_stacked=True,
            ),
            View(
                "Rows",
                "Rows made durable, and rows loaded into DuckDB; none are loaded while dbt holds the file.",
                [
                    (f"sum(rate({_STREAM}_rows_landed_total[5m]))", "landed"),
                    (f"sum(rate({_STREAM}_rows_loaded_total[5m]))", "loaded"),
                ],
                "cps",
            ),
            View(
                "Time to flush a micro-batch",
                "Writing, syncing and naming one Parquet file. Slow flushes mean a slow disk.",
                [
                    (
                        f"histogram_quantile(0.5, sum by (le) (rate({_STREAM}_flush_seconds_bucket[5m])))",
                        "half within",
                    ),
                    ("instance:claude_analytics_stream_flush_seconds:p95_5m", "95 of 100 within"),
                ],
                "s",
            ),
            View(
                "Pending micro-batches",
                "Landed files that wait to be loaded. They pile up while another process holds DuckDB.",
                [(f"{_STREAM}_pending_micro_batches", "pending")],
                "none",
            ),
            View(
                "Reconnects and restarts",
                "In the last hour: the change stream opened again, and the worker started again. Neither "
                "loses or doubles a row.",
                [
                    (f"sum(increase({_STREAM}_reconnects_total[1h]))", "reconnects"),
                    (
                        'sum(changes(process_start_time_seconds{job="claude-analytics-stream"}[1h]))',
                        "restarts",
                    ),
                ],
                "none",
            ),
            View(
                "Dead letters",
                "Documents rejected in the last hour, by reason; each is kept whole and can be tried again.",
                [(f"sum by (reason) (increase({_STREAM}_dead_letters_total[1h]))", "{{reason}}")],
                "none",
                is_stacked=True,
            ),
        ),
    ),
    (
        "Cycle",
        (
            View(
                "Time of each step",
                "How long the last run of each step took, retries included.",
                [(f'{_BATCH}_step_seconds{{step!="pipeline"}}', "{{step}}")],
                "s",
                is_stacked=True,
                width=12,
            ),
            View(
                "Slowest models",
                "dbt models by the time of their last build: where a run spends its time.",
                [(f"topk(12, {_BATCH}_model_seconds)", "{{model}}")],
                "s",
                kind=BarGauge,
                width=12,
            ),
            View(
                "Steps that ended",
                "In the last three hours, by outcome.",
                [
                    (
                        f'sum by (outcome) (increase({_BATCH}_runs_total{{step!="pipeline"}}[3h]))',
                        "{{outcome}}",
                    )
                ],
                "none",
                is_stacked=True,
            ),
            View(
                "Time since the last success",
                "Of each step. One that lags behind the others fails, or is never reached.",
                [(f"time() - {_BATCH}_last_success_timestamp_seconds", "{{step}}")],
                "s",
            ),
            View(
                "Age of the marts",
                "A saw: each run brings it down; beyond two hours, runs fail or do not happen. A run "
                "that finds nothing new leaves the build as it is, and proves that it is up to date.",
                [(f"{_BATCH}_marts_age_seconds", "marts"), (f"{_BATCH}_build_age_seconds", "build")],
                "s",
            ),
            View(
                "Checks that do not hold",
                "In the last validation, by layer, warnings included. A critical one keeps the build back.",
                [(f"{_BATCH}_expectations_failed", "{{suite}}")],
                "none",
                ((None, _GOOD), (1, _CAUTION)),
                BarGauge,
                width=6,
            ),
            View(
                "Last run of each step",
                "0: it ended well. 1: it failed.",
                [("instance_step:claude_analytics_batch_last_run:failed", "{{step}}")],
                "none",
                ((None, _GOOD), (1, _BAD)),
                BarGauge,
                width=6,
            ),
            View(
                "Runs that succeed",
                "Share of the last 24 runs.",
                [(f"{_BATCH}_success_ratio", "")],
                "percentunit",
                ((None, _BAD), (0.8, _CAUTION), (0.95, _GOOD)),
                Stat,
                width=6,
            ),
            View(
                "Dead letters kept",
                "Rejected documents that wait for somebody to look: `claude-analytics dead-letters list`.",
                [("claude_analytics_dead_letter_queue_size", "")],
                "none",
                ((None, _GOOD), (1, _CAUTION)),
                Stat,
                width=6,
            ),
        ),
    ),
    (
        "Machine",
        (
            View(
                "Free space for DATA_DIR",
                "Without any, the worker stops reading until there is some.",
                [
                    ("min by (job) (claude_analytics_disk_free_bytes)", "{{job}}: free"),
                    ("max(claude_analytics_disk_size_bytes)", "size"),
                ],
                "bytes",
            ),
            View(
                "Memory",
                "Resident memory of each process. Runs of the pipeline are processes of their own.",
                [('process_resident_memory_bytes{job=~"claude-analytics-.+"}', "{{job}}")],
                "bytes",
            ),
            View(
                "Processor",
                "Cores that each process keeps busy.",
                [('rate(process_cpu_seconds_total{job=~"claude-analytics-.+"}[5m])', "{{job}}")],
                "none",
            ),
        ),
    ),
)


def written() -> str:
    """Return the file's text."""
    text: Any = JSONEncoder(sort_keys=True, indent=2).encode(dashboard().build())
    return f"{text}\n"


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(written(), encoding="utf-8")
