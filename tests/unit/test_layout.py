"""What must be true of the checkout itself."""

import os
import re
import shutil
import subprocess
import tomllib

import pytest

from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def pyproject() -> dict[str, dict[str, object]]:
    """Return what `pyproject.toml` says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", ["dbt", "gx"])
def test_data_folders_are_no_packages(folder: str) -> None:
    """An `__init__.py` in dbt/ would hide dbt-core from every process that runs in the checkout."""
    assert [] == list((ROOT / folder).glob("__init__.py"))


def test_every_dependency_has_a_pinned_version(pyproject: dict[str, dict[str, object]]) -> None:
    """Whatever pyproject asks for, constraints.txt says at which version."""
    project = pyproject["project"]
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    asked = [*_texts(project["dependencies"]), *_texts(extras["dev"])]
    pinned = {
        _normal(line.split("==")[0])
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    assert set() == {_normal(re.split(r"[\s<>=!~;\[]", each)[0]) for each in asked} - pinned


def test_the_constraints_name_no_host() -> None:
    """Where packages come from is the reader's business, not the project's."""
    assert "://" not in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_ci_runs_what_developers_run() -> None:
    """`.ci/run` is executable and calls the make targets."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make check audit test prefect" in script.read_text(encoding="utf-8")


def test_make_alone_shows_the_targets() -> None:
    """Somebody who types `make` sees what there is, the everyday targets among it."""
    shown = subprocess.run([_make()], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^  make (\S+)", shown, flags=re.MULTILINE)
    assert {"install", "demo", "test", "check", "bench", "clean", "help"} <= set(targets)


def test_the_changelog_names_the_present_version_or_what_is_unreleased() -> None:
    """The changelog keeps a place for what is coming."""
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def _make() -> str:
    program = shutil.which("make")
    assert program
    return program


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(each) for each in value]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
