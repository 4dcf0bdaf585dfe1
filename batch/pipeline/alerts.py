"""Tells people when runs begin to fail, and when they work again: by webhook, by a command, or both."""

import json
import os
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from batch.runs.journal import FAILED, KILLED, PIPELINE, SKIPPED, SUCCEEDED, StepRun
from stream.logs import Logger

_REMIND_EACH = timedelta(days=1)
"""A failure that stays is told so often, however often runs are due."""

_WEBHOOK_SECONDS = 10
_COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Alert:
    """What people are told.

    Attributes:
        outcome: `failed` or `recovered`.
        run_id: The run that it is about.
        step: The step that failed; empty if all is well again.
        reason: Why.
        fix: What to do.
        failures: Runs that failed in a row, this one among them; before it, if all is well again.
    """

    outcome: Literal["failed", "recovered"]
    run_id: str
    step: str
    reason: str
    fix: str
    failures: int

    @property
    def text(self) -> str:
        """The alert as a message."""
        if self.outcome == "recovered":
            return f"Claude Analytics works again after {_times(self.failures)}: run {self.run_id} succeeded."
        return (
            f"Claude Analytics: run {self.run_id} failed at {self.step} "
            f"({_times(self.failures)} in a row).\n{self.reason}\nWhat to do: {self.fix}"
        )


def _times(failures: int) -> str:
    return "1 failure" if failures == 1 else f"{failures:,} failures"


def alert_for(steps: Sequence[StepRun]) -> Alert | None:
    """Say what there is to tell after the newest run, if anything.

    A failure is told when it is new, when its reason is another than before, and once in a while; success is
    told after a failure. Runs that somebody stopped say nothing.

    Args:
        steps: Of all runs, oldest first.
    """
    runs = [step for step in steps if step.step == PIPELINE and step.outcome in {SUCCEEDED, FAILED, KILLED}]
    if not runs:
        return None
    newest, before = runs[-1], runs[:-1]
    failures = _failures_in_a_row(before)
    if newest.outcome == SUCCEEDED:
        return Alert("recovered", newest.run_id, "", "", "", failures) if failures else None
    is_known = bool(failures) and before[-1].error == newest.error
    if is_known and not _is_another_day(before[-failures], before[-1], newest):
        return None
    step = next((found.step for found in steps if _has_failed(found, newest)), PIPELINE)
    return Alert("failed", newest.run_id, step, newest.error, newest.hint, failures + 1)


def _is_another_day(first: StepRun, previous: StepRun, newest: StepRun) -> bool:
    """Whether a whole number of days since the first failure has passed after the previous one."""
    days = [(run.started_at - first.started_at) // _REMIND_EACH for run in (previous, newest)]
    return days[0] < days[1]


def _failures_in_a_row(runs: Sequence[StepRun]) -> int:
    """Count how many of the last runs failed, back to the last that succeeded."""
    count = 0
    for run in reversed(runs):
        if run.outcome == SUCCEEDED:
            break
        count += 1
    return count


def _has_failed(step: StepRun, run: StepRun) -> bool:
    return step.run_id == run.run_id and step.step != PIPELINE and step.outcome not in {SUCCEEDED, SKIPPED}


@dataclass(frozen=True)
class Notifier:
    """Where alerts go.

    Attributes:
        webhook: Gets JSON with `text`, as Slack and its like understand it; None for none. Kept secret.
        command: Run with the facts in its environment; None for none.
        log: Told what could not be delivered.
    """

    webhook: str | None
    command: str | None
    log: Logger

    def send(self, alert: Alert) -> None:
        """Deliver an alert; what cannot be delivered is logged and harms nothing."""
        self.log.info("alert", outcome=alert.outcome, run_id=alert.run_id, step=alert.step)
        if self.webhook is not None:
            self._post(self.webhook, alert)
        if self.command is not None:
            self._run(self.command, alert)

    def _post(self, webhook: str, alert: Alert) -> None:
        request = urllib.request.Request(  # noqa: S310 - the setting allows http and https only
            webhook,
            data=json.dumps({"text": alert.text}).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=_WEBHOOK_SECONDS):  # noqa: S310 - as above
                pass
        except (OSError, urllib.error.URLError, ValueError) as error:
            # Without the address: it is a secret.
            reason = getattr(error, "reason", None) or error
            self.log.warning("alert_not_delivered", to="webhook", problem=str(reason))

    def _run(self, command: str, alert: Alert) -> None:
        facts = {
            "OUTCOME": alert.outcome,
            "RUN_ID": alert.run_id,
            "STEP": alert.step,
            "REASON": alert.reason,
            "FIX": alert.fix,
            "FAILURES": str(alert.failures),
            "TEXT": alert.text,
        }
        environment = os.environ | {f"ALERT_{name}": value for name, value in facts.items()}
        try:
            subprocess.run(  # noqa: S603 - the operator's own command, without a shell
                shlex.split(command),
                env=environment,
                stdin=subprocess.DEVNULL,
                timeout=_COMMAND_SECONDS,
                check=True,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.log.warning("alert_not_delivered", to="command", problem=str(error))
