"""The cycle on Prefect, where that is installed."""

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from batch.settings import PrefectSettings
from batch.shipped import prefect_file
from stream.errors import SettingsError, StepFailedError
from stream.settings import read

_WORK_POOL = "claude-analytics"


def run_flow(**parameters: Any) -> None:  # noqa: ANN401 - as the flow has them
    """Run the whole cycle as a flow, in this process.

    Raises:
        SettingsError: Prefect is not installed.
        AnalyticsError: What a step said.
    """
    _require_prefect()
    from batch.cli.prefect_flows import analytics_pipeline  # noqa: PLC0415 - only with Prefect

    analytics_pipeline(**parameters)


def deploy_all() -> None:
    """Make work pool and deployments on the server of PREFECT_API_URL; doing it again changes nothing.

    Raises:
        SettingsError: Prefect is not installed.
        StepFailedError: Prefect refuses, or does not answer.
    """
    _require_prefect()
    _prefect("work-pool", "create", _WORK_POOL, "--type", "process", "--overwrite")
    _prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(prefect_file()))


def _prefect(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "prefect", *arguments], check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise StepFailedError(
            f"`prefect {' '.join(arguments[:3])} …` ended with {done.returncode}",
            hint="check that a Prefect server runs and that PREFECT_API_URL names it",
        )


def _require_prefect() -> None:
    if find_spec("prefect") is None:
        raise SettingsError(
            "Prefect is not installed here", hint="run `pip install 'claude-analytics[prefect]'`"
        )
    # `.env` and files of secrets count for Prefect, too, which reads its environment alone.
    os.environ.update(read(PrefectSettings).environment())
    os.environ.setdefault("DO_NOT_TRACK", "1")
