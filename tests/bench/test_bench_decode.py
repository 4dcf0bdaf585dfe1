"""From BSON to columns: documents a second of processor time, compiled and in Python."""

import random
import struct
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import ObjectId
from rich.console import Console
from rich.table import Table

from batch import shipped
from stream.decode import compiled
from stream.decode.columns import Tabulate, tabulate_compiled, tabulate_in_python
from tests.bench.lines import lines_of
from tests.bench.machine import processor
from tests.bench.test_bench_stream import document
from tests.support.paths import SHARED

pytestmark = pytest.mark.bench

ROUNDS = 5
REPLY_SIZE_BYTES = 1_000_000


def loads() -> Iterator[tuple[str, list[bytes]]]:
    """Yield what to read, as batches of a reply's size."""
    chance = random.Random(7)
    yield "2 kB", list(batches(document(number, 2_000, chance) for number in range(8_000)))
    folders = {"sample": shipped.sample_logs(), "real logs": SHARED / "claude"}
    for name, folder in folders.items():
        if folder.is_dir():
            more = {"projectId": "p", "sourceFile": "f", "ingestedAt": datetime(2026, 1, 1, tzinfo=UTC)}
            yield name, list(batches({"_id": ObjectId(), **more, **line} for line in lines_of(folder)))


def batches(documents: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield BSON arrays as a cursor's replies hold them."""
    body = b""
    number = 0
    for each in documents:
        body += b"\x03" + str(number).encode() + b"\0" + bson.encode(each)
        number += 1
        if len(body) >= REPLY_SIZE_BYTES:
            yield struct.pack("<i", len(body) + 5) + body + b"\0"
            body, number = b"", 0
    yield struct.pack("<i", len(body) + 5) + body + b"\0"


def measure(tabulate: Tabulate, given: list[bytes]) -> tuple[int, int, float]:
    """Return documents, compiled ones, and the processor's seconds of the quickest round."""
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()
        found = [tabulate(batch, source_version=1, extracted_at=1) for batch in given]
        times.append(time.process_time() - began)
    return sum(each.documents for each in found), sum(each.compiled for each in found), min(times)


def test_ways_to_rows() -> None:
    """Printed, not judged."""
    if compiled.problem():
        pytest.skip(f"not built: {compiled.problem()}")
    table = Table(title=f"BSON → columns, by {processor()}")
    for heading in (
        "documents",
        "compiled documents/s",
        "MB/s",
        "Python documents/s",
        "times",
        "compiled share",
    ):
        table.add_column(heading, justify="right")
    for name, given in loads():
        documents, usual, seconds = measure(tabulate_compiled, given)
        _, _, slow = measure(tabulate_in_python, given)
        table.add_row(
            name,
            f"{documents / seconds:,.0f}",
            f"{sum(map(len, given)) / seconds / 1e6:,.0f}",
            f"{documents / slow:,.0f}",
            f"{slow / seconds:.0f}",
            f"{usual / documents:.2%}",
        )
    Console(width=120).print(table)
