"""The page of metrics says what the code registers, in sentences and in Prometheus's own names."""

import re

import pytest

from tests.tools import metrics_page

METRICS = {metrics_page.full_name(metric): metric for _, found in metrics_page.metrics() for metric in found}


def test_the_page_is_that_of_the_code() -> None:
    """`make docs` writes it anew."""
    assert metrics_page.written() == metrics_page.FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_named_and_explained(name: str) -> None:
    """Our prefix, a base unit or none, `_total` for counters alone, and a sentence for operators."""
    metric = METRICS[name]
    bare = name.partition("{")[0]
    assert re.fullmatch(r"claude_analytics_[a-z_]+", bare)
    assert not re.search(r"_(ms|millis|milliseconds|minutes|hours|days|kb|mb|percent)\b", bare)
    assert bare.endswith("_total") == (metric._type == "counter")
    assert re.fullmatch(r"[A-Z].{25,}[^ ]\.", metric._documentation), metric._documentation


def test_every_alert_stands_on_the_page() -> None:
    """With its severity and its condition."""
    text = metrics_page.written()
    for rule in metrics_page.alerts():
        assert f"| {rule['alert']} | {rule['labels']['severity']} |" in text
