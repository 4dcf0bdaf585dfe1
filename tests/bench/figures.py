"""The figures of a run of the benches, for one table at its end: what is to be reached, what was measured."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tests.bench.machine import load, processor


@dataclass
class Figures:
    """Collects figures; medians are shown, and all values beside them."""

    _rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(
        self, figure: str, target: str, values: Sequence[float], unit: str = "", *, digits: int = 1
    ) -> None:
        """Take a figure in.

        Args:
            figure: What was measured.
            target: What is to be reached, as text; empty without one.
            values: One a round, at least one.
            unit: Of the values; none for ratios.
            digits: Shown behind the point.
        """
        median = f"{statistics.median(values):,.{digits}f} {unit}".rstrip()
        everything = ", ".join(f"{value:,.{digits}f}" for value in values)
        self._rows.append((figure, target, median, everything, load()))

    def print(self) -> None:
        """Show the table, if there is anything in it."""
        if not self._rows:
            return
        table = Table("figure", "to reach", "median", "all", "", title=f"figures, by {processor()}")
        for row in self._rows:
            table.add_row(*row)
        Console(width=150).print(table)


FIGURES = Figures()
"""Of this run; the table is printed when it ends (`conftest.py`)."""
