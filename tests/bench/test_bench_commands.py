"""How long the program's short commands take, from their start to their end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.figures import Figures
from tests.support.paths import ROOT

pytestmark = pytest.mark.bench
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PROGRAM = [sys.executable, "-c", "from batch.cli import main; main()"]


@pytest.mark.parametrize(
    ("argument", "target"), [("--version", "≤ 0.4 s"), ("--help", "≤ 0.4 s"), ("status", "≤ 0.8 s")]
)
def test_command(argument: str, target: str, tmp_path: Path, figures: Figures) -> None:
    """Without a MongoDB to ask, and without data."""
    settings = os.environ | {"PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path), "LOG_LEVEL": "error"}
    taken = []
    for _ in range(ROUNDS + 1):
        started = time.monotonic()
        subprocess.run([*PROGRAM, argument], env=settings, check=False, capture_output=True)
        taken.append(time.monotonic() - started)
    figures.add(f"`claude-analytics {argument}`", target, taken[1:], "s", digits=2)
