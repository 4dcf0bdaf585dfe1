"""What the long runs share: the program under test, the proof at the end, figures for whoever asks."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from stream.settings import MongoSettings
from tests.chaos.conftest import ROOT

PROGRAM = [sys.executable, "-c", "from batch.cli import main; main()"]


def environment_of(mongo: MongoSettings, folder: Path) -> dict[str, str]:
    """Give the environment in which the program works on a collection and a data folder."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MONGO_URI": mongo.uri.get_secret_value(),
        "MONGO_DB": mongo.database,
        "DATA_DIR": str(folder),
        "METRICS_PORT": "0",
    }


def verified(environment: Mapping[str, str]) -> str:
    """Run `verify`, which must find nothing to complain of; give its verdict."""
    done = subprocess.run([*PROGRAM, "verify"], env=environment, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


def as_table(figures: Mapping[str, object]) -> str:
    """Lay figures out for people: one a line."""
    width = max(len(name) for name in figures)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in figures.items())
