"""The cycle as a sequence of steps: which are run, how often each is tried, and what is written down."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from batch.runs.journal import (
    EXTRACT,
    FAILED,
    LOAD,
    PIPELINE,
    PUBLISH,
    SKIPPED,
    STEPS,
    SUCCEEDED,
    TRANSFORM,
    VALIDATE,
    Journal,
    StepRun,
)
from stream.errors import AnalyticsError, StepFailedError, TransientError
from stream.logs import Logger

LEFT_OUT = (TRANSFORM, VALIDATE, PUBLISH)
"""Steps that have nothing to do when readers see all that is loaded."""
CURRENT_BUILD = "current_build"
"""Detail of a step that was left out for that reason: the build they see."""


@dataclass(frozen=True)
class Options:
    """What a run is asked to do.

    Attributes:
        skipped: Steps to leave out.
        full_refresh: Build every row anew.
        full_backfill: Read the whole collection, not only what changed.
        select: dbt selectors; everything if empty.
        trigger: What began the run: `manual`, `schedule` or `daily`.
    """

    skipped: frozenset[str] = frozenset()
    full_refresh: bool = False
    full_backfill: bool = False
    select: tuple[str, ...] = ()
    trigger: str = "manual"

    @classmethod
    def skipping(
        cls,
        *,
        extract: bool,
        load: bool,
        transform: bool,
        select: Sequence[str] | None,
        **others: Any,  # noqa: ANN401 - fields of Options
    ) -> "Options":
        """Return what a person asks for by one flag a step."""
        flags = {EXTRACT: extract, LOAD: load, TRANSFORM: transform}
        skipped = frozenset(step for step, is_skipped in flags.items() if is_skipped)
        return cls(skipped=skipped, select=tuple(select or ()), **others)


@dataclass(frozen=True)
class StepResult:
    """What a step did.

    Attributes:
        summary: In a few words.
        rows: Rows it dealt with, None if that says nothing.
        details: For metrics.
        error: Why it has failed although it was done: a validation whose answer is no.
    """

    summary: str
    rows: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    error: AnalyticsError | None = None


Work = Callable[[], StepResult]


@dataclass(frozen=True)
class RetryPolicy:
    """How often a step is tried again after a transient error.

    Attributes:
        retries: At most so often.
        first_delay_seconds: Before the first retry; doubles each time.
    """

    retries: int = 0
    first_delay_seconds: float = 0

    def delay_seconds(self, retry: int) -> float:
        """Say how long to wait before a retry, counted from 1."""
        return self.first_delay_seconds * 2.0 ** (retry - 1)

    def allows(self, error: Exception, retry: int) -> bool:
        """Whether to try again after an error, counted from 1: only if that may help."""
        return isinstance(error, TransientError) and retry <= self.retries


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        run_id: Of the run.
        steps: Each step, in order; those that were not reached are left out.
        results: What the successful ones say.
        error: Why the run failed, None if it did not.
        seconds: From start to end.
    """

    run_id: str
    steps: Sequence[StepRun]
    results: Mapping[str, StepResult]
    error: AnalyticsError | None
    seconds: float

    @property
    def line(self) -> str:
        """The run in one line."""
        did = "; ".join(result.summary for result in self.results.values())
        left_out = [step.step for step in self.steps if CURRENT_BUILD in step.details]
        if left_out:
            did += f"; nothing new: {', '.join(left_out)} left out"
        if self.error is None:
            return f"run {self.run_id} succeeded in {self.seconds:.1f} s: {did or 'nothing to do'}"
        failed = self.steps[-1].step
        return f"run {self.run_id} failed in {self.seconds:.1f} s at {failed}: {self.error.message}"


@dataclass(frozen=True)
class Pipeline:
    """Runs steps one after the other, writes down each, and stops at the first that fails.

    The caller has taken the pipeline lock.

    Attributes:
        run_id: Of this run.
        journal: Where steps are written down.
        retries: For steps that are tried again.
        log: One line per step and per retry.
        on_note: Called with the name of each step that begins, and when the run has ended.
        copy_journal: Brings `ops.runs` up to date, before it is published and at the end; it opens the
            warehouse.
        exit_if_signalled: Raises SystemExit if a signal has come; asked before each step, and after an error,
            which may be what a step made of the signal.
        up_to_date_build: Asked once all is loaded; the build that readers see if it holds all that, None if
            there is something to build.
        sleep: Waits between two tries.
    """

    run_id: str
    journal: Journal
    retries: Mapping[str, RetryPolicy]
    log: Logger
    on_note: Callable[[str], None] = lambda _step: None
    copy_journal: Callable[[], None] = lambda: None
    exit_if_signalled: Callable[[], None] = lambda: None
    up_to_date_build: Callable[[Options], str | None] = lambda _options: None
    sleep: Callable[[float], None] = time.sleep

    def trying_once(self) -> "Pipeline":
        """Return the same pipeline without retries, for somebody else who has them."""
        return replace(self, retries={})

    def run(self, options: Options, works: Mapping[str, Work]) -> RunSummary:
        """Run all steps in order.

        Args:
            options: Which to leave out.
            works: What each step does.
        """
        self.journal.close_abandoned()
        whole = self.journal.begin(self.run_id, PIPELINE, options.trigger)
        self.log.info("run_started", run_id=self.run_id, trigger=options.trigger)
        done: list[StepRun] = []
        results: dict[str, StepResult] = {}
        error: AnalyticsError | None = None
        current_build: str | None = None
        try:
            for step in STEPS:
                self.exit_if_signalled()
                if step == LEFT_OUT[0]:
                    current_build = self.up_to_date_build(options)
                if step in options.skipped or (current_build and step in LEFT_OUT):
                    details = {CURRENT_BUILD: current_build} if current_build else {}
                    skipped = self.journal.begin(self.run_id, step, options.trigger)
                    done.append(self.journal.end(skipped, outcome=SKIPPED, details=details))
                    continue
                ended, result, error = self.run_step(step, works[step], options.trigger)
                done.append(ended)
                if result is not None:
                    results[step] = result
                if error is not None:
                    break
        except (KeyboardInterrupt, SystemExit):
            self.journal.close_stopped(self.run_id)
            raise
        whole = self.journal.end(
            whole,
            outcome=FAILED if error else SUCCEEDED,
            error=error.message if error else "",
            hint=error.hint if error else "",
        )
        self.copy_journal()
        self.on_note(PIPELINE)
        summary = RunSummary(self.run_id, tuple(done), results, error, whole.seconds or 0.0)
        self.log.info("run_ended", run_id=self.run_id, outcome=whole.outcome, summary=summary.line)
        return summary

    def run_alone(self, step: str, work: Work) -> StepResult:
        """Run a single step, as a command of its own.

        Raises:
            AnalyticsError: Why it failed.
        """
        self.journal.close_abandoned()
        try:
            _, result, error = self.run_step(step, work, "manual")
        except (KeyboardInterrupt, SystemExit):
            self.journal.close_stopped(self.run_id)
            raise
        self.copy_journal()
        self.on_note(step)
        if error is not None:
            raise error
        return result or StepResult("")

    def run_step(
        self, step: str, work: Work, trigger: str
    ) -> tuple[StepRun, StepResult | None, AnalyticsError | None]:
        """Run one step, and again if that may help; give its record, and its result or its error."""
        started = self.journal.begin(self.run_id, step, trigger)
        if step == PUBLISH:
            self.copy_journal()
        self.on_note(step)
        attempt = 0
        while True:
            attempt += 1
            result, error = _attempt(step, work)
            if error is None:
                break
            self.exit_if_signalled()
            if not self._waits_for_another(step, attempt, error):
                break
        ended = self.journal.end(
            started,
            outcome=FAILED if error else SUCCEEDED,
            attempts=attempt,
            rows=result.rows if result else None,
            error=error.message if error else "",
            hint=error.hint if error else "",
            details=result.details if result else {},
        )
        self._tell(ended, result.summary if result else "")
        return ended, result, error

    def _waits_for_another(self, step: str, attempt: int, error: AnalyticsError) -> bool:
        """Wait before the next try, if there is to be one."""
        policy = self.retries.get(step, RetryPolicy())
        if not policy.allows(error, attempt):
            return False
        delay_seconds = policy.delay_seconds(attempt)
        self.log.warning(
            "step_retries",
            run_id=self.run_id,
            step=step,
            problem=error.message,
            attempt=attempt,
            delay_seconds=delay_seconds,
        )
        self.sleep(delay_seconds)
        return True

    def _tell(self, ended: StepRun, summary: str) -> None:
        facts = {
            "run_id": ended.run_id,
            "step": ended.step,
            "outcome": ended.outcome,
            "seconds": round(ended.seconds or 0.0, 3),
            "attempts": ended.attempts,
        }
        if ended.outcome == SUCCEEDED:
            self.log.info("step_ended", **facts, summary=summary)
        else:
            self.log.error("step_ended", **facts, problem=ended.error, hint=ended.hint)


def _attempt(step: str, work: Work) -> tuple[StepResult | None, AnalyticsError | None]:
    try:
        result = work()
    except Exception as raised:  # noqa: BLE001 - a run is written down however it ends
        return None, _explained(step, raised)
    return result, result.error


def _explained(step: str, raised: Exception) -> AnalyticsError:
    """Return an error of ours; anything else is a defect, and said to be one."""
    if isinstance(raised, AnalyticsError):
        return raised
    error = StepFailedError(
        f"{step} failed: {type(raised).__name__}: {raised}",
        hint="a defect of claude-analytics: please report it with the log; running again loses nothing",
    )
    error.__cause__ = raised
    return error
