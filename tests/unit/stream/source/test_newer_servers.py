"""The stream over recorded exchanges with servers that split large events; none of them can run here."""

import itertools
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import bson
import pytest
import structlog
from bson import json_util
from bson.raw_bson import RawBSONDocument
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect
from structlog.testing import LogCapture

from batch.verify.later_changes import later_changes
from stream.core.change_event import Reply
from stream.core.changes import read_changes
from stream.core.collection_event import InvalidationPolicy
from stream.core.position import Position, cluster_time_of_token
from stream.decode.self_check import transcribe_way
from stream.metrics import StreamMetrics
from stream.settings import MongoSettings
from stream.source import change_stream
from stream.source.change_stream import ChangeStream
from stream.stop import StopSignal
from tests.support.paths import ROOT
from tests.support.replies import SOURCE

SETTINGS = MongoSettings(
    MONGO_URI="mongodb://nowhere", MONGO_DB="claude_logs", MONGO_COLLECTION="conversations"
)
EXACT = json_util.JSONOptions(json_mode=json_util.JSONMode.CANONICAL)


class Recorded:
    """Client, database and server in one: insists on the commands of a recording, and gives its replies.

    Attributes:
        at_end: Set with the last of them.
        exchanges: What is still to come.
        pipelines: Of the cursors that were opened, without where they begin.
    """

    def __init__(self, name: str) -> None:
        recording = json_util.loads((ROOT / "tests/data/wire" / name).read_text(), json_options=EXACT)
        self.at_end = StopSignal()
        self.pipelines: list[list[Mapping[str, Any]]] = []
        self.exchanges: list[dict[str, Any]] = recording["exchanges"]

    def __getitem__(self, _name: str) -> "Recorded":
        return self

    def start_session(self, **_options: object) -> Any:
        """Return one."""
        return SimpleNamespace(end_session=lambda: None)

    @property
    def position(self) -> Position:
        """Where the recording begins."""
        return self._at(self.exchanges[0]["to"]["startAfter"])

    def _at(self, token: dict[str, Any]) -> Position:
        return Position(token, cluster_time_of_token(token) or 0, SOURCE)

    def command(self, command: Any, *_arguments: Any, **_options: Any) -> Any:
        """Answer as recorded."""
        if isinstance(command, str):
            return None
        exchange = self.exchanges.pop(0)
        expected = exchange["to"]
        assert next(iter(expected)) in command
        if "startAfter" in expected:
            stage, *others = command["pipeline"]
            assert expected["startAfter"] == stage["$changeStream"]["startAfter"]
            self.pipelines.append(others)
        if exchange.get("lost"):
            raise AutoReconnect("connection closed")
        if not self.exchanges:
            self.at_end.finish()
        return RawBSONDocument(bson.encode(exchange["reply"]))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the waits short."""
    monkeypatch.setattr(change_stream, "_FIRST_BACKOFF_SECONDS", 0.001)


def replies_of(server: Recorded) -> list[Reply]:
    """Read a recording to its end as the worker does."""
    stream = ChangeStream(
        server,  # type: ignore[arg-type]
        SETTINGS,
        batch_size=100,
        position=server.position,
        stop=server.at_end,
        metrics=StreamMetrics(CollectorRegistry()),
        log=structlog.wrap_logger(None, processors=[LogCapture()]),
    )
    return list(stream.replies())


@pytest.mark.fault(
    8,
    "the connection is lost between the fragments of an event (recorded replies of MongoDB 7)",
    "it is read again from its beginning; no position lies inside it",
)
@pytest.mark.parametrize("is_compiled", [False, True], ids=["Python", "compiled"])
def test_a_split_event_becomes_one_row(*, is_compiled: bool) -> None:
    """Each event is one row, and a worker that ends between any two replies goes on behind a whole event."""
    server = Recorded("split_event.json")
    position = server.position
    rows: list[tuple[str, int]] = []
    behind: list[Mapping[str, Any]] = []
    for reply in replies_of(server):
        way = transcribe_way() if is_compiled else None
        batch = read_changes(reply, behind=position, extracted_at=0, transcribe=way).batch
        rows += zip(batch.table["_id"].to_pylist(), batch.table["content_length"].to_pylist(), strict=True)
        position = batch.position
        behind.append(position.token)
    assert [("i:2", 6), ("i:3", 6), ("i:4", 6)] == rows
    fragments = {
        event["_id"]["_data"]
        for event in itertools.chain.from_iterable(map(_events, Recorded("split_event.json").exchanges))
        if event.get("splitEvent", {"fragment": 3})["fragment"] != 3
    }
    assert 2 == len(fragments)
    assert not fragments.intersection(token["_data"] for token in behind)


def _events(exchange: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = exchange.get("reply", {"cursor": {}})["cursor"].get("nextBatch", [])
    return found


def test_verify_reads_later_changes_through_a_split_event() -> None:
    """It opens its cursor with the same stages as the stream, and knows the event's document."""
    server, other = Recorded("split_event.json"), Recorded("split_event.json")
    replies_of(other)
    # As the stream does after the lost connection: what is recorded from there on is one reading of its own.
    server.exchanges = server.exchanges[4:]
    until = cluster_time_of_token(server.exchanges[-1]["reply"]["cursor"]["postBatchResumeToken"])
    assert until is not None
    client: Any = server
    found = later_changes(client, SETTINGS, server.position, until=until, policy=InvalidationPolicy())
    assert {"i:3", "i:4"} == found.keys
    assert [{"$changeStreamSplitLargeEvent": {}}] == [stages[-1] for stages in server.pipelines]
    assert other.pipelines == server.pipelines * 2
