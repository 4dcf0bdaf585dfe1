"""The cycle as Prefect flows, for those who run Prefect anyway: `pip install claude-analytics[prefect]`.

The steps, their order and what is written down are the pipeline's own; Prefect sees each step as a task, and
tries it again by the same rules.
"""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from rich.console import Console

from batch.cli.alerts import send_alerts
from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_pipeline
from batch.pipeline.runner import Options, RetryPolicy, StepResult, Work
from batch.pipeline.timetable import DAILY, HOURLY
from batch.runs.journal import new_run_id
from stream.clock import utc_now
from stream.disk import keep_to_owner
from stream.errors import AnalyticsError


def _as_task(step: str, work: Work, policy: RetryPolicy) -> Work:
    """Let Prefect run a step; what it gives or raises is the step's own."""
    tries = 0

    def tried() -> StepResult:
        nonlocal tries
        tries += 1
        result = work()
        if result.error is not None:
            raise _Refused(result)
        return result

    # Not as decorators: Prefect need not be there when types are checked.
    run = task(
        name=step,
        retries=policy.retries,
        retry_delay_seconds=[policy.delay_seconds(retry) for retry in range(1, policy.retries + 1)] or None,
        retry_condition_fn=lambda _task, _run, state: policy.allows(_raised(state), tries),
        cache_policy=NO_CACHE,
        persist_result=False,
    )(tried)

    def in_prefect() -> StepResult:
        try:
            result: StepResult = run()
        except _Refused as refused:
            return refused.result
        return result

    return in_prefect


class _Refused(Exception):  # noqa: N818 - never seen outside
    """A step that was done, and whose answer is no: for Prefect a failure, for the pipeline a result."""

    def __init__(self, result: StepResult) -> None:
        super().__init__(str(result.error))
        self.result = result


def _raised(state: object) -> Exception:
    error = getattr(state, "data", None)
    return error if isinstance(error, Exception) else ValueError(f"no error in {state}")


def _run(options: Options) -> str:
    keep_to_owner()
    context = Context.from_environment()
    context.console = Console(quiet=True)
    with context.pipeline_locked():
        run_id = new_run_id(utc_now())
        cycle = make_cycle(context, run_id)
        own = make_pipeline(context, run_id, cycle)
        works = {
            step: _as_task(step, work, own.retries.get(step, RetryPolicy()))
            for step, work in cycle.works(options).items()
        }
        summary = own.trying_once().run(options, works)
        send_alerts(context)
    if summary.error is not None:
        raise _told(summary.error)
    return summary.line


def _told(error: AnalyticsError) -> AnalyticsError:
    """Say in Prefect's log what to do, too."""
    error.add_note(f"what to do: {error.hint}")
    return error


def _analytics_pipeline(  # noqa: PLR0917 - parameters of a deployment, all of them by name
    skip_extract: bool = False,  # noqa: FBT001 - parameters of a deployment
    skip_load: bool = False,  # noqa: FBT001
    skip_transform: bool = False,  # noqa: FBT001
    full_refresh: bool = False,  # noqa: FBT001
    full_backfill: bool = False,  # noqa: FBT001
    select: Sequence[str] = (),
) -> str:
    """Run the whole cycle once: extract, load, transform, validate, publish, maintain."""
    return _run(
        Options.skipping(
            extract=skip_extract,
            load=skip_load,
            transform=skip_transform,
            select=select,
            full_refresh=full_refresh,
            full_backfill=full_backfill,
        )
    )


def _scheduled_pipeline(full_refresh: bool = False) -> str:  # noqa: FBT001 - parameter of a deployment
    """Run the whole cycle as the clock has it."""
    return _run(Options(full_refresh=full_refresh, trigger=DAILY if full_refresh else HOURLY))


analytics_pipeline = flow(name="analytics_pipeline", validate_parameters=True)(_analytics_pipeline)
scheduled_pipeline = flow(name="scheduled_pipeline", validate_parameters=True)(_scheduled_pipeline)
