"""How a question looks in Metabase: its kind of chart, units, colours, column titles.

Metabase describes these settings nowhere but in its source (`frontend/src/metabase/visualizations`).
"""

import json
from collections.abc import Mapping
from typing import Any

from batch.dashboards.metabase.statements import HOURS
from batch.dashboards.questions import Measure, Question, Unit

_DISPLAYS = {
    "numbers": "scalar",
    "columns": "bar",
    "line": "line",
    "bars": "row",
    "heatmap": "table",
    "table": "table",
}
# Safe for the colour-blind, and those of the report.
COLOURS = ("#4477AA", "#D8751B", "#28A252", "#AB386A", "#5FC1EC", "#E1B61A", "#7265CC")
_TONES = {"good": "#4477AA", "bad": "#D5502F", "caution": "#E3AD1E", "muted": "#A7ADB8"}
_HEAT = ("#FFFFFF", "#4A90C8")
_FORMATS: Mapping[Unit, Mapping[str, Any]] = {
    "usd": {
        "number_style": "currency",
        "currency": "USD",
        "currency_style": "symbol",
        "currency_in_header": False,
        "decimals": 2,
    },
    "share": {"number_style": "percent", "decimals": 1},
    "hours": {"number_style": "decimal", "decimals": 1, "suffix": " h"},
    "milliseconds": {"number_style": "decimal", "scale": 0.001, "decimals": 1, "suffix": " s"},
    "number": {"number_style": "decimal", "decimals": 1},
    "tokens": {"number_style": "decimal", "decimals": 0},
    "lines": {"number_style": "decimal", "decimals": 0},
    "count": {"number_style": "decimal", "decimals": 0},
}


def display(question: Question) -> str:
    """Name the kind of chart."""
    return _DISPLAYS[question.display]


def settings(question: Question) -> dict[str, Any]:
    """Return the visualization settings of a question's chart or table."""
    if question.display == "heatmap":
        return _heat(question)
    formats = {_column(each.label): dict(_FORMATS[question.unit(each)]) for each in question.measures}
    titles = {
        _column(name): {"column_title": _title(name)} for name in (question.by, question.series) if name
    }
    found: dict[str, Any] = {"column_settings": titles | formats}
    if question.display != "table":
        found |= _chart(question)
    return found


def number_settings(question: Question, measure: Measure) -> dict[str, Any]:
    """Return the visualization settings of one big number."""
    return {
        "scalar.field": measure.label,
        "column_settings": {_column(measure.label): dict(_FORMATS[question.unit(measure)])},
    }


def _chart(question: Question) -> dict[str, Any]:
    charted = [measure for measure in question.measures if measure.is_charted]
    is_over_time = question.display in {"columns", "line"}
    # A second column tells one measure apart: Metabase then names the series after its values.
    dimensions = [question.by, *([question.series] if question.series else [])]
    metrics = charted[:1] if question.series else charted
    is_stacked = question.is_stacked and question.display != "line"
    found: dict[str, Any] = {
        "graph.dimensions": dimensions,
        "graph.metrics": [measure.label for measure in metrics],
        "graph.x_axis.labels_enabled": False,
        "graph.y_axis.labels_enabled": False,
        "graph.x_axis.scale": "timeseries" if is_over_time else "ordinal",
        "stackable.stack_type": "stacked" if is_stacked and (question.series or len(metrics) > 1) else None,
    }
    if not question.series:
        found["series_settings"] = {
            measure.label: {"color": _TONES[measure.tone] if measure.tone else COLOURS[place % len(COLOURS)]}
            for place, measure in enumerate(metrics)
        }
    return found


def _heat(question: Question) -> dict[str, Any]:
    hours = [str(hour) for hour in HOURS]
    unit = _FORMATS[question.unit(question.measures[0])]
    cell = {"decimals": 1, **{key: value for key, value in unit.items() if key != "suffix"}}
    return {
        "column_settings": {_column("day"): {"column_title": "Day"}}
        | {_column(hour): dict(cell) for hour in hours},
        "table.column_formatting": [
            {"columns": hours, "type": "range", "colors": list(_HEAT), "min_type": "all", "max_type": "all"}
        ],
    }


def _column(name: str) -> str:
    """Return the key of a column's settings: JSON in JSON."""
    return json.dumps(["name", name], separators=(",", ":"), ensure_ascii=False)


def _title(name: str) -> str:
    return (name[0].upper() + name[1:]).replace("_", " ")
