"""The command line: the only place where defaults are chosen, objects are made, and errors become text."""

from batch.cli.app import main

__all__ = ["main"]
