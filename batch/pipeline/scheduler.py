"""Runs the pipeline when it is time, for ever: hourly, and once a day with a full refresh.

Each run is a process of its own: its memory goes with it, and whatever it does, the scheduler goes on. When
it is time is the cron triggers' business (APScheduler); what is due is asked of the time since the last look.
So runs never overlap, and however many were missed while the machine slept or the scheduler was down, one run
makes up for them, the daily one if that is among them.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from batch.pipeline.timetable import DAILY, HOURLY, Timetable
from batch.runs.journal import PIPELINE, StepRun
from stream.clock import Clock
from stream.logs import Logger
from stream.stop import StopSignal


def last_look(steps: Sequence[StepRun], now: datetime) -> datetime:
    """Say since when runs may have been missed: the start of the last scheduled one, now without one."""
    scheduled = [
        step.started_at for step in steps if step.step == PIPELINE and step.trigger in {HOURLY, DAILY}
    ]
    return min(now, max(scheduled, default=now))


class Child(Protocol):
    """A running pipeline."""

    def poll(self) -> int | None:
        """Return its exit code once it has ended."""

    def terminate(self) -> None:
        """Ask it to stop."""

    def kill(self) -> None:
        """Stop it."""


@dataclass(frozen=True)
class Scheduler:
    """The loop. Holds nothing but time; everything else happens in the runs.

    Attributes:
        timetable: When which run is due.
        start: Starts a run by its name.
        after_run: Called with its exit code (None if it could not be started) when a run has ended.
        each_look: Called about once a second.
        stop: Ends the loop.
        look_seconds: Pause between two looks at the clock.
        poll_seconds: Pause between two looks at a run.
        grace_seconds: How long a run that is told to stop has time to.
    """

    timetable: Timetable
    start: Callable[[str], Child]
    after_run: Callable[[str, int | None], None]
    each_look: Callable[[], None]
    stop: StopSignal
    clock: Clock
    log: Logger
    look_seconds: float = 1.0
    poll_seconds: float = 0.1
    grace_seconds: float = 4.0

    def run(self, since: datetime, *, at_once: str | None = None) -> None:
        """Look what is due, and run it, until told to stop.

        Args:
            since: Runs that came due after this are made up for.
            at_once: A run to begin with.
        """
        if at_once is not None:
            since = self.clock()
            self._run(at_once)
        self._tell_next()
        while not self.stop.is_set:
            now = self.clock()
            since = min(since, now)  # the clock may be set back
            name = self.timetable.due(since, now)
            if name is not None:
                since = now
                self._run(name)
                self._tell_next()
            self.each_look()
            self.stop.wait(self.look_seconds)

    def _tell_next(self) -> None:
        due = self.timetable.next_after(self.clock())
        if due is not None and not self.stop.is_set:
            self.log.info("next_run", name=due.name, at=due.at.isoformat())

    def _run(self, name: str) -> None:
        """Run a pipeline to its end, whatever that is."""
        started = time.monotonic()
        try:
            child = self.start(name)
        except OSError as error:
            self.log.warning("run_not_started", name=name, problem=str(error))
            self.after_run(name, None)
            return
        exit_code = self._wait(child)
        self.log.info(
            "run_left", name=name, exit_code=exit_code, seconds=round(time.monotonic() - started, 1)
        )
        self.after_run(name, exit_code)

    def _wait(self, child: Child) -> int:
        """Wait for a run; if the scheduler is to stop, so is the run, soon."""
        while (exit_code := child.poll()) is None:
            if not self.stop.wait(self.poll_seconds):
                self.each_look()
                continue
            child.terminate()
            until = time.monotonic() + self.grace_seconds
            while (exit_code := child.poll()) is None and time.monotonic() < until:
                time.sleep(self.poll_seconds)
            if exit_code is None:
                # Every step is safe against that.
                child.kill()
                while (exit_code := child.poll()) is None:
                    time.sleep(self.poll_seconds)
            return exit_code
        return exit_code


def start_pipeline(command: Sequence[str], name: str) -> "subprocess.Popen[bytes]":
    """Start a run as a process that ends when this one does, however this one ends: its input closes.

    Args:
        command: The program, up to its arguments.
        name: Of the run.
    """
    arguments = ["pipeline", "--supervised", "--trigger", name]
    if name == DAILY:
        arguments.append("--full-refresh")
    return subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE)  # noqa: S603 - our own program
