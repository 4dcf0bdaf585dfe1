"""Asks the published views without pause until its standard input ends; a script, run by the chaos tests.

    python publish_reader.py <views file> <reconnect: 0 | 1>

Prints one JSON object: queries asked, builds seen, slowest query, mixtures across two tables, and problems:
an error, a mixture within one table, or a table that went back in time.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from tests.support.readers import end_of_input

_ONE_TABLE = "select min(build), max(build), count(*) from marts.fct_sales"
_JOIN = """
select min(fct_sales.build), max(fct_sales.build), count(*), min(dim_items.build), max(dim_items.build)
from marts.fct_sales inner join marts.dim_items using (item)
"""
_LIVE = "select count(*), count(distinct _id) from live.documents"


class Reader:
    """What one process has seen."""

    def __init__(self, path: str, *, reconnects: bool) -> None:
        self._path = path
        self._reconnects = reconnects
        self._open: duckdb.DuckDBPyConnection | None = None
        self._newest = 0
        self.queries = self.mixed = 0
        self.asked = ""
        self.builds: set[int] = set()
        self.slowest_seconds = 0.0
        self.problems: list[str] = []

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._open is None:
            self._open = duckdb.connect(self._path, read_only=True, config={"threads": 1})
        try:
            yield self._open
        finally:
            if self._reconnects:
                self._open.close()
                self._open = None

    def _ask(self, query: str) -> tuple[int, ...]:
        started = time.monotonic()
        self.asked = query
        with self._connection() as connection:
            row = connection.execute(query).fetchone()
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - started)
        self.queries += 1
        return row or ()

    def look(self) -> None:
        """Ask each query once, and judge the answers."""
        try:
            low, high, rows = self._ask(_ONE_TABLE)
            if not low == high == rows - 100 >= self._newest:
                self.problems.append(f"one table: {low} {high} {rows}, before {self._newest}")
            self._newest = high
            self.builds.add(high)
            low, high, rows, other_low, other_high = self._ask(_JOIN)
            if not (low == high == rows - 100 and other_low == other_high):
                self.problems.append(f"join: {low} {high} {rows} {other_low} {other_high}")
            self.mixed += low != other_low
            documents, ids = self._ask(_LIVE)
            if documents != ids:
                self.problems.append(f"live: {documents} rows of {ids} documents")
        except duckdb.Error as error:
            self.problems.append(f"{type(error).__name__}: {error} asking {self.asked}")


def main() -> None:
    """Read until told to stop."""
    reader = Reader(sys.argv[1], reconnects=sys.argv[2] == "1")
    stop = end_of_input()
    while not stop.is_set():
        reader.look()
    told = {
        "queries": reader.queries,
        "builds": len(reader.builds),
        "mixed": reader.mixed,
        "slowest_seconds": round(reader.slowest_seconds, 3),
        "problems": reader.problems[:10],
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
