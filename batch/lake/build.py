"""Builds the marts in Spark: the same models, through dbt's adapter, on the session that loads."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from batch.lake.session import EXTRA_HINT, Session, Spark
from batch.transform.dbt_project import DbtProject
from batch.transform.transform import BuildProgress, BuildResult, transform_elsewhere
from stream.errors import SettingsError

TARGET = "spark"
"""Of `dbt/profiles.yml`."""

_ADAPTER = "dbt.adapters.spark.session"

_SETTINGS = {
    # The optimizer would note what follows from each condition for each of the expressions that a cost is
    # made of, and of those again: gigabytes of notes, and many minutes, for a few thousand rows.
    "spark.sql.constraintPropagation.enabled": "false",
}
"""Of the session while the models are built."""


def build(
    spark: Spark,
    project: DbtProject,
    *,
    models: Sequence[str] = (),
    full_refresh: bool = False,
    on_progress: Callable[[BuildProgress], None] = lambda _progress: None,
) -> BuildResult:
    """Build the models and run their checks. Raises as `batch.transform.transform.transform`.

    Args:
        spark: Its session is the one that dbt works in.
        project: The project; its target is left aside.
        models: dbt selectors; everything if empty.
        full_refresh: Build every row again.
        on_progress: Called after each node.

    Raises:
        SettingsError: dbt's adapter for Spark is not installed.
    """
    if find_spec("dbt.adapters.spark") is None:
        raise SettingsError(
            "WAREHOUSE=iceberg needs the package dbt-spark, which is not installed", hint=EXTRA_HINT
        )
    with lent_to_dbt(spark.session()):
        return transform_elsewhere(
            replace(project, target=TARGET), models=models, full_refresh=full_refresh, on_progress=on_progress
        )


class _Builder:
    """What dbt-spark asks for a session: it gets ours, as it is.

    Its own way would take whichever session is the newest in this process, turn ANSI mode off in it, so that
    what cannot be cast becomes null in silence, and ask for Hive, which Spark Connect refuses.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.builder = self

    def enableHiveSupport(self) -> "_Builder":  # noqa: N802 - Spark's name
        return self

    def config(self, _name: str, _value: object) -> "_Builder":
        return self

    def getOrCreate(self) -> Session:  # noqa: N802 - Spark's name
        return self._session


@contextmanager
def lent_to_dbt(session: Session) -> Iterator[None]:
    """Let dbt's target `spark` work in this session meanwhile.

    Args:
        session: As it is; its settings are as before afterwards.
    """
    adapter: Any = import_module(_ADAPTER)
    own = adapter.SparkSession
    adapter.SparkSession = _Builder(session)
    for name, value in _SETTINGS.items():
        session.conf.set(name, value)
    try:
        yield
    finally:
        adapter.SparkSession = own
        for name in _SETTINGS:
            session.conf.unset(name)
