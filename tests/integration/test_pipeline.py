"""The whole cycle on a real collection: what a run does, and what a bad one leaves alone."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pymongo.collection import Collection

from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_pipeline
from batch.pipeline.runner import Options, RunSummary
from batch.runs.journal import new_run_id
from batch.shipped import sample_logs
from stream.clock import utc_now
from stream.landing.zone import STREAM_LANE
from tests.support.marts import break_key, documents_of
from tests.support.patience import patience
from tests.support.program import Program
from tests.support.streaming import wait_until

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


@pytest.fixture
def run(context: Context) -> Callable[..., RunSummary]:
    """Return what runs the pipeline in this process."""

    def go(*, later: timedelta = timedelta(), **options: Any) -> RunSummary:
        run_id = new_run_id(utc_now())
        cycle = replace(make_cycle(context, run_id), clock=lambda: utc_now() + later)
        with context.pipeline_lock.taken(timeout_seconds=5):
            return make_pipeline(context, run_id, cycle).run(
                chosen := Options(**options), cycle.works(chosen)
            )

    return go


def ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_scheduled_runs_leave_out_what_has_nothing_to_do(
    context: Context, collection: Documents, run: Callable[..., RunSummary]
) -> None:
    """Until something arrives, or somebody asks for all of it."""

    def outcomes(summary: RunSummary) -> dict[str, str]:
        return {step.step: step.outcome for step in summary.steps}

    collection.insert_many(documents_of(sample_logs()))
    first = run(trigger="schedule", full_backfill=True)
    assert first.error is None, first.line

    nothing_new = run(trigger="schedule")
    left_out = {"transform": "skipped", "validate": "skipped", "publish": "skipped"}
    assert outcomes(nothing_new) == dict.fromkeys(["extract", "load", "maintain"], "succeeded") | left_out
    assert "nothing new: transform, validate, publish left out" in nothing_new.line
    assert first.run_id == context.serving.current_build()
    noted = ask(context.warehouse.path, "select run_id from ops.runs where step = 'pipeline'")
    assert [(first.run_id,)] == noted
    # What the steps have left in the log of the warehouse is in its place.
    assert not context.warehouse.path.with_name(f"{context.warehouse.path.name}.wal").exists()

    document = dict(collection.find_one({"type": "user"}) or {}) | {"_id": "later", "uuid": "later"}
    collection.insert_one(document)
    something_new = run(trigger="schedule")
    assert {"succeeded"} == set(outcomes(something_new).values())
    assert something_new.run_id == context.serving.current_build()
    assert "skipped" in outcomes(run(trigger="schedule")).values()

    by_hand = run()
    assert {"succeeded"} == set(outcomes(by_hand).values())
    assert by_hand.run_id == context.serving.current_build()


@pytest.mark.fault(
    15, "a key of a view breaks between two frequent runs", "found within the hour, readers keep the build"
)
def test_checks_of_views_wait_in_frequent_runs(
    context: Context, collection: Documents, run: Callable[..., RunSummary]
) -> None:
    """Those of tables do not; what waits and since when is said, and once an hour it is asked."""
    document = {"type": "user", "sessionId": "s", "message": "hello", "uuid": "u"}
    collection.insert_one(document | {"_id": "first"})
    first = run(trigger="schedule", full_backfill=True)
    assert first.error is None, first.line
    assert "wait" not in first.line

    collection.insert_one(document | {"_id": "second", "uuid": "v"})
    break_key(context.warehouse.path, "intermediate.int_pull_requests")
    soon = run(trigger="schedule")
    assert soon.error is None, soon.line
    assert soon.run_id == context.serving.current_build()
    waiting = soon.results["transform"].details["waiting_checks"]
    assert "key_int_pull_requests_line_id" in waiting
    [built, _] = [step for step in context.journal.steps() if step.step == "transform"]
    since = f"{built.started_at:%H:%M:%S} UTC"
    assert f", {len(waiting)} of views wait since {since};" in soon.line

    an_hour_later = run(trigger="schedule", later=timedelta(hours=1))
    assert "check `key_int_pull_requests_line_id` failed" in an_hour_later.line
    assert soon.run_id == context.serving.current_build()
    at_once = run(trigger="schedule")
    assert "check `key_int_pull_requests_line_id` failed" in at_once.line

    mended = run(full_refresh=True)
    assert mended.error is None, mended.line
    assert mended.run_id == context.serving.current_build()


@pytest.mark.fault(15, "most documents vanish, so that a check fails", "readers keep the previous build")
def test_runs_one_after_the_other(
    context: Context, collection: Documents, run: Callable[..., RunSummary], program: Program
) -> None:
    """The first publishes everything; the next finds too little, and keeps the build."""
    documents = documents_of(sample_logs())
    collection.insert_many(documents)
    first = run(full_backfill=True)
    assert first.error is None, first.line
    assert [first.run_id] == context.serving.builds()
    assert "1,246 documents read" in first.results["extract"].summary
    assert 1246 == first.results["load"].rows
    messages = "select count(*) from marts.fct_messages"
    assert [(848,)] == ask(context.serving.database, messages)

    collection.delete_many({"_id": {"$in": [each["_id"] for each in documents[:1000]]}})
    second = run(skipped=frozenset({"transform"}))
    assert second.error is not None
    assert "1,000 changes landed" in second.results["extract"].summary
    assert "there are 246 documents, fewer than 623" in second.error.message
    assert first.run_id == context.serving.current_build()
    assert [(848,)] == ask(context.serving.database, messages)

    runs = ask(
        context.warehouse.path, "select run_id, outcome from ops.runs where step = 'pipeline' order by 1"
    )
    assert [(first.run_id, "succeeded"), (second.run_id, "failed")] == runs
    steps = ask(
        context.warehouse.path,
        f"select step, outcome, rows from ops.runs where run_id = '{second.run_id}' order by started_at",
    )
    assert ["pipeline", "extract", "load", "transform", "validate"] == [step for step, *_ in steps]
    assert ("validate", "failed", 246) == steps[-1]

    told = json.loads(program.done("status", "--json", code=1))
    assert ["the last validate failed: check `bronze.volume` failed"] == [
        problem.split(": there are")[0] for problem in told["problems"]
    ]
    assert first.run_id == told["cycle"]["build"]["build_id"]
    refused = program.done("publish", code=2)
    assert "the marts are not published: the last validation failed" in refused


def test_a_pipeline_beside_a_stream_worker(
    context: Context, collection: Documents, run: Callable[..., RunSummary]
) -> None:
    """It reads nothing itself, and says why."""
    with context.landing.lane(STREAM_LANE).writing():
        collection.insert_one({"type": "user"})
        summary = run(skipped=frozenset({"transform", "validate", "publish"}))
    assert "a stream worker lands" == summary.results["extract"].summary


def test_a_pipeline_that_is_killed(context: Context, program: Program, collection: Documents) -> None:
    """The journal keeps that it was running; the next run records that it was killed, and does the work."""
    collection.insert_one({"type": "user", "sessionId": "s", "message": "hello", "uuid": "u"})
    with program.start("pipeline", "--full-backfill", stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: context.journal.last("transform") is not None)
        process.kill()
    running = [step.step for step in context.journal.steps() if step.outcome == "running"]
    assert ["pipeline", "transform"] == sorted(running)
    with context.pipeline_lock.taken(timeout_seconds=5):
        closed = context.journal.close_abandoned()
    assert ["killed", "killed"] == [step.outcome for step in closed]


def test_a_pipeline_that_is_told_to_stop(context: Context, program: Program, collection: Documents) -> None:
    """It is gone within ten seconds with the shell's exit code, and nobody is to blame."""
    collection.insert_one({"type": "user", "sessionId": "s", "message": "hello", "uuid": "u"})
    with program.start("pipeline", "--full-backfill") as process:
        wait_until(lambda: context.journal.last("transform") is not None)
        process.send_signal(signal.SIGTERM)
        told_at = time.monotonic()
        _, log = process.communicate(timeout=patience())
    assert time.monotonic() - told_at < patience(10)
    assert 128 + signal.SIGTERM == process.returncode, log
    whole, transform = context.journal.last("pipeline"), context.journal.last("transform")
    assert whole
    assert transform
    assert ("stopped", "stopped") == (whole.outcome, transform.outcome)
