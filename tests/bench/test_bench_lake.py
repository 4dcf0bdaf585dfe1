"""What a load into Iceberg costs beside how much is there already. `make lake-bench` prints the table."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.lake.config import CATALOG
from batch.lake.postgres_server import PostgresServer
from batch.lake.tables import DOCUMENTS
from stream.core.schema import Row
from tests.bench.figures import FIGURES
from tests.bench.test_bench_stream import ROUNDS
from tests.support.laking import Lake, new_database
from tests.support.landing import upsert
from tests.support.memory import peak_bytes

# Py4J and PyIceberg leave sockets to the garbage collector.
pytestmark = [
    pytest.mark.bench,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
pytest.importorskip("pyspark")

FEW = int(os.environ.get("BENCH_LAKE_FEW", "1000000"))
MANY = int(os.environ.get("BENCH_LAKE_ROWS", "10000000"))
CHANGED = 1_000
_FILLED = {
    "_id": "concat('i:', id)",
    "op": "'upsert'",
    "source_version": "id",
    "type": "'assistant'",
    "session_id": "concat('session-', id div 150)",
    "uuid": "concat('uuid-', id)",
    "message_content": "repeat(sha2(cast(id as string), 256), 4)",
    "content_length": "256",
    "micro_batch_id": "'filled'",
}


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


def filled(folder: Path, postgres: PostgresServer, rows: int, *, session: object = None) -> Lake:
    """Return a lake with so many documents, none of which has landed: they are made where they are kept."""
    lake = Lake(folder, new_database(postgres), session=session)
    lake.loader().prepare()
    columns = ", ".join(
        f"{_FILLED.get(name, 'null')} as `{name}`" if name in _FILLED else f"cast(null as {kind}) as `{name}`"
        for name, kind in DOCUMENTS.items()
    )
    lake.spark.run(
        f"insert into {CATALOG}.raw.documents select {columns} from range({rows})", doing="fill the table"
    )
    return lake


def changes(rows: int, *, seed: int) -> list[Row]:
    """Return later versions of documents all over the table."""
    chance = random.Random(seed)
    return [
        upsert(chance.randrange(rows), rows + seed * CHANGED + number, sessionId=f"changed-{number}")
        for number in range(CHANGED)
    ]


def test_a_merge_beside_few_and_many(postgres: PostgresServer, tmp_path: Path) -> None:
    """A thousand changed documents, from landed to loaded, beside a million and beside ten."""
    few = filled(tmp_path / "few", postgres, FEW)
    lakes = {
        FEW: few,
        MANY: filled(tmp_path / "many", postgres, MANY, session=few.spark.session().newSession()),
    }
    seconds: dict[int, list[float]] = {rows: [] for rows in lakes}
    for number in range(ROUNDS):
        for rows, lake in lakes.items():
            lake.land(changes(rows, seed=number + 1))
            began = time.perf_counter()
            loaded = lake.loader().load(timeout_seconds=5)
            seconds[rows].append(time.perf_counter() - began)
            assert CHANGED >= loaded.rows_upserted > 0.9 * CHANGED
    ratios = [many / one for many, one in zip(seconds[MANY], seconds[FEW], strict=True)]
    FIGURES.add(
        f"load of {CHANGED:,} changes beside {MANY:,} / beside {FEW:,} rows", "≤ 1.50", ratios, digits=2
    )
    FIGURES.add(f"load of {CHANGED:,} changes beside {FEW:,} rows", "", seconds[FEW], "s")
    FIGURES.add("memory of our own process in it", "≤ 500 MiB", [peak_bytes() / 2**20], "MiB", digits=0)
    few.spark.stop()
