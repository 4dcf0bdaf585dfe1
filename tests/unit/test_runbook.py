"""The runbook covers every alert and every refusal; `test_docs` checks what it names."""

import re
from collections.abc import Iterator

import pytest
import yaml

from stream import errors
from tests.support.paths import ROOT

RUNBOOK = ROOT / "deploy" / "RUNBOOK.md"
TEXT = RUNBOOK.read_text(encoding="utf-8")
PARTS = ["Means", "Look", "Do", "Safe"]


def chapter(title: str) -> dict[str, str]:
    """Return the sections of a chapter by heading."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert found, f"no chapter `{title}`"
    _, *parts = re.split(r"^### (.+)$", found[1], flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def alerts() -> set[str]:
    rules = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
    return {
        rule["alert"]
        for path in rules
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def terminal_errors(kind: type[errors.AnalyticsError] = errors.TerminalError) -> Iterator[str]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each.__name__
        yield from terminal_errors(each)


def test_every_alert_has_a_section() -> None:
    """The links of the rules lead to them."""
    assert alerts()
    assert alerts() <= set(chapter("Alerts"))


def test_every_refusal_has_a_section() -> None:
    """Each error with exit code 2."""
    assert set(terminal_errors()) <= set(chapter("Errors with exit code 2"))


@pytest.mark.parametrize("title", ["Alerts", "Errors with exit code 2"])
def test_every_section_answers_the_four_questions(title: str) -> None:
    """What it means, what to look at, what to do, what is safe."""
    answered = {
        heading: re.findall(r"^- \*\*(\w+)\*\*: \S", section, flags=re.MULTILINE)
        for heading, section in chapter(title).items()
    }
    assert dict.fromkeys(answered, PARTS) == answered
