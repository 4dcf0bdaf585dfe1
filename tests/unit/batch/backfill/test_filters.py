"""Filters of a partial backfill: which rows they keep."""

from datetime import UTC, datetime
from typing import Any

import pytest

from batch.backfill.filters import Filters
from stream.core.normalise import normalise
from stream.core.schema import Row, to_table

SINCE, UNTIL = datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)


def row(**fields: Any) -> Row:
    found = normalise({"_id": 1, "type": "user", **fields}, source_version=0, extracted_at=0)
    assert isinstance(found, Row)
    return found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"timestamp": "2026-01-03T00:00:00.000Z"}, True),
        ({"timestamp": "2026-01-02T23:59:59.999Z"}, False),
        ({"timestamp": "2026-01-02T23:59:59-01:00"}, True),
        ({"timestamp": "2026-01-05T00:00:00Z"}, False),
        ({"timestamp": datetime(2026, 1, 4)}, True),  # noqa: DTZ001
        ({"timestamp": 1_767_484_800_000}, True),
        ({"timestamp": "2026-01-04T00:00:00Z", "ingestedAt": datetime(2026, 2, 1)}, True),  # noqa: DTZ001
        ({"ingestedAt": datetime(2026, 1, 4)}, True),  # noqa: DTZ001
        ({"ingestedAt": datetime(2026, 1, 6)}, False),  # noqa: DTZ001
        ({}, False),
    ],
    ids=[
        "its first instant", "just before", "offset into it", "its end", "a date", "milliseconds",
        "timestamp before ingestedAt", "ingestedAt alone", "ingestedAt outside", "neither",
    ],
)  # fmt: skip
def test_a_period_keeps_its_rows(fields: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """Of the first instant on, before the last; by `timestamp`, else by `ingestedAt`."""
    kept = Filters(since=SINCE, until=UNTIL).keep(to_table([row(**fields)]))

    assert expected == bool(kept.num_rows)


def test_no_filter_asks_for_everything() -> None:
    """The query is empty, and all rows are kept."""
    table = to_table([row()])

    assert {} == Filters().to_query()
    assert Filters().is_everything
    assert table is Filters().keep(table)
