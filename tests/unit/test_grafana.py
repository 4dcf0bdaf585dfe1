"""Grafana's dashboard and its provisioning: in step with the code, complete, readable."""

import json
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT
from tests.tools import grafana_dashboard

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads(grafana_dashboard.FILE.read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def test_the_file_is_what_the_code_writes() -> None:
    """`make docs` writes it anew."""
    assert grafana_dashboard.written() == grafana_dashboard.FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    """Title, description, unit, thresholds, and queries of the chosen data source."""
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["thresholds"]["steps"][0]["value"] is None
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["expr"]
        assert "${datasource}" == target["datasource"]["uid"]


def test_lag_comes_first() -> None:
    """Whether changes can still be lost is the first thing to be seen."""
    assert ["Oplog headroom", "Lag until durable", "Lag until loaded", "Age of the build"] == [
        panel["title"] for panel in PANELS[:4]
    ]


def test_panels_fill_the_grid_without_overlap() -> None:
    """24 columns, each place taken once; ids are unique."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert max(column for column, _ in cells) < 24
        assert not taken & cells, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_provisioning_finds_prometheus_and_the_dashboard() -> None:
    """By the names and paths of the compose file."""
    compose = yaml.safe_load((GRAFANA.parent / "docker-compose.yml").read_text(encoding="utf-8"))
    (source,) = yaml.safe_load(
        (GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
    )["datasources"]
    assert "http://prometheus:9090" == source["url"]
    assert "prometheus" in compose["services"]
    (provider,) = yaml.safe_load(
        (GRAFANA / "provisioning/dashboards/claude-analytics.yml").read_text(encoding="utf-8")
    )["providers"]
    path = provider["options"]["path"]
    assert f"./grafana/dashboards:{path}:ro" in compose["services"]["grafana"]["volumes"]
