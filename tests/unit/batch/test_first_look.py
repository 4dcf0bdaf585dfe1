"""What `demo` ends with."""

import io
from datetime import date

from rich.console import Console

from batch.cli.printing.tables import print_highlights
from batch.dashboards.highlights import Highlights


def test_an_unknown_price_is_not_shown_as_nothing() -> None:
    """A day and a model without any known price say so."""
    output = io.StringIO()
    found = Highlights(
        spend_by_day=[(date(2026, 3, 1), None), (date(2026, 3, 2), 0.5)],
        spend_by_model=[("unheard-of", 3, None)],
        tools=[],
        cost_usd=0.5,
        total_tokens=10,
        active_seconds=60,
        wall_seconds=600,
        lines_added=3,
        lines_removed=1,
    )
    print_highlights(found, Console(file=output, width=200))
    assert output.getvalue().count("price unknown") == 2
    assert "$0.50" in output.getvalue()
    assert "+3 / -1" in output.getvalue()
