"""Which commands serve which warehouse; the others refuse before they touch anything."""

from batch.settings import LakeSettings
from stream.errors import SettingsError
from stream.settings import read

_DUCKDB_ALONE = frozenset({"demo", "docs"})
"""Files of commands that do not work with WAREHOUSE=iceberg."""


def require_duckdb(what: str, settings: LakeSettings) -> None:
    """Refuse a part of a command that knows DuckDB only.

    Args:
        what: As a person writes it.
        settings: In force.

    Raises:
        SettingsError: WAREHOUSE=iceberg.
    """
    if settings.is_iceberg:
        raise SettingsError(
            f"`{what}` does not work with WAREHOUSE=iceberg",
            hint="docs/lake.md lists what does; with WAREHOUSE=duckdb every command works",
        )


def require_served(module: str) -> None:
    """Refuse a command that cannot work with the warehouse that is set.

    Args:
        module: The command's file.

    Raises:
        SettingsError: WAREHOUSE=iceberg, and the command knows DuckDB only.
    """
    if module in _DUCKDB_ALONE:
        require_duckdb(module.rstrip("_").replace("_", "-"), read(LakeSettings))
