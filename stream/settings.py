"""Settings of the stream worker, read from the environment or `.env`; grouped by what they configure."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from stream.core.collection_event import OnDrop, OnHistoryLost
from stream.errors import SettingsError, mask_secrets

_INTERNAL_DATABASES = frozenset({"admin", "config", "local"})
_MAX_DATABASE_BYTES = 63
_NOT_IN_DATABASE = frozenset('/\\. "$\0')
_NOT_IN_COLLECTION = frozenset("$\0")
_PATTERN_CHARACTERS = frozenset("*?[]")
"""DuckDB takes a path with one of them for a pattern of many."""

Positive = Annotated[int, Field(ge=1)]
Group = TypeVar("Group", bound="SettingsGroup")


class SettingsGroup(BaseSettings):
    """Settings from the environment or `.env`, each as `NAME` or as `NAME_FILE`, a file with the value.

    Files are how container engines and systemd hand secrets over: an environment is shown to whoever may
    look at the process.
    """

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add the files that `NAME_FILE` names."""
        del file_secret_settings
        return init_settings, env_settings, dotenv_settings, _NamedFiles(settings_cls)


class _NamedFiles(EnvSettingsSource):
    """Values in files that the environment or `.env` names."""

    def __call__(self) -> dict[str, str]:
        """Return the values by name of their settings.

        Raises:
            SettingsError: A file cannot be read, or the setting has a value of its own.
        """
        names = [str(field.validation_alias) for field in self.settings_cls.model_fields.values()]
        given = self._given()
        return {name: _content(name, given) for name in names if given.get(f"{name}_file".lower())}

    def _given(self) -> dict[str, str | None]:
        """Return all variables by their name in lower case; the environment counts more than `.env`."""
        from_file = DotEnvSettingsSource(self.settings_cls).env_vars
        return {**from_file, **self.env_vars}


def _content(name: str, given: Mapping[str, str | None]) -> str:
    path = Path(given[f"{name}_file".lower()] or "")
    if given.get(name.lower()) is not None:
        raise SettingsError(
            f"`{name}` and `{name}_FILE` are both set", hint=f"keep one of them; `{name}_FILE` is `{path}`"
        )
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"cannot read the file that `{name}_FILE` names, `{path}`: {error}",
            hint="let it hold the value and nothing else, readable for this user",
        ) from error


def _require_plain(path: Path | None) -> Path | None:
    """Refuse a path that DuckDB would take for a pattern."""
    if path is not None and _PATTERN_CHARACTERS & set(str(path.absolute())):
        raise ValueError(f"`{path.absolute()}` must not hold any of * ? [ ]: DuckDB takes them for a pattern")
    return path


class MongoSettings(SettingsGroup):
    """Where the conversation logs are."""

    uri: SecretStr = Field(
        SecretStr("mongodb://localhost:27017"),
        validation_alias="MONGO_URI",
        description="connection string of the replica set or sharded cluster to read",
    )
    database: str = Field(
        "claude_logs", validation_alias="MONGO_DB", description="database that holds the logs"
    )
    collection: str = Field(
        "conversations",
        validation_alias="MONGO_COLLECTION",
        description="collection that holds the logs, one document per line",
    )
    connect_timeout_seconds: float = Field(
        10,
        gt=0,
        validation_alias="MONGO_CONNECT_TIMEOUT_SECONDS",
        description="seconds to wait for a reachable server before a command fails",
    )

    @field_validator("uri")
    @classmethod
    def _has_scheme(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must begin with mongodb:// or mongodb+srv://")
        return value

    @field_validator("database")
    @classmethod
    def _can_be_a_database(cls, value: str) -> str:
        if value in _INTERNAL_DATABASES:
            raise ValueError("is a database of MongoDB's own")
        if not value or len(value.encode()) > _MAX_DATABASE_BYTES or _NOT_IN_DATABASE & set(value):
            raise ValueError('is no name of a database: 1 to 63 bytes without any of / \\ . " $ and space')
        return value

    @field_validator("collection")
    @classmethod
    def _can_be_a_collection(cls, value: str) -> str:
        if value.startswith("system."):
            raise ValueError("is a collection of MongoDB's own")
        if not value or _NOT_IN_COLLECTION & set(value) or value.startswith(".") or value.endswith("."):
            raise ValueError("is no name of a collection: not empty, without $, no dot at either end")
        return value

    @property
    def namespace(self) -> str:
        """`<database>.<collection>`."""
        return f"{self.database}.{self.collection}"


_REMOTE = ("s3://", "gs://", "az://")


class DataSettings(SettingsGroup):
    """Where files go."""

    data_dir: Path = Field(
        Path("data"),
        validation_alias="DATA_DIR",
        description="folder of the landing zone, dead letters and published builds",
    )
    serving_group: str | None = Field(
        None,
        validation_alias="SERVING_GROUP",
        description="group (name or number) that may read `serving/`; unset: only the user that runs this",
    )

    url: str | None = Field(
        None,
        validation_alias="DATA_URL",
        description="where landing zone and dead letters are kept: a folder, or `s3://`, `gs://` or `az://` "
        "with a bucket (docs/scale.md); unset: DATA_DIR",
    )

    _is_plain = field_validator("data_dir")(_require_plain)

    @field_validator("url")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if not value or "://" not in value:
            _require_plain(Path(value) if value else None)
            return value or None
        rest = value.partition("://")[2]
        if not value.startswith(_REMOTE) or not rest.strip("/"):
            raise ValueError("must be a folder, or begin with s3://, gs:// or az:// and name a bucket")
        if {"@", "?", "#"} & set(rest):
            raise ValueError("must hold no credentials: they are found where the cloud's own tools look")
        return value.rstrip("/")

    @property
    def is_remote(self) -> bool:
        """Whether the landing zone is in an object store."""
        return self.url is not None and "://" in self.url

    @property
    def landing_dir(self) -> Path:
        """The landing zone: one folder a lane."""
        return self._landed_root / "landing"

    @property
    def dead_letter_dir(self) -> Path:
        """Rejected documents: one folder a lane."""
        return self._landed_root / "dead_letter"

    @property
    def _landed_root(self) -> Path:
        return Path(self.url) if self.url and not self.is_remote else self.data_dir

    @property
    def serving_dir(self) -> Path:
        """Published builds, and the views that readers open."""
        return self.data_dir / "serving"


class DuckDBSettings(SettingsGroup):
    """The warehouse."""

    path: Path | None = Field(
        None,
        validation_alias="DUCKDB_PATH",
        description="DuckDB file of the warehouse; unset: `<DATA_DIR>/analytics.duckdb`",
    )
    _is_plain = field_validator("path")(_require_plain)

    threads: Positive | None = Field(
        None,
        validation_alias="DUCKDB_THREADS",
        description="threads of DuckDB; unset: one per core, beside stream and backfill for every second one",
    )
    memory_limit: str = Field(
        "1GB",
        validation_alias="DUCKDB_MEMORY_LIMIT",
        description="memory DuckDB may use before it spills to disk, outside stream and backfill",
    )
    lease_timeout_seconds: float = Field(
        600,
        ge=0,
        validation_alias="DUCKDB_LEASE_TIMEOUT_SECONDS",
        description="seconds to wait for another process that holds the warehouse lock",
    )


_OBJECT_WINDOW = {
    "max_age_seconds": 10.0,
    "max_rows": 80_000,
    "max_size_bytes": 32_000_000,
    "idle_position_seconds": 60.0,
}
"""8,640 objects a day at most from a worker with little to do, in place of 43,200."""


class StreamSettings(SettingsGroup):
    """The always-on worker."""

    batch_size: Positive = Field(
        10_000,
        validation_alias="BATCH_SIZE",
        description="maximum documents per batch requested from MongoDB",
    )
    max_rows: Positive = Field(
        20_000,
        validation_alias="STREAM_MAX_ROWS",
        description="close a micro-batch at this many rows; 80000 if unset and DATA_URL is an object store",
    )
    max_size_bytes: Positive = Field(
        8_000_000,
        validation_alias="STREAM_MAX_BYTES",
        description="close a micro-batch at this many bytes of BSON; 32000000 if unset and DATA_URL is an "
        "object store",
    )
    max_age_seconds: float = Field(
        2,
        gt=0,
        validation_alias="STREAM_MAX_AGE_SECONDS",
        description="close a micro-batch this long after its first row; bounds how stale `raw` can be; 10 if "
        "unset and DATA_URL is an object store",
    )
    memory_limit: str = Field(
        "384MB",
        validation_alias="STREAM_DUCKDB_MEMORY_LIMIT",
        description="memory DuckDB may use in the stream worker; the default suffices for 16 MB documents",
    )
    max_dead_letters_per_minute: int = Field(
        10_000,
        ge=0,
        validation_alias="STREAM_MAX_DEAD_LETTERS_PER_MINUTE",
        description="stop above this many dead letters in a minute; 0: unlimited",
    )
    idle_position_seconds: float = Field(
        10,
        gt=0,
        validation_alias="STREAM_IDLE_POSITION_SECONDS",
        description="interval at which the position is saved while no changes arrive; 60 if unset and "
        "DATA_URL is an object store",
    )

    partitions: Positive = Field(
        1,
        le=256,
        validation_alias="STREAM_PARTITIONS",
        description="workers that share the changes by a hash of the document's key (docs/scale.md)",
    )
    on_drop: OnDrop = Field(
        "delete",
        validation_alias="STREAM_ON_DROP",
        description="when the collection is dropped or renamed: `delete` its rows, `keep` them, or `stop` "
        "before the event",
    )
    on_history_lost: OnHistoryLost = Field(
        "stop",
        validation_alias="STREAM_ON_HISTORY_LOST",
        description="when changes have left the oplog unread: `stop`, or `resnapshot` (read the whole "
        "collection again)",
    )

    def for_objects(self) -> "StreamSettings":
        """Return the same with larger windows, where nobody has set them: each is an object."""
        return self.model_copy(
            update={name: size for name, size in _OBJECT_WINDOW.items() if name not in self.model_fields_set}
        )

    @property
    def max_age(self) -> timedelta:
        """`max_age_seconds` as a duration."""
        return timedelta(seconds=self.max_age_seconds)


class MetricsSettings(SettingsGroup):
    """Where Prometheus finds the process."""

    host: str = Field(
        "127.0.0.1", validation_alias="METRICS_HOST", description="address the metrics endpoint listens on"
    )
    port: int = Field(
        9464,
        ge=0,
        le=65535,
        validation_alias="METRICS_PORT",
        description="port of the metrics endpoint of `stream`; 0: off",
    )
    token: SecretStr | None = Field(
        None,
        min_length=8,
        validation_alias="METRICS_TOKEN",
        description="bearer token required to scrape; unset: no authentication",
    )


class RedactionSettings(SettingsGroup):
    """What is taken out of documents before they become rows."""

    redact: Literal["off", "secrets"] = Field(
        "off",
        validation_alias="REDACT",
        description="`secrets`: replace keys, tokens, passwords in URLs and e-mail addresses before anything "
        "is written",
    )
    key: SecretStr | None = Field(
        None,
        validation_alias="REDACT_KEY",
        description="key of the hash that replaces a secret; unset: short secrets can be guessed",
    )


class LoggingSettings(SettingsGroup):
    """How log lines look."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        validation_alias="LOG_LEVEL",
        description="least severe level to log: `debug`, `info`, `warning` or `error`",
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto",
        validation_alias="LOG_FORMAT",
        description="`console`, `json`, or `auto`: console on a terminal, JSON otherwise",
    )

    @field_validator("level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


def read(group: type[Group]) -> Group:
    """Read one group of settings from the environment and `.env`.

    Raises:
        SettingsError: A value does not fit, every wrong one is named, none is printed if it is secret; or
            `.env` cannot be read.
    """
    try:
        return group()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"cannot read `.env` of the working folder: {error}",
            hint="make it a text file that this user may read, or run this in another folder",
        ) from error
    except ValidationError as error:
        problems = "; ".join(
            f"`{'.'.join(str(part) for part in problem['loc'])}`: {problem['msg'].lower()}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(
            mask_secrets(f"cannot use the settings: {problems}"),
            hint="correct them in the environment or in `.env`; `claude-analytics config` shows them",
        ) from None
