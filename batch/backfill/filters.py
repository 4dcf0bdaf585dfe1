"""Which documents a partial backfill takes: the query for MongoDB, and the exact rule for rows. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_DAY = timedelta(days=1)
_LIKE_A_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"


@dataclass(frozen=True)
class Filters:
    """What to take; None does not limit.

    A document's instant is its `timestamp`, else its `ingestedAt`; one without either lies in no period.

    Attributes:
        since: First instant, aware.
        until: First instant behind the period, aware.
        project: `projectId`.
    """

    since: datetime | None = None
    until: datetime | None = None
    project: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Filters()

    @property
    def has_period(self) -> bool:
        """Whether instants matter."""
        return self.since is not None or self.until is not None

    def to_query(self) -> dict[str, Any]:
        """Return the query that lets every wanted document pass, and few others.

        Text is compared as text, so a day is added at both ends for offsets from UTC; `keep` is exact.
        """
        query: dict[str, Any] = {}
        if self.project is not None:
            query["projectId"] = self.project
        if self.has_period:
            query["$or"] = [
                *({"timestamp": condition} for condition in self._instants()),
                *({"timestamp": None, "ingestedAt": condition} for condition in self._instants()),
            ]
        return query

    def _instants(self) -> list[dict[str, Any]]:
        """Return one condition for each way to write an instant: BSON compares within a type only."""
        return [
            self._between(lambda instant, days: (instant + days * _DAY).date().isoformat()),
            {"$type": "string", "$not": {"$regex": _LIKE_A_DATE}},
            self._between(lambda instant, _days: instant),
            self._between(lambda instant, _days: round(instant.timestamp() * 1000)),
        ]

    def _between(self, write: Callable[[datetime, int], object]) -> dict[str, Any]:
        condition: dict[str, Any] = {}
        if self.since is not None:
            condition["$gte"] = write(self.since, -1)
        if self.until is not None:
            condition["$lt"] = write(self.until, 2)
        return condition

    def keep(self, table: pa.Table) -> pa.Table:
        """Return the rows of the period.

        Args:
            table: Columns of `LANDING_SCHEMA`.
        """
        if not self.has_period:
            return table
        instants = pc.coalesce(table["timestamp"], table["ingested_at"])
        mask = pc.is_valid(instants)
        if self.since is not None:
            mask = pc.and_(mask, pc.greater_equal(instants, pa.scalar(self.since, instants.type)))
        if self.until is not None:
            mask = pc.and_(mask, pc.less(instants, pa.scalar(self.until, instants.type)))
        return table.filter(pc.fill_null(mask, False))  # noqa: FBT003 - a value, no flag
