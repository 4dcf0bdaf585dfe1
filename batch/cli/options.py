"""Options that several commands have."""

from datetime import UTC, datetime
from typing import Annotated

import typer


def instant(text: str) -> datetime:
    """Read a date or time; without an offset it is UTC.

    Raises:
        BadParameter: It is neither.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write a date or time as in ISO 8601, e.g. 2026-01-31") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=instant,
        metavar="DATE",
        help="Only documents from this date or time on (ISO 8601; UTC unless it has an offset).",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="Ranges to read in parallel; default: one per core."),
]
FullRefresh = Annotated[
    bool,
    typer.Option("--full-refresh", help="Rebuild every model from scratch, not only changed conversations."),
]
