"""What `REDACT=secrets` costs: time from BSON to columns with and without, on the sample's lines."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import bson
import orjson
import pytest

from batch import shipped
from stream.core.redact import Redactor
from stream.core.secret_rules import known_rules
from stream.decode.columns import Tabulate, tabulate_compiled, tabulate_in_python

pytestmark = pytest.mark.bench

ROUNDS = 5


def batches() -> list[bytes]:
    """Return the sample as a cursor would, 500 documents a batch."""
    documents = [
        orjson.loads(line)
        for path in sorted(shipped.sample_logs().rglob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    found: list[bytes] = []
    for start in range(0, len(documents), 500):
        piece: list[Any] = documents[start : start + 500]
        found.append(bson.encode({str(number): document for number, document in enumerate(piece)}))
    return found


def seconds(tabulate: Callable[..., object], given: list[bytes]) -> float:
    """Return the processor's time of the quickest round."""
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for batch in given:
            tabulate(batch, source_version=1, extracted_at=1)
        times.append(time.process_time() - began)
    return min(times)


def test_the_cost_of_redaction() -> None:
    """Printed, not judged: for each way to rows the time with redaction over the time without."""
    given = batches()
    found: Counter[str] = Counter()
    redactor = Redactor(known_rules(), on_found=lambda kind: found.update([kind]))

    def redacting(batch: bytes, **when: int) -> object:
        return tabulate_in_python(batch, redactor=redactor, **when)

    ways: dict[str, tuple[Tabulate, Callable[..., object]]] = {
        "python": (tabulate_in_python, redacting),
        "compiled": (tabulate_compiled, partial(tabulate_compiled, redactor=redactor)),
    }
    lines = [""]
    for name, (plain, other) in ways.items():
        before, after = seconds(plain, given), seconds(other, given)
        lines.append(f"{name:9} {before:6.3f} s without, {after:6.3f} s with: {after / before:4.1f} times")
    lines.append(
        f"replaced in each round: { {kind: count // (2 * ROUNDS) for kind, count in found.items()} }"
    )
    sys.stdout.write("\n".join([*lines, ""]))
