"""What ran when, and how it ended: a journal of steps on disk.

    <DATA_DIR>/runs.jsonl   one line when a step begins, one when it ends

The journal is written before and after each step and never waits for the warehouse, so it also tells of the
step that was killed, and of runs while the warehouse was held or broken. `batch.runs.ops_tables`
makes it a table.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from stream.clock import Clock
from stream.disk import disk_errors, write_durably

RUNNING, SUCCEEDED, FAILED, SKIPPED, STOPPED, KILLED = (
    "running",
    "succeeded",
    "failed",
    "skipped",
    "stopped",
    "killed",
)
OUTCOMES = (SUCCEEDED, FAILED, SKIPPED, STOPPED, KILLED)
EXTRACT, LOAD, TRANSFORM, VALIDATE, PUBLISH, MAINTAIN = STEPS = (
    "extract",
    "load",
    "transform",
    "validate",
    "publish",
    "maintain",
)
"""What a run does, in this order."""

PIPELINE = "pipeline"
"""The step that stands for a whole run."""


@dataclass(frozen=True)
class StepRun:
    """One step of one run.

    Attributes:
        run_id: Of the run; sorts by time.
        step: `extract`, `load`, … or `pipeline` for the run as a whole.
        trigger: What began the run: `manual`, `schedule` or `daily`.
        started_at: When it began.
        ended_at: When it ended; None while it runs, or if nobody saw it end.
        outcome: One of `OUTCOMES`, or `running`.
        rows: Rows it dealt with; for `validate` the documents in `raw`.
        attempts: Times it was tried.
        error: Why it failed, empty otherwise.
        hint: What to do about it.
        details: More, for metrics: seconds per model, failed expectations per layer.
    """

    run_id: str
    step: str
    trigger: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = RUNNING
    rows: int | None = None
    attempts: int = 1
    error: str = ""
    hint: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """Time it took; None while it runs."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None


_STEP_RUN = TypeAdapter(StepRun)


def new_run_id(now: datetime) -> str:
    """Return the id of a run: its time, and what makes it unique."""
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}Z-{secrets.token_hex(2)}"


class Journal:
    """The file. Written by whoever holds the pipeline's lock; read by anybody at any time.

    Args:
        path: Of the file.
        clock: Gives the times of the steps.
        kept_steps: How many stay when it is trimmed.
        trim_from_bytes: From which size on it is.
    """

    def __init__(
        self, path: Path, *, clock: Clock, kept_steps: int = 5_000, trim_from_bytes: int = 4_000_000
    ) -> None:
        self.path = path
        self._clock = clock
        self._kept_steps = kept_steps
        self._trim_from_bytes = trim_from_bytes

    def begin(self, run_id: str, step: str, trigger: str) -> StepRun:
        """Note that a step begins.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: The file cannot be written.
        """
        started = StepRun(run_id, step, trigger, self._clock())
        self._append(started)
        return started

    def end(self, started: StepRun, **outcome: Any) -> StepRun:  # noqa: ANN401 - fields of StepRun
        """Note how a step ended; gives the whole record. Raises as `begin`."""
        ended = replace(started, ended_at=self._clock(), **outcome)
        self._append(ended)
        return ended

    def steps(self) -> list[StepRun]:
        """Read all steps, by the time they began. A line cut off by a crash is left out."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found: dict[tuple[str, str], StepRun] = {}
        for line in lines:
            step = _parse(line)
            if step is not None:
                found[step.run_id, step.step] = step
        return sorted(found.values(), key=lambda step: step.started_at)

    def last(self, step: str) -> StepRun | None:
        """Return the newest run of a step that was not left out."""
        return last_of(self.steps(), step)

    def close_abandoned(self) -> list[StepRun]:
        """Mark steps that nobody saw end as killed; only for the holder of the pipeline's lock."""
        return [
            self.end(step, outcome=KILLED, error="the process was killed", hint="run it again")
            for step in self.steps()
            if step.outcome == RUNNING
        ]

    def close_stopped(self, run_id: str) -> None:
        """Mark what a run has begun and not ended as stopped, because somebody told it to."""
        for step in self.steps():
            if step.run_id == run_id and step.outcome == RUNNING:
                self.end(step, outcome=STOPPED, error="it was told to stop", hint="run it again")

    def trim(self) -> None:
        """Keep the newest steps of a journal that has grown long; only for the lock's holder."""
        if not self.path.exists() or self.path.stat().st_size < self._trim_from_bytes:
            return
        kept = self.steps()[-self._kept_steps :]
        with disk_errors(self.path):
            write_durably(self.path, b"".join(_line(step) for step in kept))

    def _append(self, step: StepRun) -> None:
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                # A crash may have cut the last line off.
                file.write(b"\n" + _line(step) if self._is_cut_off() else _line(step))
                file.flush()
                os.fsync(file.fileno())

    def _is_cut_off(self) -> bool:
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                return False
            file.seek(size - 1)
            return file.read(1) != b"\n"


def last_of(
    steps: Iterable[StepRun],
    step: str,
    *,
    that: Callable[[StepRun], bool] = lambda found: found.outcome != SKIPPED,
) -> StepRun | None:
    """Return the newest run of a step for which something holds."""
    matching = [found for found in steps if found.step == step and that(found)]
    return matching[-1] if matching else None


def documents_at_last_successes(steps: Iterable[StepRun]) -> list[int]:
    """Return how many documents there were at each successful validation, newest first."""
    return [
        step.rows
        for step in reversed(list(steps))
        if step.step == VALIDATE and step.outcome == SUCCEEDED and step.rows is not None
    ]


def _line(step: StepRun) -> bytes:
    return _STEP_RUN.dump_json(step) + b"\n"


def _parse(line: bytes) -> StepRun | None:
    try:
        return _STEP_RUN.validate_json(line)
    except ValueError:
        return None
