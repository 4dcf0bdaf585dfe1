"""The README says what the code does."""

import re

import pytest

from tests.support.paths import ROOT
from tests.tools import fault_matrix, readme_tables

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code() -> None:
    """Settings and commands of the README are the code's; `make docs` writes them anew."""
    assert readme_tables.refreshed(TEXT) == TEXT


def test_every_setting_has_a_row() -> None:
    """The settings that the design promises stand in the table with their defaults."""
    table = readme_tables.settings_table()
    assert "| `MONGO_URI` | `mongodb://localhost:27017` |" in table
    assert "| `STREAM_MAX_AGE_SECONDS` | `2` |" in table
    assert "| `DUCKDB_PATH` |  |" in table


def test_every_command_has_a_row() -> None:
    """Commands show their options."""
    assert "| `load [--full-refresh] [--incomplete] [--stats]` |" in readme_tables.commands_table()


def test_every_group_of_faults_has_a_row() -> None:
    """What the platform promises to survive is tried, group by group."""
    found = fault_matrix.faults()
    assert set(fault_matrix.GROUPS) == {fault.section for fault in found}
    assert [] == [fault for fault in found if not (fault.scenario and fault.holds)]
    rows = readme_tables.fault_table().splitlines()[2:]
    assert len(found) == len(set(rows))


def test_a_readme_without_marks_is_refused() -> None:
    """A lost mark is an error, not a table that silently gets old."""
    with pytest.raises(ValueError, match="lacks the marks of `commands`"):
        readme_tables.refreshed("# Nothing here")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_links_lead_to_files(target: str) -> None:
    """Every link and picture of the README that is no web address exists in the checkout."""
    assert (ROOT / target).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)", TEXT))))
def test_make_targets_exist(target: str) -> None:
    """Every `make x` that the README mentions is a target."""
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
