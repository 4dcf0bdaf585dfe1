"""Metrics of the cycle, for Prometheus; told from the journal, so that they outlive each run's process."""

import math
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from batch.runs.journal import (
    OUTCOMES,
    PIPELINE,
    RUNNING,
    SKIPPED,
    STEPS,
    SUCCEEDED,
    TRANSFORM,
    VALIDATE,
    StepRun,
    last_of,
)

_LAYERS = ("bronze", "silver", "gold")
_PREFIX = "claude_analytics_batch"
_RATIO_RUNS = 24


class BatchMetrics:
    """What the scheduler tells about the runs.

    Args:
        registry: Where they are registered.
        build_age_seconds: Asked at each scrape; None while nothing has been published.
        marts_age_seconds: The same.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        build_age_seconds: Callable[[], float | None],
        marts_age_seconds: Callable[[], float | None],
    ) -> None:
        self.runs = Counter(
            f"{_PREFIX}_runs_total",
            "Steps that have ended since the scheduler began, by outcome; `pipeline` is a whole run.",
            ["step", "outcome"],
            registry=registry,
        )
        self.step_seconds = Gauge(
            f"{_PREFIX}_step_seconds",
            "Time that the last run of a step took, its retries included.",
            ["step"],
            registry=registry,
        )
        self.last_success = Gauge(
            f"{_PREFIX}_last_success_timestamp_seconds",
            "When a step last ended well, in seconds since 1970.",
            ["step"],
            registry=registry,
        )
        self.last_run = Gauge(
            f"{_PREFIX}_last_run_timestamp_seconds",
            "When a step last ended, well or not, in seconds since 1970.",
            ["step"],
            registry=registry,
        )
        self.model_seconds = Gauge(
            f"{_PREFIX}_model_seconds",
            "Time that the last build of a dbt model took.",
            ["model"],
            registry=registry,
        )
        self.expectations_failed = Gauge(
            f"{_PREFIX}_expectations_failed",
            "Rules that did not hold in the last validation, warnings among them.",
            ["suite"],
            registry=registry,
        )
        self.success_ratio = Gauge(
            f"{_PREFIX}_success_ratio",
            f"Share of the last {_RATIO_RUNS} runs that succeeded.",
            registry=registry,
        )
        self.success_ratio.set(math.nan)  # unknown, not nought
        self.build_age = Gauge(
            f"{_PREFIX}_build_age_seconds",
            "Time since the build that readers see was made; -1 while there is none.",
            registry=registry,
        )
        self.build_age.set_function(lambda: _or_minus_one(build_age_seconds()))
        self.marts_age = Gauge(
            f"{_PREFIX}_marts_age_seconds",
            "How old the published marts are: time since a run began that made them, or found nothing to "
            "add to them; -1 while there are none.",
            registry=registry,
        )
        self.marts_age.set_function(lambda: _or_minus_one(marts_age_seconds()))
        self.dead_letters = Gauge(
            "claude_analytics_dead_letter_queue_size",
            "Rejected documents that are kept until somebody replays them.",
            registry=registry,
        )
        self._counted: set[tuple[str, str]] | None = None
        for step in (*STEPS, PIPELINE):
            for outcome in OUTCOMES:
                self.runs.labels(step=step, outcome=outcome)
        for layer in _LAYERS:
            self.expectations_failed.labels(suite=layer)

    def observe(self, steps: Sequence[StepRun]) -> None:
        """Bring the metrics up to date with the journal; only steps that end from now on are counted."""
        ended = [step for step in steps if step.outcome != RUNNING]
        keys = {(step.run_id, step.step) for step in ended}
        if self._counted is not None:
            for step in ended:
                if (step.run_id, step.step) not in self._counted:
                    self.runs.labels(step=step.step, outcome=step.outcome).inc()
        self._counted = keys
        for name in (*STEPS, PIPELINE):
            self._observe_step(name, ended)
        self._observe_details(ended)

    def _observe_step(self, name: str, ended: Sequence[StepRun]) -> None:
        last = last_of(ended, name)
        if last is not None and last.ended_at is not None:
            self.step_seconds.labels(step=name).set((last.ended_at - last.started_at).total_seconds())
            self.last_run.labels(step=name).set(last.ended_at.timestamp())
        good = last_of(ended, name, that=lambda step: step.outcome == SUCCEEDED)
        if good is not None and good.ended_at is not None:
            self.last_success.labels(step=name).set(good.ended_at.timestamp())

    def _observe_details(self, ended: Sequence[StepRun]) -> None:
        built = last_of(ended, TRANSFORM, that=lambda step: bool(step.details))
        for model, seconds in (built.details.get("model_seconds", {}) if built else {}).items():
            self.model_seconds.labels(model=model).set(seconds)
        checked = last_of(ended, VALIDATE, that=lambda step: bool(step.details))
        for layer, failed in (checked.details.get("failed_by_layer", {}) if checked else {}).items():
            self.expectations_failed.labels(suite=layer).set(failed)
        runs = [step for step in ended if step.step == PIPELINE and step.outcome != SKIPPED][-_RATIO_RUNS:]
        if runs:
            self.success_ratio.set(sum(run.outcome == SUCCEEDED for run in runs) / len(runs))


def _or_minus_one(age_seconds: float | None) -> float:
    return -1.0 if age_seconds is None else age_seconds
