"""The pages say what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest

from batch.settings import Settings
from tests.support.paths import ROOT
from tests.tools import docs_tables, fault_matrix

PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
    ROOT / "dbt/README.md",
    ROOT / "gx/README.md",
]
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_MADE_LATER = ("deploy/secrets", "deploy/.env")
"""Paths that pages speak of and no checkout holds."""
_TYPED = re.compile(r"^ *[$#] (?:\S+ )*claude-analytics ([a-z].*)$", re.MULTILINE)
_BUILD_ARGUMENTS = {"METABASE_JAR_URL"}
COMMANDS: dict[str, Any] = dict(docs_tables.commands())


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def found(pattern: str, page: Path) -> list[str]:
    """What a pattern finds in the prose of a page, each once."""
    return sorted(set(re.findall(pattern, prose(page))))


of_each_page = pytest.mark.parametrize(
    "page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES]
)


@pytest.mark.parametrize("name", ["commands", "faults", "settings"])
def test_the_tables_are_those_of_the_code(name: str) -> None:
    """Settings, commands and faults in docs/ are the code's; `make docs` writes them."""
    path = docs_tables.DOCS / f"{name}.md"
    assert dict(docs_tables.pages())[path] == path.read_text(encoding="utf-8")


def test_every_group_of_faults_has_a_row() -> None:
    """What the platform promises to survive is tried, group by group."""
    faults = fault_matrix.faults()
    assert set(fault_matrix.GROUPS) == {fault.section for fault in faults}
    assert [] == [fault for fault in faults if not (fault.scenario and fault.holds)]
    rows = docs_tables.fault_table().splitlines()[2:]
    assert len(faults) == len(set(rows))


def test_a_page_without_marks_is_refused() -> None:
    """A lost mark is an error, not a table that silently gets old."""
    with pytest.raises(ValueError, match="lacks the marks of `commands`"):
        docs_tables.refreshed("# Nothing here", "commands", "| a table |")


@of_each_page
def test_links_lead_to_files(page: Path) -> None:
    """Every link and picture that is no web address leads to a file of the checkout and a heading in it."""
    assert [] == [target for target in found(r"\]\(([^)\s:]+)\)", page) if not leads_somewhere(target, page)]


def leads_somewhere(target: str, page: Path) -> bool:
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    return file.exists() and (not anchor or anchor in anchors(file))


@of_each_page
def test_files_that_are_named_exist(page: Path) -> None:
    """A path of this repository in backticks is there; a page that names it moves with it."""
    paths = found(r"`((?:stream|batch|dbt|gx|tests|deploy|docs)/[\w./-]+)`", page)
    assert [] == [path for path in paths if not (ROOT / path).exists() and not path.startswith(_MADE_LATER)]


@of_each_page
def test_make_targets_exist(page: Path) -> None:
    """Every `make x` that a page mentions is a target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE)
    assert set(found(r"`make ([a-z-]+)", page)) <= set(targets)


@of_each_page
def test_commands_and_options_exist(page: Path) -> None:
    """Whoever copies a command at three in the morning finds that it exists, and so do its options."""
    said = found(r"`claude-analytics ([a-z][^`\n]*(?:\n[^`\n]+)?)`", page)
    said += re.findall(_TYPED, page.read_text(encoding="utf-8"))
    assert [] == [each for each in said if not is_a_command(each)]


def is_a_command(said: str) -> bool:
    words = said.split()
    command = COMMANDS.get(" ".join(words[:2])) or COMMANDS.get(words[0])
    options = set(re.findall(r"--[a-z-]+", said))
    return command is not None and options <= {name for each in command.params for name in each.opts}


@of_each_page
def test_settings_that_are_named_exist(page: Path) -> None:
    """What is written like a setting, and begins like one, is one."""
    known = {setting.name for setting in Settings.from_environment().describe()} | _BUILD_ARGUMENTS
    prefixes = {name.partition("_")[0] for name in known}
    known |= {f"{name}_FILE" for name in known}
    named = set(found(r"\b[A-Z]+(?:_[A-Z]+)+\b", page))
    assert set() == {name for name in named if name.partition("_")[0] in prefixes} - known


def test_every_mart_is_described() -> None:
    """The page of marts has a row for each, the README names no other."""
    folders = (ROOT / "dbt/models" / name for name in ("marts", "aggregates"))
    marts = {path.stem for folder in folders for path in folder.glob("*.sql")}
    rows = re.findall(r"^\| `(\w+)` \|", prose(ROOT / "docs/marts.md"), flags=re.MULTILINE)
    assert marts == set(rows)
    assert (
        set(re.findall(r"\b(?:dim|fct|agg)_\w+", (ROOT / "README.md").read_text(encoding="utf-8"))) <= marts
    )


def test_the_readme_is_read_in_one_go() -> None:
    """What does not fit has a page of its own."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
