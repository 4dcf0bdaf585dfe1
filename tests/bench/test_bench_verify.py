"""How fast `verify` is, next to nothing but reading the collection. Measures; never asserts a time."""

import os
import random
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from bson.objectid import ObjectId
from pymongo.collection import Collection

from tests.support.streaming import StreamRunner
from tests.support.verifying import verifier_of

pytestmark = [pytest.mark.bench, pytest.mark.integration]

DOCUMENTS = int(os.environ.get("BENCH_DOCUMENTS", "200000"))
_WORDS = 250


def document(number: int, chance: random.Random) -> dict[str, Any]:
    """Return a document of about 2 kB, as a log line is."""
    text = " ".join(f"{chance.getrandbits(20):x}" for _ in range(_WORDS))
    return {
        "_id": ObjectId(f"{1_767_000_000 + number // 10:08x}{number:016x}"),
        "type": "assistant",
        "sessionId": f"session {number // 200}",
        "projectId": "project",
        "uuid": f"{number:032x}",
        "timestamp": "2026-01-03T10:00:00.000Z",
        "message": {
            "role": "assistant",
            "id": f"msg_{number}",
            "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": number, "output_tokens": 7},
        },
        "cwd": "/somewhere",
        "version": "2.1.0",
        "isSidechain": False,
    }


def rate_of(action: Callable[[], object]) -> float:
    """Return documents a second."""
    began = time.perf_counter()
    action()
    return DOCUMENTS / (time.perf_counter() - began)


def test_verify_beside_a_bare_scan(stream: StreamRunner, collection: Collection[dict[str, Any]]) -> None:
    """A verification's speed as a share of that of a cursor that decodes every document."""
    chance = random.Random(7)
    stream.take_position()
    for start in range(0, DOCUMENTS, 5_000):
        collection.insert_many([document(start + number, chance) for number in range(5_000)])
    stream.catch_up(idle_seconds=1)
    verifier = verifier_of(stream)

    def scan() -> None:
        for _ in collection.find(batch_size=2_000):
            pass

    def verify() -> None:
        result = verifier.run()
        assert (True, DOCUMENTS) == (result.is_same, result.rows)

    process = psutil.Process()
    scan()
    before = process.memory_info().rss
    for _ in range(3):
        bare, full = rate_of(scan), rate_of(verify)
        print(f"\nbare scan {bare:,.0f}/s, verify {full:,.0f}/s: {full / bare:.2f}")  # noqa: T201 - a bench tells its figures
    print(f"memory: {(process.memory_info().rss - before) / 1e6:+.0f} MB")  # noqa: T201
