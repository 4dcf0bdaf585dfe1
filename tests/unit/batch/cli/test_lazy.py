"""The program answers at once: a command's file is imported when it is called, and not before."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from batch.cli import commands
from batch.cli.app import app
from batch.cli.lazy import LazyCommand
from tests.support.paths import ROOT

HEAVY = "bytewax dbt duckdb great_expectations numpy pyarrow pydantic_settings pymongo structlog"
PROGRAM = typer.main.get_command(app)
FILES = sorted(path.stem for path in Path(commands.__path__[0]).glob("[!_]*.py"))


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_what_every_call_imports_is_light(argument: str) -> None:
    """Version and help need no database, engine or setting."""
    code = f"""
import sys
from batch.cli import main
try:
    main([{argument!r}])
finally:
    print(*sorted(set({HEAVY!r}.split()) & sys.modules.keys()), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "" == done.stderr.strip()


def test_every_file_is_a_command() -> None:
    """None is forgotten in the program's list."""
    assert isinstance(PROGRAM, typer.core.TyperGroup)
    assert FILES == sorted(each.module for each in PROGRAM.commands.values() if isinstance(each, LazyCommand))


@pytest.mark.parametrize("name", FILES)
def test_the_help_is_the_docstring_of_the_file(name: str) -> None:
    """In the program's list, and in the command's own help."""
    lazy = LazyCommand(name)
    assert import_module(f"batch.cli.commands.{name}").__doc__ == lazy.help
    assert (lazy.help or "").strip() == lazy.load().help.strip()
