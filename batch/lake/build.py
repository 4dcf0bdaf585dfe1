"""Builds the marts in Spark: the same models, through dbt's adapter, on the session that loads."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from batch.lake.session import Spark
from batch.transform.dbt_project import DbtProject
from batch.transform.transform import BuildProgress, BuildResult, transform_elsewhere
from stream.errors import SettingsError

TARGET = "spark"
"""Of `dbt/profiles.yml`."""


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
        spark: Its session is the one that dbt takes up, as they are in one process.
        project: The project; its target is left aside.
        models: dbt selectors; everything if empty.
        full_refresh: Build every row again.
        on_progress: Called after each node.

    Raises:
        SettingsError: The project has no target for Spark.
    """
    profiles = (project.project_dir / "profiles.yml").read_text(encoding="utf-8")
    if f"\n    {TARGET}:\n" not in profiles:
        raise SettingsError(
            "the dbt project has no target `spark`: its models cannot be built in Iceberg yet",
            hint="`load` and `verify` work; for marts use WAREHOUSE=duckdb",
        )
    session = spark.session()
    try:
        return transform_elsewhere(
            replace(project, target=TARGET), models=models, full_refresh=full_refresh, on_progress=on_progress
        )
    finally:
        # dbt-spark turns it off for its whole session; our own statements are to fail where they are wrong.
        session.conf.set("spark.sql.ansi.enabled", "true")
