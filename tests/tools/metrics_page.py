"""Writes `deploy/METRICS.md` from the registries and the alert rules: `make docs`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from batch.backfill.progress import BackfillMetrics
from batch.pipeline.metrics import BatchMetrics
from stream.metrics import DiskMetrics, StreamMetrics
from tests.support.paths import ROOT

FILE = ROOT / "deploy" / "METRICS.md"
_RULES = FILE.parent / "prometheus" / "rules" / "alerts.yml"
_INTRODUCTION = """# Metrics and alerts

Written by `make docs` from the code; a test compares. All names begin with `claude_analytics_`, all units are
base units. Each process also reports what it uses itself (`process_resident_memory_bytes`,
`process_cpu_seconds_total`, `process_start_time_seconds` …). A gauge that has not been measured yet is `NaN`,
for which no alert fires. With STREAM_PARTITIONS above 1 each sample of a worker has a label `partition`.

[prometheus.yml](prometheus/prometheus.yml) scrapes worker and scheduler, [rules](prometheus/rules) hold
recording rules and alerts, [grafana](grafana) a dashboard and its provisioning."""


def metrics() -> Iterator[tuple[str, Sequence[MetricWrapperBase]]]:
    """Return each process, and what it registers."""
    stream, schedule, backfill = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
    StreamMetrics(stream)
    DiskMetrics(stream, Path())
    BatchMetrics(schedule, build_age_seconds=lambda: None, marts_age_seconds=lambda: None)
    DiskMetrics(schedule, Path())
    BackfillMetrics(backfill)
    for name, registry in (
        ("`stream`, at METRICS_PORT", stream),
        ("`schedule`, at SCHEDULE_METRICS_PORT", schedule),
        ("`backfill`, at BACKFILL_METRICS_PORT while it runs", backfill),
    ):
        found = [each for each in registry._collector_to_names if isinstance(each, MetricWrapperBase)]
        yield name, sorted(found, key=lambda metric: metric._name)


def alerts() -> list[dict[str, Any]]:
    """Return the alert rules, in their order."""
    (group,) = yaml.safe_load(_RULES.read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def written() -> str:
    """Return the page's text."""
    parts = [_INTRODUCTION]
    for title, found in metrics():
        rows = [f"| `{full_name(metric)}` | {metric._type} | {metric._documentation} |" for metric in found]
        parts.append("\n".join([f"## {title}\n", "| metric | kind | what it says |", "|---|---|---|", *rows]))
    rows = [
        _row(rule["alert"], rule["labels"]["severity"], rule.get("for", "at once"), _one_line(rule))
        for rule in alerts()
    ]
    parts.append(
        "\n".join(["## Alerts\n", "| alert | severity | after | fires while |", "|---|---|---|---|", *rows])
    )
    return "\n\n".join(parts) + "\n"


def full_name(metric: MetricWrapperBase) -> str:
    """Name a metric as Prometheus shows it, with its labels."""
    name = f"{metric._name}_total" if metric._type == "counter" else metric._name
    return f"{name}{{{','.join(metric._labelnames)}}}" if metric._labelnames else name


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _one_line(rule: dict[str, Any]) -> str:
    return f"`{' '.join(rule['expr'].split())}`".replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
