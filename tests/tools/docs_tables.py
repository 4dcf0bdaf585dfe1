"""Writes the tables of docs/ and gx/ from the code: `make docs`.

Each table is between `<!-- name: made by make docs -->` and `<!-- end of name -->`.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from batch.cli.app import app
from batch.cli.lazy import LazyCommand
from batch.settings import Settings
from batch.validate.suites import SUITES
from tests.support.paths import ROOT
from tests.tools.fault_matrix import fault_table

DOCS = ROOT / "docs"


def pages() -> Iterator[tuple[Path, str]]:
    """Yield each page that has a table, with its text as the code has it today."""
    for name, table in _TABLES.items():
        path = ROOT / "gx" / "README.md" if name == "checks" else DOCS / f"{name}.md"
        yield path, refreshed(path.read_text(encoding="utf-8"), name, table())


def refreshed(text: str, name: str, table: str) -> str:
    """Return a page's text with another table between its marks.

    Raises:
        ValueError: The marks are missing, or there twice.
    """
    begin, end = f"<!-- {name}: made by make docs -->", f"<!-- end of {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page lacks the marks of `{name}`")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"


def settings_table() -> str:
    """Return one row for each setting of every group."""
    rows = [
        f"| `{field.validation_alias}` | {_default(field)} | {_sentence(field.description)} |"
        for group in get_type_hints(Settings).values()
        for field in group.model_fields.values()
    ]
    return "\n".join(["| setting | default | what it is |", "|---|---|---|", *rows])


def commands_table() -> str:
    """Return one row for each command."""
    rows = [f"| `{_usage(path, command)}` | {_first_line(command)} |" for path, command in commands()]
    return "\n".join(["| command | does |", "|---|---|", *rows])


def checks_table() -> str:
    """Return one row for each rule of the gate."""
    rows = [
        f"| {suite.layer} | `{rule.name}` | {rule.severity} | {rule.description} | {rule.fix} |"
        for suite in SUITES
        for rule in suite.rules
    ]
    return "\n".join(
        ["| layer | check | if it fails | what must hold | what to do |", "|---|---|---|---|---|", *rows]
    )


# Typer brings classes of its own for what it makes of functions, hence Any.
def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command by its full name."""
    pending: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while pending:
        path, command = pending.pop(0)
        if isinstance(command, LazyCommand):
            command = command.load()
        members = getattr(command, "commands", None)
        if members is None:
            yield path, command
        else:
            pending[:0] = [
                (f"{path} {name}".strip(), each) for name, each in members.items() if not each.hidden
            ]


def _usage(path: str, command: Any) -> str:
    shown = (each for each in command.params if not getattr(each, "hidden", False))
    return " ".join([path, *(_parameter(each) for each in shown)])


def _parameter(parameter: Any) -> str:
    name = max(parameter.opts, key=len)
    if parameter.param_type_name == "argument":
        name = parameter.metavar or name.upper()
    elif not parameter.is_flag:
        name = f"{name} {parameter.metavar or parameter.name.upper()}"
    return name if parameter.required else f"[{name}]"


def _first_line(command: Any) -> str:
    paragraph = inspect.cleandoc(command.help or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "" if value is None else f"`{value}`"


def _sentence(description: str | None) -> str:
    if not description:
        raise ValueError("a setting has no description")
    return re.sub(r"\s+", " ", description).replace("|", "\\|")


_TABLES: dict[str, Callable[[], str]] = {
    "checks": checks_table,
    "commands": commands_table,
    "settings": settings_table,
    "faults": fault_table,
}
"""By name of the page and of the table."""

if __name__ == "__main__":
    for page, text in pages():
        page.write_text(text, encoding="utf-8")
