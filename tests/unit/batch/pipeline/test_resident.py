"""The process that is kept between runs: used again, replaced when it has gone, ended with its scheduler."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.pipeline.resident import Resident
from batch.pipeline.scheduler import Child
from tests.support.streaming import wait_until

PROGRAM = """
import os, signal, sys
if "--resident" not in sys.argv:
    sys.exit(7)
answers = int(sys.argv[sys.argv.index("--resident") + 1])
for number, line in enumerate(sys.stdin):
    open("runs", "a").write(f"{os.getpid()} {line}")
    if os.path.exists("die"):
        os.remove("die")
        os.kill(os.getpid(), signal.SIGKILL)
    if os.path.exists("vanish"):
        os.remove("vanish")
        break
    leaves = os.path.exists("leave")
    if not os.path.exists("hang"):
        os.write(answers, f"{number}{' leaving' * leaves}\\n".encode())
    if leaves:
        break
"""


@pytest.fixture
def resident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resident]:
    monkeypatch.chdir(tmp_path)
    found = Resident([sys.executable, "-c", PROGRAM])
    yield found
    found.close()


def ended(child: Child) -> int:
    codes: list[int] = []

    def has_ended() -> bool:
        code = child.poll()
        codes.extend([] if code is None else [code])
        return bool(codes)

    wait_until(has_ended)
    return codes[0]


def processes() -> list[str]:
    """Return the process of each run, in order."""
    return [line.split()[0] for line in Path("runs").read_text().splitlines()]


@pytest.mark.parametrize(
    ("flag", "exit_codes", "count"),
    [(None, [0, 1, 2], 1), ("leave", [0, 0], 2), ("vanish", [1, 0], 2)],
    ids=["it stays", "it leaves", "it vanishes"],
)
def test_one_process_does_all_runs(
    resident: Resident, flag: str | None, exit_codes: list[int], count: int
) -> None:
    """Each with its own exit code. One that has grown large leaves after success; no answer is a failure."""
    if flag:
        Path(flag).touch()
    assert exit_codes == [ended(resident.start("schedule")) for _ in exit_codes]
    assert count == len(set(processes()))


def test_a_process_that_dies_is_replaced(resident: Resident) -> None:
    """The run that it died in has its exit code, as a process of its own would; the next run has another."""
    assert 0 == ended(resident.start("schedule"))
    Path("die").touch()
    assert -9 == ended(resident.start("schedule"))
    assert 0 == ended(resident.start("schedule"))
    first, second, third = processes()
    assert first == second != third


def test_the_daily_run_has_a_process_of_its_own(resident: Resident) -> None:
    """What was kept ends before."""
    assert 0 == ended(resident.start("schedule"))
    daily = resident.start("daily")
    assert isinstance(daily, subprocess.Popen)
    with daily:
        assert 7 == ended(daily)
    assert 0 == ended(resident.start("schedule"))
    assert 2 == len(set(processes()))


def test_a_run_can_be_ended(resident: Resident) -> None:
    """As the scheduler does when it stops."""
    Path("hang").touch()
    child = resident.start("schedule")
    assert child.poll() is None
    child.kill()
    assert -9 == ended(child)
