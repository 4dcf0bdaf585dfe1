"""Settings of the batch runner, and all groups together."""

from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator

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


class PipelineSettings(SettingsGroup):
    """The hourly cycle."""

    reporting_timezone: str = Field(
        "UTC", validation_alias="REPORTING_TIMEZONE", description="time zone of days and hours in the marts"
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

    @field_validator("hourly", "daily")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        if len(value.split()) != _CRON_FIELDS:
            raise ValueError("must have five fields: minute, hour, day, month, day of week")
        return value

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
    dbt: DbtSettings
    great_expectations: GreatExpectationsSettings
    metabase: MetabaseSettings
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
            dbt=read(DbtSettings),
            great_expectations=read(GreatExpectationsSettings),
            metabase=read(MetabaseSettings),
            metrics=read(MetricsSettings),
            redaction=read(RedactionSettings),
            logging=read(LoggingSettings),
        )

    def replace(self, **groups: SettingsGroup) -> "Settings":
        """Give a copy with other groups."""
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


def _shown(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, SecretStr):
        return mask_secrets(str(value))
    secret = value.get_secret_value()
    # Of a connection string people need the hosts; of any other secret nothing.
    return mask_secrets(secret) if secret.startswith("mongodb") else "***"
