"""Stream and scheduler together, as the Procfile starts them, while people write, and kills fall.

`SOAK_SECONDS=1800 pytest -s tests/chaos/test_schedule_soak.py` lets it go on for so long, with a run each
minute and two kills of each; CI runs one kill of each.
"""

import copy
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from batch.publish.folder import ServingFolder
from batch.runs.journal import PIPELINE, PUBLISH, SUCCEEDED, Journal
from batch.shipped import sample_logs
from stream.clock import utc_now
from stream.settings import MongoSettings
from tests.chaos.conftest import Documents
from tests.chaos.soaking import as_table
from tests.support.equality import assert_manifest_is_sound, assert_same
from tests.support.marts import documents_of
from tests.support.paths import ROOT
from tests.support.patience import patience
from tests.support.program import Program
from tests.support.readers import reading
from tests.support.streaming import make_warehouse, stream_lane, wait_until

pytestmark = pytest.mark.chaos

SECONDS = float(os.environ.get("SOAK_SECONDS", "0"))


class Crew:
    """The processes of the Procfile, run by honcho.

    Attributes:
        largest_bytes: Resident memory of each process at its largest.
    """

    def __init__(self, folder: Path, mongo: MongoSettings) -> None:
        self.folder = folder
        self.serving = ServingFolder(folder / "serving")
        self.journal = Journal(folder / "runs.jsonl", clock=utc_now)
        self.largest_bytes: Counter[str] = Counter()
        self.program = Program.on(
            mongo,
            folder,
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            SCHEDULE_METRICS_PORT="0",
            SCHEDULE_HOURLY="* * * * *",
            STREAM_MAX_AGE_SECONDS="1",
        )
        self._procfile = folder.parent / "Procfile"
        # The first run need not wait for its minute.
        self._procfile.write_text((ROOT / "Procfile").read_text().rstrip() + " --run-now\n")
        self._log = folder.parent / "log"
        self._honcho: psutil.Popen | None = None

    def start(self) -> None:
        """Start all processes."""
        with self._log.open("ab") as log:
            self._honcho = psutil.Popen(
                [sys.executable, "-m", "honcho", "start", "-f", self._procfile],
                cwd=ROOT,
                env=self.program.environment,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: {"stream", "schedule"} <= self._members().keys())

    def kill(self, name: str) -> None:
        """Kill one process; the others end with it, as honcho has it, and nothing is left behind."""
        everybody = self._everybody()
        self._members()[name].kill()
        self._end(everybody)

    def stop(self) -> None:
        """Stop all processes in peace."""
        everybody = self._everybody()
        assert self._honcho is not None
        self._honcho.send_signal(signal.SIGTERM)
        self._end(everybody)

    def _end(self, everybody: list[psutil.Process]) -> None:
        assert self._honcho is not None
        self._honcho.wait(patience(20))
        _gone(everybody)

    def watch(self) -> None:
        """Note how much memory each process takes."""
        for name, process in self._members().items():
            try:
                self.largest_bytes[name] = max(self.largest_bytes[name], process.memory_info().rss)
            except psutil.NoSuchProcess:
                continue

    def build(self) -> str | None:
        """Name the build that readers see."""
        return self.serving.current_build()

    def log(self) -> str:
        """Read what the processes have told."""
        return self._log.read_text(errors="replace")

    def _members(self) -> dict[str, psutil.Process]:
        """Return the processes by command; the one that honcho started, not its shell."""
        found = {}
        for process in self._everybody():
            try:
                command = process.cmdline()
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            name = next((each for each in command if each in {"stream", "schedule", "pipeline"}), None)
            if name is not None:
                found[name] = process
        return found

    def _everybody(self) -> list[psutil.Process]:
        assert self._honcho is not None
        try:
            return [self._honcho, *self._honcho.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _gone(processes: list[psutil.Process]) -> None:
    until = time.monotonic() + patience(20)
    while (alive := [process for process in processes if _is_alive(process)]) and time.monotonic() < until:
        time.sleep(0.1)
    for process in alive:
        process.kill()
    assert [] == alive


def _is_alive(process: psutil.Process) -> bool:
    """Whether it still does anything; an orphan's remains are for whoever is process 1 to clear away."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Life:
    """People at work: conversations that grow, line by line; lines that change and go.

    Attributes:
        inserted: Documents written.
    """

    def __init__(self, collection: Documents, seed: int) -> None:
        self.inserted = 0
        self._collection = collection
        self._chance = random.Random(seed)
        self._sample = documents_of(sample_logs())
        self._is_over = threading.Event()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Work beside the block."""
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _work(self) -> None:
        while not self._is_over.wait(0.5):
            self._collection.insert_many([self._document() for _ in range(self._chance.randrange(5, 30))])
            chosen = [each["_id"] for each in self._collection.aggregate([{"$sample": {"size": 3}}])]
            self._collection.update_one({"_id": chosen[0]}, {"$set": {"note": self._chance.random()}})
            if self._chance.random() < 0.3:
                self._collection.delete_one({"_id": chosen[-1]})

    def _document(self) -> dict[str, Any]:
        number, place = divmod(self.inserted, len(self._sample))
        self.inserted += 1
        document = copy.deepcopy(self._sample[place])
        document["_id"] = f"{number}-{document['_id']}"
        if "timestamp" in document:
            document["timestamp"] = utc_now()
        for name in ("sessionId", "uuid", "parentUuid", "requestId"):
            if isinstance(document.get(name), str):
                document[name] = f"{number}-{document[name]}"
        return document


def test_stream_and_schedule_together(
    collection: Documents, mongo: MongoSettings, tmp_path: Path, seed: int
) -> None:
    """Everything arrives, builds go on, no reader sees an error, and kills leave nothing behind."""
    crew = Crew(tmp_path / "data", mongo)
    crew.folder.mkdir()
    life = Life(collection, seed)
    crew.start()
    wait_until(lambda: stream_lane(crew.folder).position() is not None)
    try:
        with life.going_on():
            _go_on(crew, until=crew.serving.database.exists)
            with reading(
                Path(__file__).with_name("soak_reader.py"), [(crew.serving.database,)] * 2
            ) as readers:
                for name in ("schedule", "stream") * (2 if SECONDS else 1):
                    _go_on(crew, seconds=SECONDS / 5)
                    crew.kill(name)
                    crew.start()
                before = crew.build()
                _go_on(crew, until=lambda: crew.build() != before, seconds=SECONDS / 5)
        _go_on(crew, until=lambda: _rows(crew) == collection.count_documents({}))
        verdict = crew.program.done("verify").strip().splitlines()[-1]
        crew.watch()
    except BaseException:
        print(crew.log()[-5000:])  # noqa: T201 - for whoever looks into the failure
        raise
    finally:
        crew.stop()

    runs = Counter(step.outcome for step in crew.journal.steps() if step.step == PIPELINE)
    figures = {
        "inserted": life.inserted,
        "documents": collection.count_documents({}),
        "runs": dict(runs),
        **{f"reader {number}": told for number, told in enumerate(readers, start=1)},
        "largest_mb": {name: round(size / 1e6) for name, size in crew.largest_bytes.items()},
        "run_seconds": [
            round(step.seconds or 0, 1) for step in crew.journal.steps() if step.step == PIPELINE
        ],
        "verify": verdict,
    }
    print(f"\n{as_table(figures)}")  # noqa: T201 - figures for whoever asks
    assert [] == [problem for told in readers for problem in told["problems"]]
    assert [] == [(step.step, step.error) for step in crew.journal.steps() if step.outcome == "failed"]
    published = [
        step.run_id for step in crew.journal.steps() if step.step == PUBLISH and step.outcome == SUCCEEDED
    ]
    assert len(published) >= 2
    assert (crew.build() or "") >= published[-1]
    assert collection.count_documents({}) == assert_same(collection, make_warehouse(crew.folder))
    assert_manifest_is_sound(make_warehouse(crew.folder))


def _go_on(crew: Crew, *, until: Any = None, seconds: float = 0) -> None:
    """Let time pass: so long, and until something is so."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds or (until is not None and not until()):
        late_seconds = time.monotonic() - begun - seconds
        assert late_seconds < 180 or late_seconds < patience(180), "it did not happen in time"
        crew.watch()
        time.sleep(0.5)


def _rows(crew: Crew) -> int:
    """Count the rows of the warehouse."""
    with make_warehouse(crew.folder).opened(timeout_seconds=60) as connection:
        row = connection.execute("select count(*) from raw.conversations").fetchone()
    return int(row[0]) if row else 0
