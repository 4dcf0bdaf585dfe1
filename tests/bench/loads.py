"""Ways to get a collection into DuckDB, each run in a process of its own: ours, and what else there is.

    python loads.py <way> '<JSON>'     prints documents, seconds, memory and file size as JSON

Keys: `uri`, `database`, `folder`, `documents` (how many at most).
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection

from tests.support.memory import peak_bytes

Documents = Collection[dict[str, Any]]
BATCH = 10_000


def raw(collection: Documents, _folder: Path, _limit: int) -> int:
    """Receive every byte and look at none: the server's and the network's limit."""
    size = sum(len(batch) for batch in collection.find_raw_batches(batch_size=BATCH))
    return collection.estimated_document_count() if size else 0


def dicts(collection: Documents, _folder: Path, _limit: int) -> int:
    """Decode every document, and do nothing with it."""
    return sum(1 for _ in collection.find(batch_size=BATCH))


def plain(collection: Documents, folder: Path, limit: int) -> int:
    """Do it as on an afternoon: flatten, a Parquet file a day, upsert into a table with its indexes."""
    import duckdb  # noqa: PLC0415 - each way imports only what it needs
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    connection = duckdb.connect(str(folder / "plain.duckdb"))
    connection.execute(
        "create table conversations (_id varchar primary key, type varchar, session_id varchar, "
        "project_id varchar, timestamp varchar, ingested_at timestamp, role varchar, content varchar, "
        "message varchar, source_file varchar, date varchar, extra varchar)"
    )
    for column in ("type", "session_id", "project_id", "timestamp", "date"):
        connection.execute(f"create index idx_{column} on conversations ({column})")
    documents = 0
    for number, batch in enumerate(_batches(collection.find().sort("ingestedAt", 1).limit(limit))):
        by_day: dict[str, list[dict[str, Any]]] = {}
        for document in batch:
            row = _flattened(document)
            by_day.setdefault(row["date"], []).append(row)
        for day, rows in by_day.items():
            path = folder / f"date={day}" / f"{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows), path)
            connection.execute(
                f"insert into conversations select * from read_parquet('{path}', hive_partitioning = false) "
                "on conflict (_id) do update set message = excluded.message, content = excluded.content, "
                "extra = excluded.extra"
            )
        documents += len(batch)
    connection.close()
    return documents


def _batches(cursor: Any) -> Iterator[list[dict[str, Any]]]:
    while batch := list(itertools.islice(cursor, BATCH)):
        yield batch


def _flattened(document: dict[str, Any]) -> dict[str, Any]:
    message = document.pop("message", None) or {}
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, list):
        content = "\n".join(b.get("text") or "" for b in content if isinstance(b, dict))
    timestamp = str(document.pop("timestamp", "") or "")
    return {
        "_id": str(document.pop("_id")),
        "type": document.pop("type", None),
        "session_id": document.pop("sessionId", None),
        "project_id": document.pop("projectId", None),
        "timestamp": timestamp,
        "ingested_at": document.pop("ingestedAt", None),
        "role": message.get("role") if isinstance(message, dict) else None,
        "content": content,
        "message": json.dumps(message, default=str),
        "source_file": document.pop("sourceFile", None),
        "date": timestamp[:10] or "none",
        "extra": json.dumps(document, default=str),
    }


def dlt(collection: Documents, folder: Path, limit: int) -> int:
    """Use dlt as its guide to speed says: pages, no nested tables, Parquet files, all cores."""
    os.environ |= {
        "NORMALIZE__WORKERS": str(os.cpu_count() or 1),
        "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "20000",
        "EXTRACT__DATA_WRITER__FILE_MAX_ITEMS": "20000",
        "DATA_WRITER__BUFFER_MAX_ITEMS": "10000",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
    }
    import dlt as library  # noqa: PLC0415

    documents = 0

    @library.resource(name="conversations", max_table_nesting=0, write_disposition="append")
    def conversations() -> Iterator[list[dict[str, Any]]]:
        nonlocal documents
        for batch in _batches(collection.find(batch_size=BATCH).limit(limit)):
            for document in batch:
                document["_id"] = str(document["_id"])
            documents += len(batch)
            yield batch

    pipeline = library.pipeline(
        "bench",
        pipelines_dir=str(folder / "dlt"),
        destination=library.destinations.duckdb(str(folder / "dlt.duckdb")),
        dataset_name="raw",
    )
    pipeline.run(conversations(), loader_file_format="parquet")
    return documents


def ours(collection: Documents, folder: Path, _limit: int) -> tuple[int, float]:
    """Run our backfill, to rows durable in `raw.conversations`; tell the share of compiled code, too."""
    import structlog  # noqa: PLC0415
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    from batch.backfill.backfill import Backfill  # noqa: PLC0415
    from batch.backfill.filters import Filters  # noqa: PLC0415
    from batch.backfill.progress import BackfillMetrics  # noqa: PLC0415
    from batch.settings import BackfillSettings  # noqa: PLC0415
    from stream.clock import utc_now  # noqa: PLC0415
    from stream.landing.dead_letters import DeadLetterStore  # noqa: PLC0415
    from stream.landing.zone import LandingZone  # noqa: PLC0415
    from stream.settings import MongoSettings  # noqa: PLC0415
    from stream.warehouse.warehouse import Warehouse  # noqa: PLC0415

    settings = BackfillSettings()
    landing = LandingZone(folder / "landing", clock=utc_now)
    host, port = collection.database.client.address or ("", 0)
    job = Backfill(
        mongo=MongoSettings(MONGO_URI=f"mongodb://{host}:{port}", MONGO_DB=collection.database.name),
        landing=landing,
        dead_letters=DeadLetterStore(folder / "dead_letter", clock=utc_now),
        warehouse=Warehouse(
            folder / "ours.duckdb",
            landing=landing,
            clock=utc_now,
            threads=max(1, (os.cpu_count() or 1) // 2),
            memory_limit=settings.memory_limit,
        ),
        metrics=BackfillMetrics(CollectorRegistry()),
        log=structlog.wrap_logger(None, processors=[_dropped]),
        threads=os.cpu_count() or 1,
        range_size_bytes=settings.range_size_bytes,
        batch_size=BATCH,
        lease_timeout_seconds=60,
        final_threads=os.cpu_count(),
    )
    done = job.run(Filters())
    return done.documents, done.compiled / done.documents


def _dropped(*_line: object) -> Any:
    import structlog  # noqa: PLC0415

    raise structlog.DropEvent


WAYS: dict[str, Callable[[Documents, Path, int], int | tuple[int, float]]] = {
    "raw": raw,
    "dicts": dicts,
    "plain": plain,
    "dlt": dlt,
    "ours": ours,
}


def main() -> None:
    """Run one way."""
    options = json.loads(sys.argv[2])
    folder = Path(options["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    with MongoClient[dict[str, Any]](options["uri"]) as client:
        collection = client[options["database"]]["conversations"]
        client.admin.command("ping")
        started, cpu_before = time.perf_counter(), time.process_time()
        found = WAYS[sys.argv[1]](collection, folder, options.get("documents", 0))
        documents, compiled = found if isinstance(found, tuple) else (found, 0.0)
        told = {
            "documents": documents,
            "compiled": compiled,
            "seconds": time.perf_counter() - started,
            "cpu_seconds": time.process_time() - cpu_before,
            "peak_mib": peak_bytes() / 2**20,
            "file_mib": sum(file.stat().st_size for file in folder.glob("*.duckdb")) / 2**20,
        }
    sys.stdout.write(f"\n{json.dumps(told)}\n")


if __name__ == "__main__":
    main()
