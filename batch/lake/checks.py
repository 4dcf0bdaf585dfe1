"""Lines of `doctor` about the Iceberg warehouse, each with its fix."""

import secrets
from collections.abc import Callable
from importlib.metadata import version

from batch.doctor.check import Check, failed
from batch.lake.catalog import Catalog, catalog_errors
from batch.lake.config import LakeConfig
from batch.lake.jars import needed_jars, require_java
from batch.lake.session import Spark, require_extra, spark_errors
from batch.lake.tables import SCHEMA_VERSION, VERSION_PROPERTY
from stream.errors import AnalyticsError


def examine(config: LakeConfig) -> list[Check]:
    """Look at packages, Java, libraries, catalog, the tables' storage and Spark; starts Spark for it.

    Never raises for what it finds; what cannot be looked at without something else that fails is left out.
    """
    checks = [_tried("packages", _packages)]
    if checks[0].level == "fail":
        return checks
    if config.spark_remote is None:
        checks += [_tried("Java", _java), _tried("Spark's libraries", lambda: _jars(config))]
    checks += [_tried("catalog", lambda: _catalog(config)), _tried("tables", lambda: _storage(config))]
    if all(check.level != "fail" for check in checks):
        checks.append(_tried("Spark", lambda: _spark(config)))
    return checks


def _tried(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except AnalyticsError as error:
        return failed(name, error)


def _packages() -> Check:
    require_extra()
    names = ("pyspark", "pyiceberg", "dbt-spark")
    return Check("packages", "ok", ", ".join(f"{name} {version(name)}" for name in names))


def _java() -> Check:
    return Check("Java", "ok", f"version {require_java()}")


def _jars(config: LakeConfig) -> Check:
    jars = needed_jars(config.scheme)
    missing = [jar.file_name for jar in jars if not (config.jars_dir / jar.file_name).exists()]
    if not missing:
        return Check("Spark's libraries", "ok", f"{', '.join(jar.file_name for jar in jars)}")
    return Check(
        "Spark's libraries",
        "warn",
        f"{', '.join(missing)} not in `{config.jars_dir}` yet",
        "nothing: Maven fetches them when Spark starts first; without a network, put them there",
    )


def _catalog(config: LakeConfig) -> Check:
    catalog = Catalog(config)
    documents = catalog.table("raw.documents")
    if documents is None:
        return Check("catalog", "ok", "answers; has no tables yet, the first `load` makes them")
    found = int(documents.properties.get(VERSION_PROPERTY, SCHEMA_VERSION))
    if found > SCHEMA_VERSION:
        return Check(
            "catalog",
            "fail",
            f"its tables have schema version {found}, this program knows {SCHEMA_VERSION}",
            "run the newer version of claude-analytics that made them",
        )
    return Check("catalog", "ok", f"answers; schema version {found} of its tables")


def _storage(config: LakeConfig) -> Check:
    """Write an object and remove it, as PyIceberg would; where a REST catalog has put a table, if it has."""
    from pyiceberg.io import load_file_io  # noqa: PLC0415 - see the package's docstring

    table = None if config.is_jdbc else Catalog(config).table("raw.documents")
    if table is None and not config.is_jdbc:
        return Check("tables", "ok", "the catalog says where they are, once the first `load` makes them")
    location = table.location() if table else config.location
    url = f"{location}/.probe-{secrets.token_hex(4)}"
    with catalog_errors():
        storage = table.io if table else load_file_io(config.pyiceberg_settings(), location)
        with storage.new_output(url).create() as file:
            file.write(b"probe")
        storage.delete(url)
    return Check("tables", "ok", f"`{location}` can be written")


def _spark(config: LakeConfig) -> Check:
    spark = Spark(config)
    try:
        session = spark.session()
        with spark_errors("ask Spark"):
            text = f"version {session.version} at {config.spark_remote or config.spark_master}"
            spark.rows("show namespaces in lake", doing="reach the catalog from Spark")
            if config.spark_remote is None:
                # The driver is among them; with a cluster the others are its executors.
                status = session.sparkContext._jsc.sc().getExecutorMemoryStatus()  # noqa: SLF001 - no other way
                text += f", {max(int(status.size()) - 1, 0)} executors beside the driver"
    finally:
        spark.stop()
    return Check("Spark", "ok", text)
