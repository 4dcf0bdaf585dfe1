"""Answers as text."""

import pytest

from batch.cli.printing.questions import amount_text
from batch.dashboards.questions import Unit


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (None, "usd", "unknown"),
        (1234.5, "usd", "$1,234.50"),
        (1.5, "hours", "1 h 30 min"),
        (0.125, "share", "12.5%"),
        (12345, "tokens", "12,345"),
    ],
)
def test_a_figure_has_its_unit(value: float | None, unit: Unit, expected: str) -> None:
    """A price that nobody knows is not shown as nothing."""
    assert expected == amount_text(value, unit)
