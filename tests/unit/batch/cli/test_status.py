"""What `status` says of a data folder, and how it exits."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from batch.cli.app import app
from batch.runs.journal import STEPS, Journal
from stream.clock import utc_now


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_failed_is_named(step: str, clean_environment: Path) -> None:
    """On the screen, and with exit code 1."""
    journal = Journal(clean_environment / "data" / "runs.jsonl", clock=utc_now)
    journal.end(journal.begin("run-1", step, "manual"), outcome="failed", error="no space", hint="make some")

    done = CliRunner().invoke(app, ["status"])

    assert 1 == done.exit_code
    assert f"the last {step} failed: no space; make some" in " ".join(done.output.split())
