"""Several workers share one change stream: every event once, whatever becomes of one of them."""

import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from bson.decimal128 import Decimal128
from prometheus_client import CollectorRegistry
from pymongo.collection import Collection

from stream.clock import utc_now
from stream.landing.partitions import current_partitions
from stream.landing.zone import LandingZone
from stream.metrics import PartitionRegistry, StreamMetrics
from stream.settings import MongoSettings
from tests.support.equality import assert_same
from tests.support.patience import patience
from tests.support.program import Program
from tests.support.streaming import StreamRunner, make_worker, wait_until

pytestmark = pytest.mark.integration
Documents = Collection[dict[str, Any]]


class Shared:
    """Workers of several partitions on one collection and one folder."""

    def __init__(self, stream: StreamRunner, count: int) -> None:
        self.stream = stream
        self.count = count

    def catch_up(self, *numbers: int, **settings: Any) -> int:
        """Run workers to their end, one after the other, and return how many events they read."""
        return sum(
            make_worker(
                self.stream.mongo,
                self.stream.folder,
                partition=number,
                STREAM_PARTITIONS=self.count,
                **settings,
            )
            .run(until_idle_seconds=0.3)
            .events
            for number in numbers or range(self.count)
        )

    def landed(self) -> Counter[tuple[Any, ...]]:
        """Return every event that has landed, and how often."""
        zone = LandingZone(self.stream.folder / "landing", clock=utc_now)
        rows = [row for lane in zone.lanes() for row in self.stream.landed_rows_of(lane)]
        return Counter((row["_id"], row["source_version"], row["op"]) for row in rows)


@pytest.fixture
def shared(stream: StreamRunner) -> Shared:
    found = Shared(stream, 3)
    found.catch_up()
    return found


def change(collection: Documents, number: int) -> int:
    """Make changes of every kind, with keys of every type; return how many."""
    keys: list[Any] = [ObjectId(), f"s{number}", number, number + 0.5, {"a": number}, b"%d" % number]
    collection.insert_many([{"_id": key, "type": "user"} for key in keys])
    # The same key to MongoDB, of other types: these must be seen by one worker, in their order.
    for same in (float(number), Decimal128(f"{number}.0")):
        collection.replace_one({"_id": same}, {"_id": same, "type": f"replaced-{same}"})
    collection.delete_one({"_id": f"s{number}"})
    return len(keys) + 3


def test_every_event_lands_once(shared: Shared, collection: Documents) -> None:
    """Of all types of keys, and each worker has some; the warehouse is the collection."""
    changes = sum(change(collection, number) for number in range(30))
    events = [shared.catch_up(number) for number in range(3)]
    assert changes == sum(events)
    assert min(events) > 0
    assert {1} == set(shared.landed().values())
    assert assert_same(collection, shared.stream.warehouse) == collection.count_documents({})


def test_a_partition_that_is_down_holds_up_no_other(shared: Shared, collection: Documents) -> None:
    """What the others read is in the warehouse meanwhile; it catches up later, from where it stood."""
    changes = sum(change(collection, number) for number in range(20))
    some = shared.catch_up(0, 2)
    assert 0 < some < changes
    change(collection, 100)
    shared.catch_up()
    assert {1} == set(shared.landed().values())
    assert_same(collection, shared.stream.warehouse)


@pytest.mark.fault(7, "a drop while several workers share the stream", "acted on once, by the first")
def test_a_drop_is_acted_on_once(shared: Shared, collection: Documents) -> None:
    """All pass it, in any order; inserts after it are not lost, and one truncate marker lands."""
    for number in range(10):
        change(collection, number)
    collection.drop()
    collection.insert_many([{"_id": f"after-{number}", "type": "user"} for number in range(20)])
    shared.catch_up(2, 1, 0)
    shared.catch_up()
    markers = [event for event in shared.landed() if event[2] == "truncate"]
    assert 1 == len(markers)
    assert 20 == assert_same(collection, shared.stream.warehouse)


@pytest.mark.fault(1, "the number of partitions is changed, and changed back", "no gap, nothing twice in raw")
def test_changing_the_number_leaves_no_gap(
    shared: Shared, stream: StreamRunner, collection: Documents
) -> None:
    """One worker is behind when the lanes are closed; from 3 to 2, and to 1."""
    for number in range(10):
        change(collection, number)
    shared.catch_up(0, 1)
    for count in (2, 1):
        worker = make_worker(stream.mongo, stream.folder, STREAM_PARTITIONS=count)
        worker.repartition()
        change(collection, 100 * count)
        Shared(stream, count).catch_up()
        assert_same(collection, stream.warehouse)
    zone = LandingZone(stream.folder / "landing", clock=utc_now)
    assert [1] == [each.count for each in current_partitions(zone)]


def test_a_backfill_may_take_the_position_first(stream: StreamRunner, collection: Documents) -> None:
    """Then the partitions begin there: what changed since is not lost."""
    stream.take_position()
    changes = change(collection, 1)
    assert changes == Shared(stream, 2).catch_up()
    assert_same(collection, stream.warehouse)


def test_the_metrics_name_the_partition() -> None:
    """Each sample has the label, so that lag and headroom are told apart."""
    registry = PartitionRegistry(3)
    metrics = StreamMetrics(registry)
    metrics.events.labels(op="insert").inc(2)
    metrics.source_lag_seconds.set(7)
    labels = {"partition": "3"}
    assert 7 == registry.get_sample_value("claude_analytics_stream_source_lag_seconds", labels)
    assert 2 == registry.get_sample_value("claude_analytics_stream_events_total", labels | {"op": "insert"})
    plain = CollectorRegistry()
    StreamMetrics(plain)
    assert "claude_analytics_stream_source_lag_seconds" in {metric.name for metric in plain.collect()}


class TestProgram:
    """The command, as a user runs it."""

    @pytest.fixture
    def program(self, mongo: MongoSettings, tmp_path: Path) -> Program:
        """Return the program with three partitions."""
        return Program.on(mongo, tmp_path / "data", STREAM_PARTITIONS="3", STREAM_MAX_AGE_SECONDS="0.1")

    def test_all_partitions_here(self, program: Program, collection: Documents) -> None:
        """A process each; together they read every event once."""

        def said_by(*options: str) -> str:
            done = program.run("stream", "--until-idle", "0.5", *options)
            assert 0 == done.returncode, done.stderr
            return done.stdout + done.stderr

        said_by()
        changes = sum(change(collection, number) for number in range(10))
        said = said_by()
        assert changes == sum(int(each) for each in re.findall(r"(\d+) change events read", said))
        assert 2 == len(re.findall(r"change events read", said_by("--partition", "1-2")))

    def test_the_pipeline_reads_all_of_them(self, program: Program, collection: Documents) -> None:
        """`extract` takes one after the other."""
        program.done("extract")
        changes = sum(change(collection, number) for number in range(10))
        assert f"{changes} change events landed" in program.done("extract")

    def test_a_killed_partition_is_started_again(self, program: Program, collection: Documents) -> None:
        """The others go on; SIGTERM ends them all, in good order."""
        process = program.start("stream", LOG_FORMAT="json")
        folder = Path(program.environment["DATA_DIR"]) / "landing"
        zone = LandingZone(folder, clock=utc_now)

        def all_run() -> bool:
            partitions = current_partitions(zone)
            lanes = [zone.lane(each.lane) for each in partitions]
            return len(lanes) == 3 and all(lane.is_being_written for lane in lanes)

        try:
            wait_until(all_run)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            assert 3 == len(children)
            os.kill(int(children[0]), signal.SIGKILL)
            changes = sum(change(collection, number) for number in range(10))
            landed = Shared(StreamRunner(MongoSettings(), folder.parent), 3).landed
            wait_until(lambda: len(landed()) == changes)
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=patience())
        assert 128 + signal.SIGTERM == process.returncode, output

    def test_numbers_that_are_none_are_refused(self, program: Program) -> None:
        """With exit code 2, and what there is."""
        assert "STREAM_PARTITIONS is 3" in program.done("stream", "--partition", "3", code=2)
        assert "name one of 0 to 2" in program.done("stream", "--partition", "x", code=2)
