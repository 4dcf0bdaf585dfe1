"""What it costs to load documents that changed, beside new ones and beside MERGE. Asserts no time."""

import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from stream import sql
from stream.core.schema import RAW_CONVERSATIONS_COLUMNS, Row
from stream.settings import StreamSettings
from stream.warehouse.load import LoadTransaction
from stream.warehouse.warehouse import Warehouse
from tests.support.landing import delete, land, upsert
from tests.support.maintaining import Yard

pytestmark = pytest.mark.bench

DOCUMENTS = int(os.environ.get("BENCH_DOCUMENTS", "200000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


class History:
    """A warehouse with documents of about 1 kB, in the order of their ids, and changes to it.

    Attributes:
        warehouse: Where they are.
        documents: How many there are.
    """

    def __init__(self, folder: Path) -> None:
        self._yard = Yard(folder)
        self.warehouse = Warehouse(
            folder / "analytics.duckdb",
            landing=self._yard.zone,
            clock=self._yard.clock,
            memory_limit=StreamSettings().memory_limit,
        )
        self.documents = 0
        self._version = 0
        self._chance = random.Random(7)
        while self.documents < DOCUMENTS:
            self._land(self.new(10_000))
        self.warehouse.load(timeout_seconds=5)

    def new(self, rows: int) -> Iterable[Row]:
        """Return documents that were never there."""
        for _ in range(rows):
            self.documents += 1
            yield self._row(self.documents)

    def scattered(self, rows: int) -> Iterable[Row]:
        """Return changes of documents anywhere."""
        return (self._row(number) for number in self._chance.sample(range(1, self.documents), rows))

    def recent(self, rows: int) -> Iterable[Row]:
        """Return changes of the newest documents."""
        return (self._row(self.documents - number) for number in range(rows))

    def deleted(self, rows: int) -> Iterable[Row]:
        """Return deletes anywhere; most are there."""
        for number in self._chance.sample(range(1, self.documents), rows):
            self._version += 1
            yield delete(f"{number:012}", self._version)

    def seconds(self, changes: Iterable[Row]) -> float:
        """Land changes, and give how long their load takes."""
        self._land(changes)
        began = time.perf_counter()
        self.warehouse.load(timeout_seconds=5)
        return time.perf_counter() - began

    def _land(self, changes: Iterable[Row]) -> None:
        land(self._yard.folder, list(changes), clock=self._yard.clock)

    def _row(self, number: int) -> Row:
        self._version += 1
        message = {"role": "user", "content": self._chance.randbytes(500).hex()}
        return upsert(f"{number:012}", self._version, sessionId=f"{number // 100}", message=message)


def _merge(self: LoadTransaction, landed: str) -> int:
    """Insert and change in place: what loads did before they removed and inserted."""
    names = [sql.identifier(name) for name in RAW_CONVERSATIONS_COLUMNS]
    values = [f"landed.{name}" for name in names]
    self._execute(
        f"""
        merge into raw.conversations as target
        using (
            select landed.*, staged.micro_batch_id
            from {landed} as landed
            inner join staged
                on landed.filename = staged.filename and landed.file_row_number = staged.file_row_number
        ) as landed
        on target._id = landed._id
        when matched and landed.op = 'delete' then delete
        when matched then update set {", ".join(map(" = ".join, zip(names, values, strict=True)))}
        when not matched and landed.op = 'upsert'
            then insert ({", ".join(names)}) values ({", ".join(values)})
        returning merge_action
        """
    )
    actions = Counter(action for (action,) in self._connection.fetchall())
    return actions["INSERT"] + actions["UPDATE"]


def test_the_cost_of_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of a load, by what changed."""
    ours = _measure(History(tmp_path / "ours"))
    monkeypatch.setattr(LoadTransaction, "_remove_old_versions", lambda _self: 0)
    monkeypatch.setattr(LoadTransaction, "_insert_staged", _merge)
    merge = _measure(History(tmp_path / "merge"))
    table = Table(title=f"a load beside {DOCUMENTS:,} documents, medians of {ROUNDS}, in seconds")
    for heading in ("what changed", "ours", "MERGE", "MERGE / ours"):
        table.add_column(heading, justify="left" if heading == "what changed" else "right")
    for name in ours:
        table.add_row(name, f"{ours[name]:.2f}", f"{merge[name]:.2f}", f"{merge[name] / ours[name]:.1f}")
    Console(width=100).print(table)


def _measure(history: History) -> dict[str, float]:
    kinds: dict[str, Callable[[int], Iterable[Row]]] = {
        "new": history.new,
        "changes of the newest": history.recent,
        "changes anywhere": history.scattered,
        "deletes anywhere": history.deleted,
    }
    return {
        f"{rows:,} {name}": statistics.median(history.seconds(changes(rows)) for _ in range(ROUNDS))
        for name, changes in kinds.items()
        for rows in (200, 5_000)
    }
