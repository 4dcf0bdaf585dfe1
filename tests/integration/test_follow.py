"""Following logs into a real MongoDB: within a second, through rewrites and outages."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from batch.importer.follower import Follower, follow
from batch.importer.report import ImportReport
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from stream.clock import utc_now
from stream.errors import ImportPathError, SourceUnreachableError
from tests.support.logs import log_line, numbers
from tests.support.patience import patience
from tests.support.streaming import wait_until

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]


def append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def seconds_until(is_true: Callable[[], bool]) -> float:
    started_at = time.monotonic()
    wait_until(is_true)
    return time.monotonic() - started_at


class Following:
    """A follower in a thread of its own."""

    def __init__(self, folder: Path, collection: Documents) -> None:
        self.reports: list[ImportReport] = []
        self.outages: list[SourceUnreachableError] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(
            target=follow,
            args=([folder], collection),
            kwargs={
                "clock": utc_now,
                "stop": self.stop,
                "on_import": self.reports.append,
                "on_outage": self.outages.append,
            },
        )


@contextmanager
def following(folder: Path, collection: Documents) -> Iterator[Following]:
    followed = Following(folder, collection)
    followed.thread.start()
    try:
        yield followed
    finally:
        followed.stop.set()
        followed.thread.join(patience())
        assert not followed.thread.is_alive()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "projects"
    folder.mkdir()
    return folder


def test_an_append_arrives_within_a_second(folder: Path, collection: Documents) -> None:
    """What is written to a log is in MongoDB less than a second later."""
    log = folder / "app" / "one.jsonl"
    append(log, log_line(0))

    with following(folder, collection):
        seconds_until(lambda: numbers(collection) == [0])
        waited = []
        for number in range(1, 6):
            append(log, log_line(number))
            waited.append(seconds_until(lambda number=number: collection.count_documents({}) == number + 1))  # type: ignore[misc]
            time.sleep(0.1)

    assert max(waited) < patience(1)
    assert [0, 1, 2, 3, 4, 5] == numbers(collection)


def test_new_folders_and_logs_are_found(folder: Path, collection: Documents) -> None:
    """Projects, conversations and sub-agents that appear later are imported as well."""
    with following(folder, collection):
        append(folder / "new" / "one.jsonl", log_line(1))
        append(folder / "new" / "one" / "subagents" / "a.jsonl", log_line(2))
        seconds_until(lambda: numbers(collection) == [1, 2])
        append(folder / "new" / "one" / "subagents" / "a.jsonl", log_line(3))
        assert seconds_until(lambda: numbers(collection) == [1, 2, 3]) < patience(1.5)


def test_a_line_written_in_pieces_arrives_whole(folder: Path, collection: Documents) -> None:
    """The first half alone is nothing; once the rest is there it is one document."""
    log = folder / "app" / "one.jsonl"
    append(log, log_line(1) + '{"n":')

    with following(folder, collection) as followed:
        seconds_until(lambda: numbers(collection) == [1])
        append(log, " 2")
        append(log, "}")
        seconds_until(lambda: numbers(collection) == [1, 2])
        append(log, "\n" + log_line(3))
        seconds_until(lambda: numbers(collection) == [1, 2, 3])

    assert [] == [report.unreadable for report in followed.reports if report.unreadable]


def test_a_rewritten_log_brings_what_is_new(folder: Path, collection: Documents) -> None:
    """After a truncation or a replacement the log is read anew; old lines are not doubled."""
    log = folder / "app" / "one.jsonl"
    append(log, log_line(1) + log_line(2))

    with following(folder, collection):
        seconds_until(lambda: numbers(collection) == [1, 2])
        log.write_text(log_line(1))
        time.sleep(0.3)
        append(log, log_line(3))
        seconds_until(lambda: numbers(collection) == [1, 2, 3])
        other = log.with_suffix(".new")
        other.write_text(log_line(1) + log_line(4))
        other.replace(log)
        seconds_until(lambda: numbers(collection) == [1, 2, 3, 4])


def test_unreadable_lines_are_told_once(folder: Path, collection: Documents) -> None:
    """A bad line is reported when it is met and not again with each append."""
    log = folder / "app" / "one.jsonl"
    append(log, "garbage\n")
    (folder / "app" / "out.jsonl").symlink_to("/etc/hostname")

    with following(folder, collection) as followed:
        append(log, log_line(1))
        seconds_until(lambda: numbers(collection) == [1])
        append(log, log_line(2))
        seconds_until(lambda: numbers(collection) == [1, 2])
        time.sleep(1.2)

    told = [(item.path.name, item.line_number) for report in followed.reports for item in report.unreadable]
    assert [("one.jsonl", 1), ("out.jsonl", None)] == sorted(told, key=str)


def test_an_outage_loses_nothing(tmp_path: Path, folder: Path) -> None:
    """While the server is away the follower keeps asking; afterwards every line is there, once."""
    log = folder / "app" / "one.jsonl"
    append(log, log_line(0))
    options = MongodOptions(cache_size_gb=0.25, oplog_size_mb=64)
    with (
        EmbeddedMongo(tmp_path / "mongo", options=options) as mongo,
        MongoClient[dict[str, Any]](mongo.uri, serverSelectionTimeoutMS=500) as client,
        following(folder, client.logs.lines) as followed,
    ):
        seconds_until(lambda: numbers(client.logs.lines) == [0])
        mongo.kill_node(0)
        for number in range(1, 50):
            append(log, log_line(number))
            time.sleep(0.02)
        seconds_until(lambda: len(followed.outages) >= 2)
        append(folder / "other" / "two.jsonl", log_line(50))
        mongo.restart_node(0)
        mongo.wait_for_primary()
        seconds_until(lambda: client.logs.lines.count_documents({}) == 51)

        assert list(range(51)) == numbers(client.logs.lines)


def test_it_stops_while_mongodb_is_away(folder: Path) -> None:
    """An outage does not keep the follower from stopping."""
    append(folder / "app" / "one.jsonl", log_line(0))
    with (
        MongoClient[dict[str, Any]]("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100) as client,
        following(folder, client.logs.lines) as followed,
    ):
        seconds_until(lambda: len(followed.outages) >= 1)
        followed.stop.set()
        assert seconds_until(lambda: not followed.thread.is_alive()) < patience(5)


def test_it_stops_amid_a_long_import_and_goes_on_later(folder: Path, collection: Documents) -> None:
    """The first import of many logs need not be waited for; the next start does the rest."""
    append(folder / "app" / "one.jsonl", "".join(log_line(number) for number in range(60_000)))
    with following(folder, collection) as followed:
        seconds_until(lambda: collection.estimated_document_count() >= 1000)
        followed.stop.set()
    assert collection.count_documents({}) < 60_000

    with following(folder, collection):
        seconds_until(lambda: collection.estimated_document_count() == 60_000)


def test_an_append_costs_only_the_new_bytes(folder: Path, collection: Documents) -> None:
    """What was read is not read again."""
    log = folder / "app" / "one.jsonl"
    append(log, log_line(1) * 1000)
    follower = Follower([folder], collection, clock=utc_now, stop=threading.Event())
    follower.search()
    follower.import_new()
    append(log, log_line(2))

    report = follower.import_new([log, folder / "unknown.jsonl"])

    assert (len(log_line(2)), 1) == (report.size_bytes, report.inserted)
    assert 0 == follower.import_new().size_bytes


def test_a_restart_inserts_nothing_twice(folder: Path, collection: Documents) -> None:
    """A new follower reads everything once more and finds it there."""
    append(folder / "app" / "one.jsonl", log_line(1) + log_line(1) + log_line(2))
    for expected in (3, 0):
        follower = Follower([folder], collection, clock=utc_now, stop=threading.Event())
        follower.search()
        assert expected == follower.import_new().inserted

    assert [1, 1, 2] == numbers(collection)


def test_a_path_that_does_not_exist_is_said(tmp_path: Path, collection: Documents) -> None:
    """There is nothing to follow."""
    with pytest.raises(ImportPathError, match="no such file"):
        follow([tmp_path / "none"], collection, clock=utc_now, stop=threading.Event())
