"""The Iceberg tables and Spark, made from a context."""

from datetime import timedelta
from pathlib import Path

from batch.cli.context import Context
from batch.doctor.check import Check, failed
from batch.lake.builds import BuiltTable
from batch.lake.catalog import Catalog
from batch.lake.checks import examine
from batch.lake.clouds import table_url
from batch.lake.config import LakeConfig, require_catalog_uri
from batch.lake.cycle import LakeCycleSide
from batch.lake.landed_files import Landed, LandedBucket, LandedFolder
from batch.lake.landed_retention import LandedRetention
from batch.lake.landed_upkeep import LandedUpkeep
from batch.lake.load import LakeLoader
from batch.lake.lock import loading_lock
from batch.lake.maintain import LakeMaintenance
from batch.lake.mirror import Mirror
from batch.lake.publish import LakePublisher
from batch.lake.purged import LakePurgeSide
from batch.lake.session import Spark
from batch.lake.verified import LakeSide
from batch.maintenance.object_merges import ObjectCompaction
from batch.settings import properties_of
from stream.clock import utc_now
from stream.errors import SettingsError, StorageRefusedError
from stream.settings import DataSettings


def lake_config(context: Context) -> LakeConfig:
    """Return where tables and catalog are.

    Raises:
        SettingsError: CATALOG_URI is not set.
        StorageRefusedError: DATA_URL is in Azure, and no account is named.
    """
    settings = context.settings.lake
    config = LakeConfig(
        catalog_uri=require_catalog_uri(settings.catalog_uri),
        location=_location(context.settings.data),
        spark_master=settings.spark_master,
        spark_remote=settings.spark_remote,
        warehouse=settings.catalog_warehouse,
        catalog_properties=properties_of(settings.catalog_properties),
        driver_memory=settings.driver_memory,
    )
    return config if settings.jars_dir is None else config.with_jars(settings.jars_dir)


def _location(data: DataSettings) -> str:
    """Return the URL of the folder of all tables: in the bucket of DATA_URL, else in DATA_DIR.

    Raises:
        StorageRefusedError: It is in Azure, and no account is named.
    """
    if not data.is_remote:
        return f"file://{(data.data_dir / 'tables').resolve()}"
    return table_url(f"{data.url}/tables")


def _landed(context: Context) -> Landed:
    if context.settings.data.is_remote:
        return LandedBucket(context.landed_objects)
    return LandedFolder(context.landing)


def examine_lake(context: Context) -> list[Check]:
    """Return the lines of `doctor` about Spark, the catalog and the tables."""
    try:
        return examine(lake_config(context))
    except (SettingsError, StorageRefusedError) as error:
        return [failed("catalog", error)]


def make_verified_side(context: Context) -> LakeSide:
    """Return what a verification asks of the Iceberg tables."""
    loader = make_loader(context)
    return LakeSide(loader, lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds)


def make_lake_publisher(context: Context, *, dbt_target_dir: Path) -> LakePublisher:
    """Return what publishes marts in Iceberg."""
    catalog = Catalog(lake_config(context))
    chosen: list[BuiltTable] = []
    mirror = Mirror(
        path=lake_config(context).location,
        catalog=catalog,
        tables=lambda: chosen,
        steps=context.journal.steps,
        max_rows=context.settings.lake.serving_max_rows,
        folder=context.settings.data.data_dir,
        memory_limit=context.settings.duckdb.memory_limit,
    )
    return LakePublisher(
        warehouse=mirror,
        serving=context.serving,
        landing=context.local_landing,
        dbt_target_dir=dbt_target_dir,
        timezone=context.settings.pipeline.reporting_timezone,
        keep=context.settings.pipeline.keep_builds,
        clock=utc_now,
        catalog=catalog,
        chosen=chosen,
    )


def make_lake_side(context: Context) -> LakeCycleSide:
    """Return the Iceberg tables, as the steps of a run see them; all share one session of Spark."""
    loader = make_loader(context)
    return LakeCycleSide(
        loader=loader,
        upkeep=LakeMaintenance(loader.spark, loader.catalog, utc_now),
        landed_upkeep=_landed_upkeep(context, loader) if context.settings.data.is_remote else None,
        landed_retention=_landed_retention(context, loader),
        gx_folder=context.settings.data.data_dir / "gx",
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
    )


def _landed_upkeep(context: Context, loader: LakeLoader) -> LandedUpkeep:
    return LandedUpkeep(
        loader,
        ObjectCompaction(
            landing=context.landed_objects,
            clock=utc_now,
            scratch=context.settings.data.data_dir,
            memory_limit=context.settings.duckdb.memory_limit,
        ),
        grace=timedelta(seconds=context.settings.maintenance.grace_seconds),
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
    )


def _landed_retention(context: Context, loader: LakeLoader) -> LandedRetention | None:
    days = context.settings.maintenance.retention_days
    if days is None:
        return None
    return LandedRetention(
        loader=loader,
        landing=context.landed,
        dead_letters=context.dead_letters,
        clock=utc_now,
        days=days,
        lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds,
    )


def make_purged_side(context: Context) -> LakePurgeSide:
    """Return what a purge asks of the Iceberg tables."""
    loader = make_loader(context)
    return LakePurgeSide(loader, lease_timeout_seconds=context.settings.duckdb.lease_timeout_seconds)


def make_loader(context: Context) -> LakeLoader:
    """Return what loads into Iceberg."""
    config = lake_config(context)
    return LakeLoader(
        spark=Spark(config),
        catalog=Catalog(config),
        landed=_landed(context),
        lock=lambda seconds: loading_lock(config, timeout_seconds=seconds),
        clock=utc_now,
    )
