"""The process that the scheduler keeps between frequent runs: reads their names, answers with exit codes."""

import os
import resource
import signal
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

from batch.cli.alerts import send_alerts
from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_pipeline
from batch.cli.signals import exit_if_signalled
from batch.pipeline.resident import LEAVING
from batch.pipeline.runner import Options
from batch.runs.journal import new_run_id
from stream import logs
from stream.clock import utc_now
from stream.decode.memory import collect_garbage, rare_garbage_collection
from stream.errors import AnalyticsError
from stream.stop import interruptible

_MOST_RUNS = 500
_LARGEST_BYTES = 1_000_000_000


def serve_runs(answers: int) -> None:
    """Run the pipeline each time standard input names a run, until that closes, a run fails, or it is large.

    Args:
        answers: Descriptor that gets the exit code of each run, one a line.
    """
    names: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read_names, args=(names,), name="read-names", daemon=True).start()
    runs, is_leaving = 0, False
    with rare_garbage_collection():
        while not is_leaving:
            exit_code = _run(names.get())
            runs += 1
            # What failed may be what this process keeps: a Spark that has gone is not started again in it.
            is_leaving = bool(exit_code) or runs >= _MOST_RUNS or resident_bytes() > _LARGEST_BYTES
            os.write(answers, f"{exit_code}{f' {LEAVING}' if is_leaving else ''}\n".encode())
            # Nobody waits now. A signal must not raise in the midst of it, where that is swallowed.
            with interruptible(lambda: None):
                collect_garbage()
            exit_if_signalled()


def _read_names(names: "SimpleQueue[str]") -> None:
    """Pass names on; at the end, leave as after SIGTERM: the scheduler that held the other end has gone."""
    for line in sys.stdin:
        names.put(line.strip())
    os.kill(os.getpid(), signal.SIGTERM)


def _run(name: str) -> int:
    # The settings are read for each run, as a process of its own would.
    context = Context.from_environment()
    options = Options(trigger=name)
    error: AnalyticsError | None
    try:
        with context.pipeline_lock.taken(timeout_seconds=context.settings.duckdb.lease_timeout_seconds):
            run_id = new_run_id(utc_now())
            cycle = make_cycle(context, run_id)
            error = make_pipeline(context, run_id, cycle).run(options, cycle.works(options)).error
            send_alerts(context)
    except AnalyticsError as raised:
        error = raised
        logs.logger("pipeline").error("run_not_begun", problem=error.message, hint=error.hint)
    return error.exit_code if error else 0


def resident_bytes() -> int:
    """Return the memory that this process holds now; the most it ever held where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return pages * resource.getpagesize()
