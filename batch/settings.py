"""Settings of the batch runner, and all groups together."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from stream.errors import mask_secrets
from stream.settings import (
    DataSettings,
    DuckDBSettings,
    LoggingSettings,
    MetricsSettings,
    MongoSettings,
    Positive,
    RedactionSettings,
    SettingsGroup,
    StreamSettings,
    read,
)

_CRON_FIELDS = 5
_EVERY = re.compile(r"(?P<number>[1-9][0-9]?)(?P<unit>[mh])")
_FREQUENT_MINUTES = 15


class PipelineSettings(SettingsGroup):
    """The hourly cycle."""

    reporting_timezone: str = Field(
        "UTC", validation_alias="REPORTING_TIMEZONE", description="time zone of days and hours in the marts"
    )
    project_aliases: Annotated[dict[str, str], NoDecode] = Field(
        {},
        validation_alias="PROJECT_ALIASES",
        description="JSON object: folder → project that it and all below it count for",
    )
    usage_week_start_hour: int = Field(
        0,
        ge=0,
        le=167,
        validation_alias="USAGE_WEEK_START_HOUR",
        description="hour at which a subscription's week begins: 0 (Monday 00:00, REPORTING_TIMEZONE) to 167",
    )
    load_retries: int = Field(
        3,
        ge=0,
        validation_alias="PIPELINE_LOAD_RETRIES",
        description="retries of the steps extract and load",
    )
    load_retry_seconds: float = Field(
        30,
        ge=0,
        validation_alias="PIPELINE_LOAD_RETRY_SECONDS",
        description="delay before the first of these retries; doubles each time",
    )
    transform_retries: int = Field(
        2, ge=0, validation_alias="PIPELINE_TRANSFORM_RETRIES", description="retries of the dbt build"
    )
    transform_retry_seconds: float = Field(
        60,
        ge=0,
        validation_alias="PIPELINE_TRANSFORM_RETRY_SECONDS",
        description="delay before the first of these retries; doubles each time",
    )
    keep_builds: Positive = Field(
        5,
        validation_alias="PUBLISH_KEEP_BUILDS",
        description="earlier published builds to keep, for running queries and for `publish --build`",
    )
    hourly: str = Field(
        "0 * * * *",
        validation_alias="SCHEDULE_HOURLY",
        description="cron expression of the pipeline runs of `schedule`",
    )
    every: str | None = Field(
        None,
        validation_alias="SCHEDULE_EVERY",
        description="how often `schedule` runs it, in place of SCHEDULE_HOURLY: `1m` to `30m`, `1h` to `12h`",
    )
    daily: str = Field(
        "0 2 * * *",
        validation_alias="SCHEDULE_DAILY",
        description="cron expression of its runs with a full refresh",
    )
    schedule_timezone: str = Field(
        "UTC", validation_alias="SCHEDULE_TIMEZONE", description="time zone of both cron expressions"
    )
    metrics_port: int = Field(
        9466,
        ge=0,
        le=65535,
        validation_alias="SCHEDULE_METRICS_PORT",
        description="port of the metrics endpoint of `schedule`; 0: off",
    )
    alert_webhook: SecretStr | None = Field(
        None,
        validation_alias="ALERT_WEBHOOK_URL",
        description="Slack-compatible webhook for failed and recovered runs",
    )
    alert_command: str | None = Field(
        None,
        validation_alias="ALERT_COMMAND",
        description="command run for failed and recovered runs, details in its environment; no shell",
    )

    @property
    def runs_at(self) -> str:
        """When the pipeline runs, as a cron expression: by `every` if that is set."""
        if self.every is None:
            return self.hourly
        number, unit = int(self.every[:-1]), self.every[-1]
        return f"*/{number} * * * *" if unit == "m" else f"0 */{number} * * *"

    @property
    def is_frequent(self) -> bool:
        """Whether a run comes so soon after the other that it pays to keep a process for them."""
        return self.every is not None and self.every[-1] == "m" and int(self.every[:-1]) <= _FREQUENT_MINUTES

    @field_validator("every")
    @classmethod
    def _divides_hour_or_day(cls, value: str | None) -> str | None:
        if value is None:
            return None
        found = _EVERY.fullmatch(value)
        if found:
            number, whole = int(found["number"]), {"m": 60, "h": 24}[found["unit"]]
            if number < whole and whole % number == 0:
                return value
        raise ValueError("must be minutes that divide an hour, or hours that divide a day: `1m`, `15m`, `1h`")

    @field_validator("hourly", "daily")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        if len(value.split()) != _CRON_FIELDS:
            raise ValueError("must have five fields: minute, hour, day, month, day of week")
        return value

    @field_validator("project_aliases", mode="before")
    @classmethod
    def _name_folders(cls, value: object) -> dict[str, str]:
        try:
            entries: Any = json.loads(value) if isinstance(value, str) else value
            aliases = {_folder(folder): project.strip() for folder, project in entries.items()}
        except (ValueError, AttributeError):
            raise ValueError(
                'must be a JSON object, e.g. {"/home/ana/checkouts/1": "/home/ana/shop"}'
            ) from None
        if not all(folder and project for folder, project in aliases.items()):
            raise ValueError("must name a folder and its project in each entry")
        return aliases

    @field_validator("reporting_timezone", "schedule_timezone")
    @classmethod
    def _is_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a name of the time zone database, e.g. Europe/Berlin") from None
        return value

    @field_validator("alert_webhook")
    @classmethod
    def _is_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("https://", "http://")):
            raise ValueError("must begin with https:// or http://")
        return value


class BackfillSettings(SettingsGroup):
    """The historical load."""

    claim_seconds: float = Field(
        60,
        gt=0,
        validation_alias="BACKFILL_CLAIM_SECONDS",
        description="seconds without a sign of life after which another process takes a range over, where "
        "DATA_URL is an object store",
    )

    workers: Positive | None = Field(
        None,
        validation_alias="BACKFILL_WORKERS",
        description="ranges read in parallel; unset: one per core",
    )
    range_size_bytes: Positive = Field(
        64_000_000,
        validation_alias="BACKFILL_RANGE_BYTES",
        description="approximate BSON bytes per range: what each worker reads again after a crash",
    )
    memory_limit: str = Field(
        "256MB",
        validation_alias="BACKFILL_DUCKDB_MEMORY_LIMIT",
        description="memory DuckDB may use in a backfill",
    )
    metrics_port: int = Field(
        9465,
        ge=0,
        le=65535,
        validation_alias="BACKFILL_METRICS_PORT",
        description="port of the metrics endpoint of a running backfill; 0: off",
    )


def properties_of(value: SecretStr | None) -> dict[str, str]:
    """Return what CATALOG_PROPERTIES says; nothing if it is not set.

    Raises:
        ValueError: It is no JSON object of texts; without the value, which may be secret.
    """
    try:
        found = json.loads(value.get_secret_value()) if value else {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise ValueError("must be a JSON object whose values are texts")
    return found


class LakeSettings(SettingsGroup):
    """The warehouse past one machine: Iceberg tables that Spark writes."""

    warehouse: Literal["duckdb", "iceberg"] = Field(
        "duckdb",
        validation_alias="WAREHOUSE",
        description="where rows are loaded and marts are built: one `duckdb` file, or `iceberg` tables "
        "through Spark (docs/lake.md)",
    )
    catalog_uri: SecretStr | None = Field(
        None,
        validation_alias="CATALOG_URI",
        description="catalog of the Iceberg tables: `postgresql://…`, or `https://…` of a REST catalog",
    )
    catalog_warehouse: str | None = Field(
        None,
        validation_alias="CATALOG_WAREHOUSE",
        description="what a REST catalog calls the place of the tables; unset: its URL below DATA_URL",
    )
    catalog_properties: SecretStr | None = Field(
        None,
        validation_alias="CATALOG_PROPERTIES",
        description="more for a REST catalog, credentials too: a JSON object in the names that PyIceberg and "
        'Spark share, as `{"credential": "id:secret"}` (docs/lake.md)',
    )
    spark_master: str = Field(
        "local[*]",
        validation_alias="SPARK_MASTER",
        description="where Spark runs its tasks: `local[*]`, `spark://…` or `k8s://…`",
    )
    spark_remote: str | None = Field(
        None,
        validation_alias="SPARK_REMOTE",
        description="address of a Spark Connect server (`sc://…`), used in place of SPARK_MASTER",
    )
    driver_memory: str = Field(
        "2g",
        validation_alias="SPARK_DRIVER_MEMORY",
        description="memory of Spark's driver; of its executors with a `local` SPARK_MASTER, too",
    )
    jars_dir: Path | None = Field(
        None,
        validation_alias="LAKE_JARS_DIR",
        description="folder that Spark's libraries are kept in; unset: `~/.cache/claude-analytics/jars`",
    )

    serving_max_rows: Positive = Field(
        20_000_000,
        validation_alias="LAKE_SERVING_MAX_ROWS",
        description="larger marts in Iceberg are left out of `serving/`, which is for one machine",
    )

    @property
    def is_iceberg(self) -> bool:
        """Whether Spark and Iceberg are the warehouse."""
        return self.warehouse == "iceberg"

    @field_validator("catalog_uri")
    @classmethod
    def _is_known_catalog(cls, value: SecretStr | None) -> SecretStr | None:
        known = ("postgresql://", "https://", "http://")
        if value is not None and not value.get_secret_value().startswith(known):
            raise ValueError("must begin with postgresql://, https:// or http://")
        return value

    @field_validator("catalog_properties")
    @classmethod
    def _are_properties(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            properties_of(value)
        return value

    @field_validator("spark_remote")
    @classmethod
    def _is_spark_connect(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("sc://"):
            raise ValueError("must begin with sc://")
        return value


class MaintenanceSettings(SettingsGroup):
    """What becomes of old files; the last step of a run."""

    grace_seconds: float = Field(
        3600,
        ge=0,
        validation_alias="LANDING_GRACE_SECONDS",
        description="seconds to keep landed files after a merge; longer than your longest query on `live`",
    )
    retention_days: Positive | None = Field(
        None,
        validation_alias="LANDING_RETENTION_DAYS",
        description="delete loaded landed files after this many days; unset: keep for ever",
    )


class DbtSettings(SettingsGroup):
    """The dbt build."""

    target: str = Field("dev", validation_alias="DBT_TARGET", description="target in `dbt/profiles.yml`")
    model_prices_file: Path | None = Field(
        None,
        validation_alias="MODEL_PRICES_FILE",
        description="TOML file with own prices by model and date, a discount, subscriptions (docs/prices.md)",
    )


class GreatExpectationsSettings(SettingsGroup):
    """The gate before publishing."""

    volume_ratio: float = Field(
        0.5,
        ge=0,
        le=1,
        validation_alias="GX_VOLUME_RATIO",
        description="do not publish below this share of the documents of recent runs; 0: no limit",
    )


class MetabaseSettings(SettingsGroup):
    """The dashboards in Metabase."""

    url: str = Field(
        "http://localhost:3000", validation_alias="METABASE_URL", description="address of Metabase"
    )
    user: str | None = Field(
        None,
        validation_alias="METABASE_USER",
        description="e-mail address of an administrator; a new Metabase is set up with this account",
    )
    password: SecretStr | None = Field(
        None, validation_alias="METABASE_PASSWORD", description="password of that account"
    )
    api_key: SecretStr | None = Field(
        None,
        validation_alias="METABASE_API_KEY",
        description="API key of the group Administrators, instead of user and password",
    )
    memory_limit: str = Field(
        "1GB",
        validation_alias="METABASE_DUCKDB_MEMORY_LIMIT",
        description="memory DuckDB may use in Metabase",
    )
    temp_directory: str = Field(
        "/tmp/claude-analytics",  # noqa: S108 - of Metabase's machine; DuckDB makes files of its own there
        validation_alias="METABASE_DUCKDB_TEMP_DIRECTORY",
        description="folder that DuckDB inside Metabase spills to; Metabase's user must be able to write it",
    )
    wait_seconds: float = Field(
        120,
        ge=0,
        validation_alias="METABASE_WAIT_SECONDS",
        description="seconds `metabase sync` waits for Metabase to start",
    )

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// or http://")
        return value


class PrefectSettings(SettingsGroup):
    """Runs on Prefect in place of `schedule`; handed on to Prefect, which reads them from its environment."""

    api_url: str | None = Field(
        None,
        validation_alias="PREFECT_API_URL",
        description="address of the Prefect server; unset, the one of Prefect's own profile",
    )
    api_key: SecretStr | None = Field(
        None, validation_alias="PREFECT_API_KEY", description="key for a Prefect server that asks for one"
    )

    def environment(self) -> dict[str, str]:
        """Return what Prefect has to find in its environment."""
        key = self.api_key.get_secret_value() if self.api_key else None
        given = {"PREFECT_API_URL": self.api_url, "PREFECT_API_KEY": key}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Setting:
    """One setting, for people to read.

    Attributes:
        name: Of its environment variable.
        value: As in force; passwords masked, empty if unset.
        default: As built in.
        origin: `set` or `default`.
        description: What it is for.
    """

    name: str
    value: str
    default: str
    origin: str
    description: str


@dataclass(frozen=True)
class Settings:
    """All groups; made once, by the command line."""

    mongo: MongoSettings
    data: DataSettings
    duckdb: DuckDBSettings
    stream: StreamSettings
    backfill: BackfillSettings
    pipeline: PipelineSettings
    maintenance: MaintenanceSettings
    lake: LakeSettings
    dbt: DbtSettings
    great_expectations: GreatExpectationsSettings
    metabase: MetabaseSettings
    prefect: PrefectSettings
    metrics: MetricsSettings
    redaction: RedactionSettings
    logging: LoggingSettings

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read every group.

        Raises:
            SettingsError: A value does not fit.
        """
        return cls(
            mongo=read(MongoSettings),
            data=read(DataSettings),
            duckdb=read(DuckDBSettings),
            stream=read(StreamSettings),
            backfill=read(BackfillSettings),
            pipeline=read(PipelineSettings),
            maintenance=read(MaintenanceSettings),
            lake=read(LakeSettings),
            dbt=read(DbtSettings),
            great_expectations=read(GreatExpectationsSettings),
            metabase=read(MetabaseSettings),
            prefect=read(PrefectSettings),
            metrics=read(MetricsSettings),
            redaction=read(RedactionSettings),
            logging=read(LoggingSettings),
        )

    def replace(self, **groups: SettingsGroup) -> "Settings":
        """Return a copy with other groups."""
        return replace(self, **groups)  # type: ignore[arg-type]

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file."""
        return self.duckdb.path or self.data.data_dir / "analytics.duckdb"

    def describe(self) -> list[Setting]:
        """List every setting, group by group."""
        return [
            Setting(
                name=str(info.validation_alias),
                value=_shown(getattr(group, field)),
                default=_shown(info.default),
                origin="set" if field in group.model_fields_set else "default",
                description=info.description or "",
            )
            for group in vars(self).values()
            for field, info in type(group).model_fields.items()
        ]


def _folder(path: str) -> str:
    """Return a folder as the marts spell it: forward slashes, none at the end, a capital drive letter."""
    folder = path.strip().replace("\\", "/").rstrip("/")
    return folder[0].upper() + folder[1:] if folder[1:2] == ":" else folder


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value)
    if not isinstance(value, SecretStr):
        return mask_secrets(str(value))
    secret = value.get_secret_value()
    # Of a connection string people need the hosts; of any other secret nothing.
    return mask_secrets(secret) if secret.startswith(("mongodb", "postgresql")) else "***"
