"""What this program itself takes in memory, beside Spark; `make lake-test ARGS='-s -k memory'` prints it."""

import subprocess
import sys
from typing import Any

from pymongo.collection import Collection
from rich.console import Console

from stream.settings import MongoSettings
from tests.support.laking import Lake
from tests.support.paths import ROOT
from tests.support.patience import patience
from tests.support.streaming import StreamRunner

DOCUMENTS, SIZE_BYTES, ROWS_A_MICRO_BATCH = 40_000, 2_000, 250
LIMIT_MIB = 500
_PROGRAM = """
import sys
from pathlib import Path
from batch.lake.verified import LakeSide
from stream.settings import MongoSettings
from tests.support.laking import Lake
from tests.support.memory import peak_bytes
from tests.support.streaming import StreamRunner
from tests.support.verifying import verifier_of

folder, uri, mongo_uri, database, collection = sys.argv[1:]
mongo = MongoSettings(MONGO_URI=mongo_uri, MONGO_DB=database, MONGO_COLLECTION=collection)
lake = Lake(Path(folder), uri)
loaded = lake.loader().load(timeout_seconds=30)
print(loaded.micro_batches, loaded.rows, peak_bytes() >> 20)
side = LakeSide(lake.loader(), lease_timeout_seconds=30)
found = verifier_of(StreamRunner(mongo, Path(folder)), side=side).run()
print(found.documents, found.rows, int(found.is_same), peak_bytes() >> 20)
"""


def test_memory_of_a_load_and_a_verification(
    mongo: MongoSettings, collection: Collection[dict[str, Any]], lake: Lake
) -> None:
    """Rows stay in Spark: it does not depend on how many there are."""
    stream = StreamRunner(mongo, lake.folder)
    stream.take_position()
    for start in range(0, DOCUMENTS, 2_000):
        collection.insert_many(
            {"_id": number, "type": "user", "sessionId": f"s{number % 50}", "message": "x" * SIZE_BYTES}
            for number in range(start, start + 2_000)
        )
    stream.catch_up(STREAM_MAX_ROWS=ROWS_A_MICRO_BATCH)
    landed = len(stream.lane.micro_batches())
    names = (mongo.uri.get_secret_value(), mongo.database, mongo.collection)

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(lake.folder), lake.uri, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=patience(600),
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    load, verify = ([int(word) for word in line.split()] for line in done.stdout.splitlines())
    Console().print(
        f"{landed:,} micro-batches, {DOCUMENTS:,} documents of 2 kB, one process: "
        f"peak {load[-1]} MiB after load, {verify[-1]} MiB after verify"
    )
    assert load[:2] == [landed, DOCUMENTS]
    assert [DOCUMENTS, DOCUMENTS, 1] == verify[:3]
    assert max(load[-1], verify[-1]) < LIMIT_MIB
