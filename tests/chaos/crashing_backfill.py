"""A backfill that kills itself with SIGKILL at a failpoint; a script, run by the chaos tests.

    python crashing_backfill.py '<JSON>'

Keys: `uri`, `database`, `collection`, `folder`; `failpoint`, `nth` and `delay_ms` as for a crashing worker;
`pause_ms` (after each landed range); `data_url`, if it is to land in a bucket; `options` of the backfill. It
prints its summary. As a person would, it waits for another backfill, and begins again if the collection was
dropped since.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from batch.backfill.backfill import Backfill, BackfillSummary
from batch.backfill.filters import Filters
from stream.clock import utc_now
from stream.errors import AlreadyRunningError, BackfillMismatchError
from stream.landing.places import places
from stream.settings import DataSettings, MongoSettings
from tests.support.backfilling import BackfillRunner
from tests.support.bomb import Bomb

_POLL_SECONDS = 0.5


def work(options: dict[str, Any]) -> dict[str, Any]:
    """Run the backfill; return its summary."""
    bomb = Bomb(options.get("failpoint"), options.get("nth", 1), options.get("delay_ms"))

    def at_failpoint(name: str) -> None:
        bomb(name)
        if name == "file_renamed":
            time.sleep(options.get("pause_ms", 0) / 1000)

    runner = BackfillRunner(
        MongoSettings(
            MONGO_URI=options["uri"], MONGO_DB=options["database"], MONGO_COLLECTION=options["collection"]
        ),
        Path(options["folder"]),
    )
    shared: dict[str, Any] = {}
    if url := options.get("data_url"):
        where = places(DataSettings(DATA_URL=url), clock=utc_now)
        shared = {"landing": where.landing, "dead_letters": where.dead_letters, "loads": False}
    job = runner.job(at_failpoint=at_failpoint, **shared, **options.get("options", {}))
    summary = _insist(job)
    return {
        "is_finished": summary.is_finished,
        "signal_number": summary.signal_number,
        "ranges": summary.ranges,
        "ranges_landed": summary.ranges_landed,
        "ranges_skipped": summary.ranges_skipped,
    }


def _insist(job: Backfill) -> BackfillSummary:
    while True:
        try:
            return job.run(Filters())
        except AlreadyRunningError:
            time.sleep(_POLL_SECONDS)
        except BackfillMismatchError:
            return job.run(Filters(), restart=True)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(work(json.loads(sys.argv[1]))))
