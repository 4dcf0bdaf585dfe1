"""Which steps run, how often each is tried, and what is written down about it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from batch.pipeline.runner import Options, Pipeline, RetryPolicy, StepResult, Work
from batch.runs.journal import STEPS, Journal
from stream.clock import utc_now
from stream.errors import AnalyticsError, ChecksFailedError, SourceUnreachableError

UNREACHABLE = SourceUnreachableError("cannot connect", hint="start it")


def raising(error: BaseException) -> Work:
    def work() -> StepResult:
        raise error

    return work


def failing_first(times: int, error: Exception, then: StepResult) -> Work:
    left = [times]

    def work() -> StepResult:
        if left[0]:
            left[0] -= 1
            raise error
        return then

    return work


class Bench:
    """A pipeline of steps that do nothing but what a test says.

    Attributes:
        slept: Pauses between two tries.
        noted: Names given to `on_note`.
    """

    def __init__(self, folder: Path, retries: dict[str, RetryPolicy] | None = None) -> None:
        self.journal = Journal(folder / "runs.jsonl", clock=utc_now)
        self.slept: list[float] = []
        self.noted: list[str] = []
        capture = LogCapture()
        self.logged: list[Any] = capture.entries
        self.pipeline = Pipeline(
            run_id="run-1",
            journal=self.journal,
            retries=retries or {},
            log=structlog.wrap_logger(None, processors=[capture]),
            on_note=self.noted.append,
            sleep=self.slept.append,
        )

    def run(self, options: Options | None = None, **works: Work) -> Any:
        """Run with some steps doing something; all others succeed."""
        quiet: dict[str, Callable[[], StepResult]] = {
            step: (lambda step=step: StepResult(f"{step} done", 1)) for step in STEPS
        }
        return self.pipeline.run(options or Options(), quiet | works)

    def outcomes(self) -> dict[str, str]:
        """Return what the journal says about each step."""
        return {step.step: step.outcome for step in self.journal.steps()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_run_does_every_step_in_order(bench: Bench) -> None:
    """One run id, one record per step and one for the whole, one summary line."""
    summary = bench.run()
    assert list(STEPS) == [step.step for step in summary.steps]
    assert dict.fromkeys(["pipeline", *STEPS], "succeeded") == bench.outcomes()
    assert {"run-1"} == {step.run_id for step in bench.journal.steps()}
    assert summary.error is None
    assert summary.line.startswith("run run-1 succeeded in ")
    assert summary.line.endswith(
        "extract done; load done; transform done; validate done; publish done; maintain done"
    )
    assert [*STEPS, "pipeline"] == bench.noted


def test_skipped_steps_are_written_down_as_such(bench: Bench) -> None:
    """What is left out is not called."""
    skipped = frozenset({"extract", "load"})
    summary = bench.run(Options(skipped=skipped, trigger="daily"), extract=raising(UNREACHABLE))
    assert summary.error is None
    assert ("skipped", "skipped", "succeeded") == tuple(
        bench.outcomes()[step] for step in ("extract", "load", "transform")
    )
    assert {"daily"} == {step.trigger for step in bench.journal.steps()}


@pytest.mark.fault(15, "dbt fails", "nothing is published; the run says why")
def test_nothing_follows_a_step_that_failed(bench: Bench) -> None:
    """Least of all a publish; the error is the run's, with what to do."""
    summary = bench.run(transform=raising(UNREACHABLE))
    assert summary.error is UNREACHABLE
    assert {"pipeline": "failed", "extract": "succeeded", "load": "succeeded", "transform": "failed"} == (
        bench.outcomes()
    )
    assert summary.line.endswith("at transform: cannot connect")
    whole = bench.journal.last("pipeline")
    assert whole
    assert ("cannot connect", "start it") == (whole.error, whole.hint)


def test_a_validation_whose_answer_is_no(bench: Bench) -> None:
    """What it found is written down, and nothing is published."""
    error = ChecksFailedError("it does not add up", hint="look")
    summary = bench.run(
        validate=lambda: StepResult("1 of 2 hold", 9, {"failed_by_layer": {"gold": 1}}, error)
    )
    assert summary.error is error
    assert "publish" not in bench.outcomes()
    validated = bench.journal.last("validate")
    assert validated
    assert (9, {"failed_by_layer": {"gold": 1}}, "it does not add up") == (
        validated.rows,
        validated.details,
        validated.error,
    )


def test_a_passing_error_is_tried_again(tmp_path: Path) -> None:
    """With pauses that double; the number of tries is written down."""
    bench = Bench(tmp_path, {"load": RetryPolicy(3, 30)})
    summary = bench.run(load=failing_first(2, UNREACHABLE, StepResult("late", 5)))
    assert summary.error is None
    assert [30, 60] == bench.slept
    loaded = bench.journal.last("load")
    assert loaded
    assert (3, 5) == (loaded.attempts, loaded.rows)
    assert [(1, 30), (2, 60)] == [
        (entry["attempt"], entry["delay_seconds"])
        for entry in bench.logged
        if entry["event"] == "step_retries"
    ]


@pytest.mark.parametrize(
    ("error", "slept"),
    [(UNREACHABLE, [30, 60, 120]), (ChecksFailedError("wrong", hint="mend it"), [])],
    ids=["passing", "terminal"],
)
def test_an_error_that_stays(tmp_path: Path, error: AnalyticsError, slept: list[float]) -> None:
    """After the last retry it is the run's; where trying again would not help, at once."""
    bench = Bench(tmp_path, {"load": RetryPolicy(3, 30)})
    assert bench.run(load=raising(error)).error is error
    assert slept == bench.slept


def test_a_defect_is_said_to_be_one(bench: Bench) -> None:
    """Whatever a step raises ends as an error with a hint and exit code."""
    error = bench.run(load=raising(KeyError("oops"))).error
    assert isinstance(error, AnalyticsError)
    assert "load failed: KeyError: 'oops'" == error.message
    assert "please report it" in error.hint
    assert isinstance(error.__cause__, KeyError)


@pytest.mark.parametrize("told", [SystemExit(143), KeyboardInterrupt()], ids=["SIGTERM", "Ctrl-C"])
def test_a_run_that_is_told_to_stop(bench: Bench, told: BaseException) -> None:
    """It leaves at once, and writes down that nobody is to blame."""
    with pytest.raises(type(told)):
        bench.run(transform=raising(told))
    assert {"pipeline": "stopped", "extract": "succeeded", "load": "succeeded", "transform": "stopped"} == (
        bench.outcomes()
    )


def test_a_signal_that_a_step_made_an_error_of(bench: Bench) -> None:
    """DuckDB turns it into `Query interrupted`: it is no failure, nothing is retried, nobody is to blame."""
    told: list[int] = []

    def interrupted() -> StepResult:
        told.append(143)
        raise RuntimeError("Query interrupted")

    def exit_if_signalled() -> None:
        if told:
            raise SystemExit(*told)

    bench.pipeline = replace(bench.pipeline, exit_if_signalled=exit_if_signalled)
    with pytest.raises(SystemExit):
        bench.run(maintain=interrupted)
    assert ("stopped", "stopped") == tuple(bench.outcomes()[step] for step in ("maintain", "pipeline"))
    told.clear()
    with pytest.raises(SystemExit):
        bench.pipeline.run_alone("publish", interrupted)
    assert "stopped" == bench.outcomes()["publish"]


def test_a_run_closes_what_a_killed_one_left_open(bench: Bench) -> None:
    """The journal never says `running` of what is dead."""
    bench.journal.begin("run-0", "load", "manual")
    bench.run()
    assert "killed" == bench.journal.steps()[0].outcome


def test_a_step_alone(bench: Bench) -> None:
    """It is written down like one of a run; its error is raised."""
    assert "fine" == bench.pipeline.run_alone("publish", lambda: StepResult("fine")).summary
    assert {"publish": "succeeded"} == bench.outcomes()
    with pytest.raises(SourceUnreachableError):
        bench.pipeline.run_alone("load", raising(UNREACHABLE))
    with pytest.raises(SystemExit):
        bench.pipeline.run_alone("validate", raising(SystemExit(130)))
    assert {"publish": "succeeded", "load": "failed", "validate": "stopped"} == bench.outcomes()


def test_a_run_with_nothing_new_leaves_the_build_out(bench: Bench) -> None:
    """It says so, in the journal and in its line; what remains is done."""
    asked: list[str] = []

    def up_to_date_build(_options: Options) -> str:
        asked.extend(step.step for step in bench.journal.steps())
        return "build-1"

    bench.pipeline = replace(bench.pipeline, up_to_date_build=up_to_date_build)
    summary = bench.run()
    outcomes = bench.outcomes()
    assert ["pipeline", "extract", "load"] == asked
    assert {"transform", "validate", "publish"} == {
        step for step, how in outcomes.items() if how == "skipped"
    }
    assert {"pipeline", "extract", "load", "maintain"} == {
        step for step, how in outcomes.items() if how == "succeeded"
    }
    assert summary.line.endswith("maintain done; nothing new: transform, validate, publish left out")
    last = bench.journal.steps()[-2]
    assert ("publish", {"current_build": "build-1"}) == (last.step, last.details)
