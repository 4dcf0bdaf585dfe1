"""The journal of steps: what it tells after each kind of end."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from batch.runs.journal import (
    FAILED,
    KILLED,
    PIPELINE,
    RUNNING,
    SKIPPED,
    STOPPED,
    SUCCEEDED,
    Journal,
    documents_at_last_successes,
    last_of,
    new_run_id,
)
from stream.clock import Clock
from stream.errors import LandingNotWritableError


def ticking() -> Clock:
    """Return a clock of which every look is a second later."""
    begin = datetime(2026, 1, 3, 10, tzinfo=UTC)
    return (begin + timedelta(seconds=number) for number in count(1)).__next__


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "data" / "runs.jsonl", clock=ticking())


def test_a_journal_that_is_not_there(journal: Journal) -> None:
    """Before the first run there is nothing to tell."""
    assert [] == journal.steps()
    assert journal.last("load") is None


def test_a_step_that_ended(journal: Journal) -> None:
    """One record, with its times, rows and details; another process reads the same."""
    begun = journal.begin("run-1", "load", "manual")
    assert begun.seconds is None
    ended = journal.end(begun, outcome=SUCCEEDED, rows=7, details={"a": [1]})

    assert [ended] == Journal(journal.path, clock=ticking()).steps()
    assert (SUCCEEDED, 7, 1.0, {"a": [1]}) == (ended.outcome, ended.rows, ended.seconds, ended.details)


def test_a_step_that_nobody_saw_end(journal: Journal) -> None:
    """It is running until the next holder of the lock finds it, and killed from then on."""
    journal.begin("run-1", PIPELINE, "schedule")
    journal.begin("run-1", "load", "schedule")
    assert [RUNNING, RUNNING] == [step.outcome for step in journal.steps()]

    closed = journal.close_abandoned()
    assert [("pipeline", KILLED), ("load", KILLED)] == [(step.step, step.outcome) for step in closed]
    assert closed == journal.steps()
    assert [] == journal.close_abandoned()


def test_a_run_that_was_told_to_stop(journal: Journal) -> None:
    """Only what that run has begun is closed."""
    journal.begin("run-0", "load", "manual")
    journal.begin("run-1", PIPELINE, "manual")
    journal.close_stopped("run-1")
    assert {"run-0": RUNNING, "run-1": STOPPED} == {step.run_id: step.outcome for step in journal.steps()}


def test_a_line_cut_off_by_a_crash(journal: Journal) -> None:
    """It is left out, and what is written afterwards is not lost with it."""
    first = journal.begin("run-1", "load", "manual")
    journal.path.write_bytes(journal.path.read_bytes() + b'{"run_id": "run-1", "st')
    journal.end(first, outcome=FAILED, error="no", hint="yes")
    assert [(FAILED, "no", "yes")] == [(step.outcome, step.error, step.hint) for step in journal.steps()]


def test_a_long_journal_is_trimmed(journal: Journal) -> None:
    """The newest steps stay, each in one line."""
    for number in range(4):
        journal.end(journal.begin(f"run-{number}", "load", "manual"), outcome=SUCCEEDED)
    before = journal.steps()
    journal.trim()
    assert before == journal.steps()

    Journal(journal.path, clock=ticking(), kept_steps=2, trim_from_bytes=1).trim()
    assert before[-2:] == journal.steps()
    assert 2 == len(journal.path.read_text().splitlines())


def test_the_newest_run_of_a_step(journal: Journal) -> None:
    """A step that was left out does not hide the run before it."""
    done = journal.end(journal.begin("run-1", "load", "manual"), outcome=SUCCEEDED)
    journal.end(journal.begin("run-2", "load", "manual"), outcome=SKIPPED)
    assert done == journal.last("load")
    assert last_of(journal.steps(), "load", that=lambda step: step.outcome == FAILED) is None


def test_the_documents_of_earlier_validations(journal: Journal) -> None:
    """Newest first, and only of validations that succeeded."""
    for number, outcome in enumerate([SUCCEEDED, FAILED, SUCCEEDED]):
        journal.end(journal.begin(f"run-{number}", "validate", "manual"), outcome=outcome, rows=100 + number)
    journal.end(journal.begin("run-9", "load", "manual"), outcome=SUCCEEDED, rows=5)
    assert [102, 100] == documents_at_last_successes(journal.steps())


def test_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    """The message says so, with what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(LandingNotWritableError, match="cannot write"):
        Journal(tmp_path / "file" / "runs.jsonl", clock=ticking()).begin("run-1", "load", "manual")


def test_run_ids_sort_by_time() -> None:
    """A later run has a greater id, and two of one moment differ."""
    now = datetime(2026, 1, 3, 10, 0, 0, 5000, tzinfo=UTC)
    first, twin, later = new_run_id(now), new_run_id(now), new_run_id(now + timedelta(milliseconds=1))
    assert first != twin
    assert max(first, twin) < later
    assert first.startswith("20260103T100000005Z-")
