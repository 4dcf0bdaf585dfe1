"""Every fault after the other, while the collection changes without pause; `verify` is clean at the end.

`make chaos SOAK=1` lets it go on for SOAK_MINUTES (30 unless set) with a seed of its own, and prints figures;
otherwise each fault falls once, in the order of a fixed seed.
"""

import os
import time
from collections import Counter

import pytest

from batch.mongod.replica_set import EmbeddedMongo
from tests.chaos.conftest import Arena
from tests.chaos.soak import Soak
from tests.chaos.soaking import as_table
from tests.support.program import Program

pytestmark = pytest.mark.chaos

MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))
FIXED_SEED = 7


def test_soak(hardy_arena: Arena, three_nodes: EmbeddedMongo, seed: int) -> None:
    """Nothing is lost, nothing comes twice, whatever falls together."""
    chosen = seed if MINUTES else FIXED_SEED
    soak = Soak(hardy_arena, three_nodes, seed=chosen, scale=1 if MINUTES else 0.1)
    begun = time.monotonic()
    hardy_arena.stream.take_position()
    with hardy_arena.writer.writing(), soak.running():
        soak.go_on(MINUTES * 60)

    documents = hardy_arena.assert_nothing_lost_nothing_twice(has_dropped=True)
    verdict = Program.on(hardy_arena.mongo, hardy_arena.stream.folder).done("verify").strip().splitlines()[-1]
    operations = Counter(row["op"] for row in hardy_arena.stream.landed_rows())
    figures = {
        "seed": chosen,
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "changes tried by the writer": hardy_arena.writer.changes,
        "of them refused by failing servers": hardy_arena.writer.refused,
        "rows landed by the stream": sum(operations.values()),
        "of them deletes": operations["delete"],
        "micro-batches": len(hardy_arena.stream.lane.micro_batches()),
        "documents at the end": documents,
        "faults": sum(soak.done.values()),
        **{f"  {name}": times for name, times in sorted(soak.done.items())},
        **{f"workers {name}": times for name, times in sorted(soak.endings.items())},
        "largest worker in MB": round(soak.largest_bytes / 1e6),
        "slowest stop in seconds": round(soak.slowest_stop_seconds, 1),
        "verify": verdict,
    }
    print(f"\n{as_table(figures)}")  # noqa: T201 - figures for whoever asks
