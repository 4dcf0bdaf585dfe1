"""Where the tables are and how their catalog is reached: one answer, in Spark's words and in PyIceberg's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from batch.lake.clouds import pyiceberg_storage, spark_storage
from stream.errors import SettingsError

CATALOG = "lake"
"""Of the catalog, in Spark and in PyIceberg: tables of a JDBC catalog are found under this name alone."""

_PREFIX = f"spark.sql.catalog.{CATALOG}."
_SECRET = re.compile(r"password|token|account[.]key")
_HIDDEN = rf"(?i)secret|password|token|access[.]?key|^{re.escape(_PREFIX)}"
"""Spark's own pattern, and everything that a catalog is told."""
EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
"""What Spark must be started with; a Spark Connect server, too."""


@dataclass(frozen=True)
class LakeConfig:
    """Everything that Spark and PyIceberg have to know.

    Attributes:
        catalog_uri: `postgresql://…` or `http(s)://…`.
        location: URL of the folder of all tables: `file:///…`, `s3://…`, `gs://…` or `abfss://…`.
        spark_master: Where tasks run.
        spark_remote: Spark Connect in its place.
        warehouse: What a REST catalog calls the place of the tables; it decides where that is.
        catalog_properties: More of a REST catalog, in the names that PyIceberg and Spark share; secret.
        driver_memory: As Spark writes it.
        jars_dir: Cache of Spark's libraries.
        spark: More settings of Spark, which take the place of those here.
    """

    catalog_uri: SecretStr
    location: str
    spark_master: str = "local[*]"
    spark_remote: str | None = None
    warehouse: str | None = None
    catalog_properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    driver_memory: str = "2g"
    jars_dir: Path = field(default_factory=lambda: Path.home() / ".cache" / "claude-analytics" / "jars")
    spark: dict[str, str] = field(default_factory=dict)

    @property
    def is_jdbc(self) -> bool:
        """Whether the catalog is a PostgreSQL database."""
        return self.catalog_uri.get_secret_value().startswith("postgresql://")

    @property
    def scheme(self) -> str:
        """Of the tables' URLs; a REST catalog decides it, and in S3 unless the log is in another store."""
        scheme = urlsplit(self.location).scheme
        return "s3" if scheme == "file" and not self.is_jdbc else scheme

    @property
    def is_remote(self) -> bool:
        """Whether tables may be in a bucket."""
        return self.scheme != "file"

    def with_jars(self, folder: Path) -> "LakeConfig":
        """Return the same with another cache of Spark's libraries."""
        return replace(self, jars_dir=folder)

    def session_settings(self) -> dict[str, str]:
        """Return what Spark must know when it starts; nothing secret, as `ps` shows it."""
        return {
            "spark.redaction.regex": _HIDDEN,
            # Each job's event holds the session's settings. Of those an event log hides only what Spark has
            # been started with, whatever it was then (Spark's `EventLoggingListener.redactProperties`).
            **dict.fromkeys(self._secret_names(), ""),
            "spark.sql.extensions": EXTENSIONS,
            "spark.driver.memory": self.driver_memory,
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            # What its pages would show is kept in the driver's memory, although nobody sees them.
            "spark.sql.ui.retainedExecutions": "1",
            "spark.ui.retainedJobs": "10",
            "spark.ui.retainedStages": "10",
            "spark.ui.retainedTasks": "100",
            "spark.sql.maxPlanStringLength": "10000",
            "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
            "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
            **self.spark,
        }

    def catalog_settings(self) -> dict[str, str]:
        """Return what a session is given once it runs: the catalog, with its password, and the time zone."""
        settings = {
            _PREFIX.rstrip("."): "org.apache.iceberg.spark.SparkCatalog",
            f"{_PREFIX}warehouse": self.location,
            # Others commit, too: a table is as it is now, not as it was when Spark last looked.
            f"{_PREFIX}cache-enabled": "false",
            "spark.sql.defaultCatalog": CATALOG,
            "spark.sql.session.timeZone": "UTC",
        }
        if self.is_jdbc:
            parts = urlsplit(self.catalog_uri.get_secret_value())
            query = f"?{parts.query}" if parts.query else ""
            settings |= {
                f"{_PREFIX}type": "jdbc",
                f"{_PREFIX}uri": f"jdbc:postgresql://{_host(parts.netloc)}{parts.path}{query}",
                f"{_PREFIX}jdbc.user": unquote(parts.username or ""),
                f"{_PREFIX}jdbc.password": unquote(parts.password or ""),
                f"{_PREFIX}jdbc.schema-version": "V1",
            }
        else:
            settings |= {f"{_PREFIX}{name}": value for name, value in self._rest().items()}
        # What a REST catalog was given counts before what the environment says.
        storage = {f"{_PREFIX}{name}": value for name, value in spark_storage(self.scheme).items()}
        return storage | settings

    def pyiceberg_settings(self) -> dict[str, Any]:
        """Return the properties of PyIceberg's catalog."""
        uri = self.catalog_uri.get_secret_value()
        settings = {"warehouse": self.location, **pyiceberg_storage(self.scheme)}
        if self.is_jdbc:
            uri = uri.replace("postgresql://", "postgresql+psycopg2://", 1)
            # Connections are looked at before they are used: the server may have been started again.
            kept = {"init_catalog_tables": "false", "pool_pre_ping": "true"}
            return settings | {"type": "sql", "uri": uri} | kept
        return settings | self._rest()

    def _secret_names(self) -> list[str]:
        """Return the catalog's settings that nobody may see, all that a REST catalog is told among them."""
        rest = {_PREFIX + name for name in self.catalog_properties}
        return [name for name in self.catalog_settings() if name in rest or _SECRET.search(name)]

    def _rest(self) -> dict[str, str]:
        """Return what both clients are told of a REST catalog."""
        uri = self.catalog_uri.get_secret_value()
        chosen = {"warehouse": self.warehouse or self.location}
        if {"credential", "token"} & self.catalog_properties.keys():
            # What both take for it unasked, one of them with a warning.
            chosen["oauth2-server-uri"] = f"{uri.rstrip('/')}/v1/oauth/tokens"
        return {**chosen, **self.catalog_properties, "type": "rest", "uri": uri}


def require_catalog_uri(uri: SecretStr | None) -> SecretStr:
    """Return the address of the catalog.

    Raises:
        SettingsError: There is none.
    """
    if uri is None:
        raise SettingsError(
            "WAREHOUSE=iceberg needs a catalog, and `CATALOG_URI` is not set",
            hint="name a PostgreSQL database (`postgresql://user:password@host/database`) or a REST catalog",
        )
    return uri


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2]
