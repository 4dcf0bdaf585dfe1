"""The pages say what the code does."""

import re
from pathlib import Path

import pytest

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
_MADE_LATER = ("dbt/target", "docs/site", "deploy/secrets", "deploy/.env")
"""Paths that pages speak of and no checkout holds."""


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def found(pattern: str) -> list[tuple[Path, str]]:
    """What a pattern finds in the prose of all pages, once a page."""
    return [(page, each) for page in PAGES for each in sorted(set(re.findall(pattern, prose(page))))]


def name_of(value: object) -> str:
    """A short id of a parameter."""
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else str(value)


@pytest.mark.parametrize("name", ["commands", "faults", "settings"])
def test_the_tables_are_those_of_the_code(name: str) -> None:
    """Settings, commands and faults in docs/ are the code's; `make docs` writes them."""
    path = docs_tables.DOCS / f"{name}.md"
    assert dict(docs_tables.pages())[path] == path.read_text(encoding="utf-8")


def test_every_setting_has_a_row() -> None:
    """Settings are in the table with their defaults."""
    table = docs_tables.settings_table()
    assert "| `MONGO_URI` | `mongodb://localhost:27017` |" in table
    assert "| `STREAM_MAX_AGE_SECONDS` | `2` |" in table
    assert "| `DUCKDB_PATH` |  |" in table


def test_every_command_has_a_row() -> None:
    """Commands show their options."""
    assert "| `load [--full-refresh] [--incomplete] [--stats]` |" in docs_tables.commands_table()


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


@pytest.mark.parametrize(("page", "target"), found(r"\]\(([^)\s:]+)\)"), ids=name_of)
def test_links_lead_to_files(page: Path, target: str) -> None:
    """Every link and picture that is no web address leads to a file of the checkout and a heading in it."""
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    assert file.exists()
    if anchor:
        assert anchor in anchors(file)


@pytest.mark.parametrize(("page", "target"), found(r"`make ([a-z-]+)"), ids=name_of)
def test_make_targets_exist(page: Path, target: str) -> None:
    """Every `make x` that a page mentions is a target."""
    del page
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "path"), found(r"`((?:stream|batch|dbt|gx|tests|deploy|docs)/[\w./-]+)`"), ids=name_of
)
def test_files_that_are_named_exist(page: Path, path: str) -> None:
    """A path of this repository in backticks is there; a page that names it moves with it."""
    del page
    assert path.startswith(_MADE_LATER) or (ROOT / path).exists()


def test_the_readme_is_read_in_one_go() -> None:
    """What does not fit has a page of its own."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
