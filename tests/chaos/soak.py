"""A stream worker's life among faults: they come one after the other, in an order that the seed decides."""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from pymongo.errors import PyMongoError

from batch.backfill.scan import present_cluster_time
from batch.mongod.replica_set import EmbeddedMongo
from tests.chaos.conftest import BACKFILL, WORKER, Arena
from tests.support.forking import Forked
from tests.support.patience import patience
from tests.support.streaming import wait_until

FAILPOINTS = (
    "window_closed",
    "dead_letters_stored",
    "file_written",
    "file_synced",
    "file_renamed",
    "load_before_commit",
    "load_committed",
)
_SETTINGS = {
    "STREAM_MAX_ROWS": 400,
    "BATCH_SIZE": 100,
    "STREAM_MAX_AGE_SECONDS": 0.3,
    "STREAM_ON_HISTORY_LOST": "resnapshot",
}
_BACKFILL = {"range_size_bytes": 100_000, "lease_timeout_seconds": 300}
_ENDINGS = {
    0: "stopped",
    -signal.SIGKILL: "killed",
    -signal.SIGTERM: "stopped before it began",
}
_A_PERSON_MUST_ACT = 2
_LONGEST_STOP_SECONDS = 10
_SERVERS_ARE_AWAY = ("SourceUnreachableError", "StepFailedError")


class Soak:
    """Keeps a worker running, as a supervisor would, and does harm to it and to everything around it.

    Args:
        arena: The collection that changes meanwhile, and the data folder.
        nodes: The set of three behind it.
        seed: Decides the order of faults and their sizes (what falls together differs).
        scale: How long faults last; 1 is meant for minutes and hours.

    Attributes:
        done: Times that each fault was done.
        endings: How workers ended.
        largest_bytes: Resident memory of a worker at its largest.
        slowest_stop_seconds: From a signal to the end of a worker.
    """

    def __init__(self, arena: Arena, nodes: EmbeddedMongo, *, seed: int, scale: float) -> None:
        self.done: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.largest_bytes = 0
        self.slowest_stop_seconds = 0.0
        self._arena = arena
        self._nodes = nodes
        self._chance = random.Random(seed)
        self._scale = scale
        self._log = arena.stream.folder.parent / "worker.log"
        self._log_begins_at = 0
        self._worker: Forked | None = None
        self._settings = _SETTINGS
        self._faults: tuple[Callable[[], None], ...] = (
            self._kill_worker,
            self._kill_worker_at_a_failpoint,
            self._stop_worker,
            self._freeze_worker,
            self._step_down,
            self._kill_primary,
            self._kill_all_nodes,
            self._hold_lease,
            self._destroy_warehouse,
            self._backfill,
            self._kill_backfill,
            self._flood,
            self._transact,
            self._lose_majority,
            self._insert_giant_ids,
            self._change_types_of_keys,
            self._drop,
            self._rename_away_and_back,
            *((self._rewind_source,) if scale >= 1 else ()),  # its servers start four times
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have a worker beside the block; it is stopped in peace at the end."""
        self._start()
        try:
            yield
            self._stop_worker()
            self._note_ending()
        finally:
            if self._worker is not None:
                self._worker.kill()
                self._worker.wait()

    def go_on(self, seconds: float) -> None:
        """Do every fault in turn, each round in another order, for so long; at least one round."""
        until = time.monotonic() + seconds
        while True:
            for fault in self._chance.sample(self._faults, len(self._faults)):
                fault()
                self.done[fault.__name__.removeprefix("_").replace("_", " ")] += 1
                self._let_pass(0.1, 4)
            if time.monotonic() >= until:
                return

    def log(self) -> str:
        """Read what the workers have told."""
        return self._log.read_text(errors="replace")

    def _start(self, **options: object) -> None:
        self._log.touch()
        self._log_begins_at = self._log.stat().st_size
        self._worker = self._arena.start(WORKER, output=self._log, settings=self._settings, **options)

    def _has_begun(self) -> bool:
        """Whether the worker follows the collection; whoever has died instead is started again."""
        self._look_after()
        with self._log.open() as log:
            log.seek(self._log_begins_at)
            return "stream_started" in log.read()

    def _let_pass(self, least_seconds: float, most_seconds: float) -> None:
        """Let time pass with an eye on the worker: who has died is started again."""
        until = time.monotonic() + self._chance.uniform(least_seconds, most_seconds) * self._scale
        while True:
            self._look_after()
            if time.monotonic() >= until:
                return
            time.sleep(0.05)

    def _look_after(self) -> None:
        assert self._worker is not None
        ending = self._worker.poll()
        if ending is None:
            try:
                size_bytes = psutil.Process(self._worker.pid).memory_info().rss
            except psutil.NoSuchProcess:
                return
            self.largest_bytes = max(self.largest_bytes, size_bytes)
            return
        self._note_ending()
        self._start()

    def _note_ending(self) -> None:
        assert self._worker is not None
        ending, last_words = self._worker.returncode, self.log()[-2000:]
        # A start amid an election may give up, for its supervisor to try again.
        if ending == 1 and any(name in last_words for name in _SERVERS_ARE_AWAY):
            self.endings["no server at the start"] += 1
            return
        assert ending in _ENDINGS, f"the worker ended with {ending}:\n{last_words}"
        self.endings[_ENDINGS[ending]] += 1

    def _await_end(self) -> None:
        assert self._worker is not None
        self._worker.wait(patience())

    def _kill_worker(self) -> None:
        assert self._worker is not None
        self._worker.kill()
        self._await_end()

    def _kill_worker_at_a_failpoint(self) -> None:
        self._kill_worker()
        self._note_ending()
        self._start(failpoint=self._chance.choice(FAILPOINTS), nth=self._chance.randrange(1, 4))
        self._await_end()

    def _stop_worker(self) -> None:
        assert self._worker is not None
        wait_until(self._has_begun)
        self._let_pass(1, 2)
        self._worker.send_signal(signal.SIGTERM)
        told_at = time.monotonic()
        self._await_end()
        took_seconds = time.monotonic() - told_at
        self.slowest_stop_seconds = max(self.slowest_stop_seconds, took_seconds)
        assert took_seconds < patience(_LONGEST_STOP_SECONDS)

    def _freeze_worker(self) -> None:
        assert self._worker is not None
        self._worker.send_signal(signal.SIGSTOP)
        time.sleep(self._chance.uniform(1, 15) * self._scale)
        self._worker.send_signal(signal.SIGCONT)

    def _step_down(self) -> None:
        before = self._nodes.wait_for_primary()
        self._nodes.step_down(seconds=5)
        self._nodes.wait_for_primary(other_than=before)

    def _kill_primary(self) -> None:
        before = self._nodes.wait_for_primary()
        self._nodes.kill_node(before)
        self._nodes.wait_for_primary(other_than=before)
        self._let_pass(0.1, 4)
        self._nodes.restart_node(before)

    def _kill_all_nodes(self) -> None:
        with self._nodes_killed():
            self._let_pass(1, 30)

    @contextmanager
    def _nodes_killed(self) -> Iterator[None]:
        """Have no server in the block, and a primary behind it."""
        for index in range(3):
            self._nodes.kill_node(index)
        yield
        for index in range(3):
            self._nodes.restart_node(index)
        self._nodes.wait_for_primary()

    def _rewind_source(self) -> None:
        """Restore older files of the servers: a worker ends with exit code 2, the next reads everything."""
        lane = self._arena.stream.lane
        now = present_cluster_time(self._arena.collection.database.client)
        self._wait_for(lambda: (position := lane.position()) is not None and position.cluster_time > now)
        self._stop_worker()
        self._settings = _SETTINGS | {"STREAM_ON_HISTORY_LOST": "stop"}
        kept = {node.db_path: node.db_path.with_suffix(".kept") for node in self._nodes.nodes}
        with self._nodes_killed():
            for path, copy in kept.items():
                shutil.copytree(path, copy)
        landed = len(lane.micro_batches())
        self._wait_for(lambda: len(lane.micro_batches()) > landed)
        with self._nodes_killed():
            for path, copy in kept.items():
                shutil.rmtree(path)
                copy.rename(path)
        self._wait_for(lambda: self._worker is not None and self._worker.poll() == _A_PERSON_MUST_ACT)
        assert "HistoryRewoundError" in self.log()[-2000:]
        self.endings["refused a rewound source"] += 1
        self._settings = _SETTINGS
        self._start()
        # Until it reads everything again a backfill refuses the source as well.
        self._wait_for(lambda: "resnapshot_started" in self.log()[self._log_begins_at :])

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait with an eye on the worker."""

        def holds() -> bool:
            if condition():
                return True
            self._look_after()
            return False

        wait_until(holds, seconds=patience())

    def _hold_lease(self) -> None:
        with self._arena.stream.warehouse.lock.held(timeout_seconds=patience()):
            self._let_pass(1, 15)

    def _destroy_warehouse(self) -> None:
        warehouse = self._arena.stream.warehouse
        with warehouse.lock.held(timeout_seconds=patience()):
            warehouse.path.unlink(missing_ok=True)
            Path(f"{warehouse.path}.wal").unlink(missing_ok=True)

    def _backfill(self) -> None:
        with self._arena.running(BACKFILL, options=_BACKFILL) as process:
            while process.poll() is None:
                self._let_pass(0.1, 0.1)
            assert 0 == process.returncode, process.communicate()

    def _kill_backfill(self) -> None:
        with self._arena.running(BACKFILL, options=_BACKFILL, pause_ms=20):
            self._let_pass(1, 4)

    def _flood(self) -> None:
        number = 4_000 if self._scale >= 1 else 1_000
        body = {"type": "flood", "message": "x" * 300}
        floods = self._arena.collection
        try:
            floods.insert_many([body | {"flood": self.done["flood"]} for _ in range(number)])
            floods.update_many({"type": "flood"}, {"$set": {"sessionId": "high water"}})
            floods.delete_many({"type": "flood", "flood": {"$lt": self.done["flood"]}})
        except PyMongoError:
            self.endings["floods cut short"] += 1

    def _transact(self) -> None:
        documents = self._arena.collection
        kind = f"transaction {self.done['transact']}"
        try:
            with documents.database.client.start_session() as session, session.start_transaction():
                documents.insert_many([{"type": kind} for _ in range(50)], session=session)
                documents.delete_many({"type": {"$regex": "^transaction"}}, session=session)
                documents.insert_many([{"type": kind, "round": 2} for _ in range(30)], session=session)
        except PyMongoError:
            self.endings["transactions aborted"] += 1

    def _lose_majority(self) -> None:
        primary = self._nodes.wait_for_primary()
        others = [index for index in range(3) if index != primary]
        for index in others:
            self._nodes.kill_node(index)
        self._let_pass(1, 15)
        for index in others:
            self._nodes.restart_node(index)
        self._nodes.wait_for_primary()

    def _insert_giant_ids(self) -> None:
        length = 2_500_000 if self._scale >= 1 else 300_000  # 2.8 MB and more make no reply at all
        documents = self._arena.collection
        key = {"_id": f"giant {self.done['insert giant ids']} " + "x" * self._chance.randrange(length)}
        try:
            documents.insert_one(key | {"type": "giant"})
            documents.update_one(key, {"$set": {"uuid": "changed"}})
            if self._chance.randrange(2):
                documents.delete_one(key)
        except PyMongoError:
            self.endings["giants refused"] += 1

    def _change_types_of_keys(self) -> None:
        """Replace documents under equal keys of other types, deep ones too; delete some by a third."""
        documents = self._arena.collection
        try:
            for number in range(self._chance.randrange(5, 20)):
                kinds = [number, float(number), Int64(number), Decimal128(f"{number}.0")]
                for name in ("flat", "deep"):
                    old, new, last = (
                        {"k": kind if name == "flat" else [kind]} for kind in self._chance.sample(kinds, 3)
                    )
                    documents.replace_one({"_id": old}, {"type": "old"}, upsert=True)
                    documents.replace_one({"_id": old}, {"_id": new, "type": "new"})
                    if self._chance.randrange(3) == 0:
                        documents.delete_one({"_id": last})
        except PyMongoError:
            self.endings["changes of keys cut short"] += 1

    def _drop(self) -> None:
        try:
            self._arena.collection.drop()
        except PyMongoError:
            self.endings["drops refused"] += 1

    def _rename_away_and_back(self) -> None:
        documents = self._arena.collection
        try:
            documents.rename("away", dropTarget=True)
            documents.database["away"].rename(documents.name, dropTarget=True)
        except PyMongoError:
            self.endings["renames refused"] += 1
