"""A stream worker that kills itself with SIGKILL at a failpoint; a script, run by the chaos tests.

    python crashing_worker.py '<JSON>'

Keys: `uri`, `database`, `collection`, `folder`; `data_url`, if it is to land in a bucket; `failpoint` and
`nth` (kill at the n-th reach), `delay_ms` (so much later, from a thread, while the work goes on); `settings`
of the stream; `metrics_port`; `until_idle_seconds`. Without a failpoint it runs until it is told to stop, and
prints its summary.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from batch.cli.ending import ending_beside_threads
from stream.clock import utc_now
from stream.errors import AnalyticsError
from stream.landing.zone import LandingZone
from stream.metrics import serve
from stream.settings import DataSettings, DuckDBSettings, MongoSettings, StreamSettings
from stream.warehouse.warehouse import Warehouse
from stream.worker import Worker, WorkerSummary
from tests.support.backfilling import collection_reader
from tests.support.bomb import Bomb


def work(options: dict[str, Any]) -> WorkerSummary:
    """Run the worker."""
    folder = Path(options["folder"])
    bomb = Bomb(options.get("failpoint"), options.get("nth", 1), options.get("delay_ms"))
    registry = CollectorRegistry()
    serve(registry, host="127.0.0.1", port=options.get("metrics_port", 0))
    landing = LandingZone(folder / "landing", clock=utc_now)
    settings = StreamSettings(
        **{
            "STREAM_MAX_ROWS": 40,
            "BATCH_SIZE": 25,
            "STREAM_MAX_AGE_SECONDS": 0.05,
            "STREAM_IDLE_POSITION_SECONDS": 0.05,
        }
        | options.get("settings", {})
    )
    url = options.get("data_url")
    warehouse = Warehouse(
        folder / "analytics.duckdb",
        landing=landing,
        clock=utc_now,
        threads=1,
        memory_limit=settings.memory_limit,
        at_failpoint=bomb,
    )
    mongo = MongoSettings(
        MONGO_URI=options["uri"], MONGO_DB=options["database"], MONGO_COLLECTION=options["collection"]
    )
    log = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr), processors=[structlog.processors.JSONRenderer()]
    )
    worker = Worker(
        mongo=mongo,
        data=DataSettings(DATA_DIR=folder, DATA_URL=url),
        settings=settings,
        duckdb=DuckDBSettings(DUCKDB_THREADS=1),
        warehouse=None if url else warehouse,
        registry=registry,
        log=log,
        at_failpoint=bomb,
        read_collection=collection_reader(mongo, folder, log, data_url=url, at_failpoint=bomb),
    )
    return worker.run(until_idle_seconds=options.get("until_idle_seconds"))


def main() -> None:
    """Run the worker that the arguments describe."""
    try:
        summary = work(json.loads(sys.argv[1]))
    except AnalyticsError as error:
        traceback.print_exc()
        sys.exit(error.exit_code)
    told = {
        "events": summary.events,
        "signal_number": summary.signal_number,
        "rows_upserted": summary.loaded.rows_upserted,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    with ending_beside_threads():
        main()
