"""The report as one HTML file: its frame is written here, its charts are drawn by its own script.

Names and titles come from users. They reach the page as JSON that cannot end its `<script>`, and the script
shows them as text, never as HTML. The page forbids itself every connection and every script but its own.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from batch.dashboards.questions import Question, by_dashboard, side_by_side
from batch.dashboards.report.figures import Figures

_ASSETS = Path(__file__).resolve().parent / "assets"
_SCRIPTS = ("echarts.min.js", "figures.js", "charts.js", "report.js")


def render(figures: Figures) -> str:
    """Write the page."""
    scripts = [_asset(name) for name in _SCRIPTS]
    sections = list(by_dashboard(figures.questions))
    return Template(_asset("report.html")).substitute(
        policy=_policy(scripts),
        style=_asset("report.css"),
        made_at=escape(figures.made_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        days=escape(f"{figures.first_day} to {figures.last_day}" if figures.first_day else "no data yet"),
        links="\n".join(f'<a href="#{_slug(name)}">{escape(name)}</a>' for name, _ in sections),
        sections="\n".join(
            f'<section id="{_slug(name)}" aria-labelledby="{_slug(name)}-heading">\n'
            f'<h2 id="{_slug(name)}-heading">{escape(name)}</h2>\n'
            f'<div class="cards">\n{_cards(members)}\n</div>\n</section>'
            for name, members in sections
        ),
        data=embedded_json(_data(figures)),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def embedded_json(value: object) -> str:
    """Write JSON that can stand inside `<script>`: nothing in it opens or closes a tag or a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    # A lone surrogate cannot be written as UTF-8.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _cards(questions: Sequence[Question]) -> str:
    return "\n".join(_card(question, is_wide=is_wide) for question, is_wide in side_by_side(questions))


def _card(question: Question, *, is_wide: bool) -> str:
    name = escape(question.name)
    note = f'<p class="note">{escape(question.note)}</p>' if question.note else ""
    if question.display == "numbers":
        return f'<div class="numbers" data-question="{name}"></div>\n{note}'
    is_table = question.display == "table"
    table = '<div class="table" tabindex="0" role="region"></div>'
    shown = table if is_table else '<div class="chart"></div>'
    behind = "" if is_table else f"<details><summary>Table</summary>{table}</details>"
    style = f"card is-{question.display}{' is-wide' if is_wide else ''}"
    return (
        f'<figure class="{style}" data-question="{name}" aria-labelledby="{name}-title">\n'
        f'<figcaption><h3 id="{name}-title">{escape(question.title)}</h3>'
        f"<p>{escape(question.answers)}</p></figcaption>\n"
        f'{shown}\n<p class="empty" hidden>Nothing in this selection.</p>\n{note}{behind}\n</figure>'
    )


def _data(figures: Figures) -> dict[str, Any]:
    return {
        "firstDay": figures.first_day.isoformat() if figures.first_day else None,
        "lastDay": figures.last_day.isoformat() if figures.last_day else None,
        "projects": [
            {"id": project, "name": name}
            for project, name in zip(figures.projects, figures.project_names, strict=True)
        ],
        "questions": {
            question.name: {
                "title": question.title,
                "display": question.display,
                "by": question.by,
                "series": question.series,
                "grain": question.grain,
                "top": question.top,
                "order": question.order,
                "isStacked": question.is_stacked,
                "mayBeEmpty": question.may_be_empty,
                "kinds": dict(question.columns),
                "measures": [
                    {
                        "label": measure.label,
                        "of": measure.of,
                        "per": measure.per,
                        "quantile": measure.quantile,
                        "weight": measure.weight,
                        "unit": question.unit(measure),
                        "isCharted": measure.is_charted,
                        "tone": measure.tone,
                    }
                    for measure in question.measures
                ],
                "days": [day.isoformat() for day in figures.own_days.get(question.name, ())],
                "hasProjects": question.has_projects,
                "spansProjects": question.spans_projects,
                "rows": figures.rows[question.name],
            }
            for question in figures.questions
        },
    }


def _policy(scripts: list[str]) -> str:
    """Allow the page's own scripts and styles, and nothing else: no connection, frame, form or font."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
