"""The program as a user runs it: with settings of its own, its output, its exit code.

It is a process where the test is about one: signals, kills, several at once. Else the same function runs in
this process, without the second of processor time that a start takes.
"""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Self

import structlog

from batch.cli import main
from stream.settings import MongoSettings
from tests.support.paths import ROOT
from tests.support.patience import patience

PROGRAM = (sys.executable, "-c", "from batch.cli import main; main()")


class Program:
    """Runs commands; settings of whoever runs the tests have no say.

    Args:
        folder: Where commands run; DATA_DIR is `data` in it.
        settings: In force in all of them.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.folder = folder
        self.environment = kept | {
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "DATA_DIR": str(folder / "data"),
            "METRICS_PORT": "0",
            "BACKFILL_METRICS_PORT": "0",
            **settings,
        }

    @classmethod
    def on(cls, mongo: MongoSettings, data_dir: Path, **settings: str) -> Self:
        """Return what runs commands on a collection and a data folder."""
        source = {"MONGO_URI": mongo.uri.get_secret_value(), "MONGO_DB": mongo.database}
        where = {"MONGO_COLLECTION": mongo.collection, "DATA_DIR": str(data_dir)}
        return cls(data_dir.parent, **source | where | settings)

    def run(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=self.environment | settings,
            capture_output=True,
            text=True,
            timeout=patience(300),
            check=False,
        )

    def call(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end in this process; an error that is none of ours is raised."""
        code: str | int | None = None
        with (
            redirect_stdout(StringIO()) as output,
            redirect_stderr(StringIO()) as errors,
            _surroundings(self.folder, self.environment | settings),
        ):
            try:
                main(arguments)
            except SystemExit as end:
                code = end.code
        return subprocess.CompletedProcess(arguments, int(code or 0), output.getvalue(), errors.getvalue())

    def done(self, *arguments: str, code: int = 0, **settings: str) -> str:
        """Call a command, which must end with this exit code; return what it printed, errors too.

        With Spark it is a process: a session is one for all of a process.
        """
        with_spark = (self.environment | settings).get("WAREHOUSE") == "iceberg"
        done = (self.run if with_spark else self.call)(*arguments, **settings)
        assert code == done.returncode, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(
        self, *arguments: str, stderr: int = subprocess.PIPE, **settings: str
    ) -> "subprocess.Popen[str]":
        """Start a command; the test ends it."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=self.environment | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


@contextmanager
def _surroundings(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Have the folder and the environment of a command, and take back what it changes of this process."""
    before, umask = dict(os.environ), os.umask(0o022)
    with chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ.clear()
        os.environ.update(environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.umask(umask)
            structlog.reset_defaults()
