"""Makes a clean prefix to install the wheel into, without fetching anything: what it needs is linked."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.paths import ROOT

DISTRIBUTION = "claude-analytics"
BASE_PYTHON = str(getattr(sys, "_base_executable", sys.executable))
OTHER_USER = 10001
"""User and group of the image; only root can become them."""


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the checkout into a folder."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def make_prefix(prefix: Path) -> None:
    """Make a virtual environment that holds what the wheel needs at run time, and nothing of development.

    `install.sh` then finds all of it installed, and pip still checks every version against the constraints.
    As `install.sh` has it, other users may look into it, whatever the umask.
    """
    before = os.umask(0o022)
    try:
        _link_distributions(prefix)
    finally:
        os.umask(before)


def _link_distributions(prefix: Path) -> None:
    subprocess.run([BASE_PYTHON, "-m", "venv", "--without-pip", prefix], check=True)
    (site,) = (prefix / "lib").glob("python*/site-packages")
    for name in ("pip", *sorted(runtime_distributions())):
        for file in metadata.distribution(name).files or ():
            source = Path(str(file.locate()))
            target = site / file
            # Scripts lie outside of site-packages, and name the interpreter that they were installed for.
            if site in target.parents and ".." not in file.parts and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(source, target)


def runtime_distributions() -> set[str]:
    """Name all distributions that the wheel depends on, however indirectly, on this machine."""
    found: set[str] = set()
    pending = list(_needed(DISTRIBUTION, {""}))
    while pending:
        name, extras = pending.pop()
        is_new = name not in found
        found.add(name)
        pending += [
            each for each in _needed(name, {"", *extras}) if is_new or (extras and each[0] not in found)
        ]
    return found - {DISTRIBUTION}


def _needed(name: str, extras: set[str]) -> Iterator[tuple[str, set[str]]]:
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        if any(
            requirement.marker is None or requirement.marker.evaluate({"extra": extra}) for extra in extras
        ):
            yield requirement.name.lower().replace("_", "-"), requirement.extras


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # another disk
        shutil.copy2(source, target)


def as_other_user() -> list[str]:
    """Return the words before a command that run it as somebody who can write neither prefix nor checkout.

    That user may look into every folder, as Python itself may be installed in a closed one. Whoever is not
    root cannot become somebody else, and runs it as it is.
    """
    if os.geteuid() != 0:
        return []
    capability = "+dac_read_search"
    return [
        *("setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"),
        *(f"--inh-caps={capability}", f"--ambient-caps={capability}"),
    ]
