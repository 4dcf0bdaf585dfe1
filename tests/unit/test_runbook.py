"""The runbook covers every alert and every refusal, and says nothing that does not exist."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import yaml

from batch.cli.app import app
from batch.settings import Settings
from stream import errors
from tests.support.paths import ROOT
from tests.tools import docs_tables

RUNBOOK = ROOT / "deploy" / "RUNBOOK.md"
TEXT = RUNBOOK.read_text(encoding="utf-8")
PARTS = ["Means", "Look", "Do", "Safe"]
COMMANDS: dict[str, Any] = dict(docs_tables._commands())


def chapter(title: str) -> dict[str, str]:
    """Give the sections of a chapter by heading."""
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


def test_commands_and_options_exist() -> None:
    """Whoever copies a command at three in the morning is not told that there is no such option."""
    text = " ".join(TEXT.split())
    said = re.findall(r"(?:`|\$ )claude-analytics ((?:[a-z][a-z-]* ?)+)([^`]*)`", text)
    assert said
    unknown = [
        f"{words}{rest}".strip()
        for words, rest in said
        if (command := _command(words)) is None
        or not set(re.findall(r"--[a-z-]+", rest)) <= {name for each in command.params for name in each.opts}
    ]
    assert unknown == []


def _command(words: str) -> Any:
    names = words.split()
    for length in (2, 1):
        command = COMMANDS.get(" ".join(names[:length]))
        if command is not None:
            return command
    return None


def test_settings_exist() -> None:
    """Every setting that is named is one."""
    known = {setting.name for setting in Settings.from_environment().describe()}
    prefixes = {name.partition("_")[0] for name in known}
    named = {
        name for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", TEXT) if name.partition("_")[0] in prefixes
    }
    assert named
    assert named <= known


def test_make_targets_exist() -> None:
    """Every `make x` is a target."""
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    assert set(re.findall(r"`make ([a-z-]+)", TEXT)) <= targets


def test_links_lead_somewhere() -> None:
    """To a heading of the runbook, or to a file."""
    anchors = {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^#{2,3} (.+)$", TEXT, flags=re.MULTILINE)
    }
    targets = re.findall(r"\]\(([^)]+)\)", TEXT)
    lost = [
        target
        for target in targets
        if (target[1:] not in anchors if target.startswith("#") else not (RUNBOOK.parent / target).exists())
    ]
    assert lost == []


def test_the_program_is_what_the_runbook_speaks_of() -> None:
    """The table of commands that the other tests use is that of the program."""
    assert typer.main.get_command(app).name == "claude-analytics"
    assert "pipeline" in COMMANDS
