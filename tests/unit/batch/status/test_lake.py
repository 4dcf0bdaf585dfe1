"""What the metadata of an Iceberg table says about its rows."""

import pytest

from batch.status.lake import live_rows


@pytest.mark.parametrize(
    ("summary", "rows"),
    [
        ({}, 0),
        ({"total-records": "1000"}, 1000),
        ({"total-records": "1000", "total-position-deletes": "10"}, 990),
    ],
    ids=["nothing was written", "nothing was removed", "rows are marked as gone"],
)
def test_rows_that_are_marked_as_gone_do_not_count(summary: dict[str, str], rows: int) -> None:
    """A file keeps them until it is written again."""
    assert rows == live_rows(summary)
