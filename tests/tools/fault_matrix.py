"""The faults that tests provoke, read from their marks without running them.

A test is marked with `@pytest.mark.fault(section, scenario, holds)`: the group of faults it belongs to, what
is done, and what must hold.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

GROUPS = {
    1: "The worker is killed",
    2: "Files and disks",
    3: "Servers and network",
    4: "The oplog has moved on",
    5: "Another source",
    6: "An idle collection",
    7: "The collection goes",
    8: "Large events",
    9: "One document, many changes",
    10: "Writes during a backfill",
    11: "`_id`s of every type",
    12: "Bad documents",
    13: "The warehouse",
    14: "Two at once",
    15: "Broken builds",
    16: "Signals and clocks",
}
"""Each is to have a row at least."""


@dataclass(frozen=True, order=True)
class Fault:
    """A mark.

    Attributes:
        section: Key of `GROUPS`.
        place: Folder and file of the test.
        line: Where its mark begins.
        test: Its name.
        scenario: What is done.
        holds: What must hold.
    """

    section: int
    place: str
    line: int
    test: str
    scenario: str
    holds: str


def faults() -> list[Fault]:
    """Read all marks, in the order of the table."""
    files = sorted(path for folder in ("chaos", "integration", "lake", "unit") for path in _tests(folder))
    return sorted(fault for path in files for fault in _faults_in(path))


def fault_table() -> str:
    """Return one row for each mark; links lead from a page in docs/."""
    rows, group = [], ""
    for fault in faults():
        name = GROUPS[fault.section]
        rows.append(
            f"| {'' if name == group else name} | {fault.scenario} | {fault.holds} "
            f"| [{Path(fault.place).stem.removeprefix('test_')}](../{fault.place}) |"
        )
        group = name
    return "\n".join(["| | what is done | what holds | tried in |", "|---|---|---|---|", *rows])


def _tests(folder: str) -> Iterator[Path]:
    return (ROOT / "tests" / folder).rglob("test_*.py")


def _faults_in(path: Path) -> Iterator[Fault]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                section, scenario, holds = (ast.literal_eval(argument) for argument in mark.args)
                place = path.relative_to(ROOT).as_posix()
                yield Fault(section, place, mark.lineno, node.name, scenario, holds)
