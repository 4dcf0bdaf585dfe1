"""The change stream over a server that fails in every way; a list of replies stands for it."""

import itertools
from types import SimpleNamespace
from typing import Any

import bson
import pytest
import structlog
from bson.raw_bson import RawBSONDocument
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect, OperationFailure
from structlog.testing import LogCapture

from stream.core.change_event import decode_batch
from stream.errors import AccessDeniedError, EventTooLargeError, HistoryLostError, StepFailedError
from stream.metrics import StreamMetrics
from stream.settings import MongoSettings
from stream.source import change_stream
from stream.source.change_stream import ChangeCursor, ChangeStream
from stream.stop import StopSignal
from tests.support.replies import fragments, insert, position_at, raw_reply, token_at

SETTINGS = MongoSettings(MONGO_URI="mongodb://nowhere", MONGO_DB="a", MONGO_COLLECTION="b")


class FakeServer:
    """Client, database and server in one: answers commands from a list, then stops the reader.

    Opens every cursor, and cuts the connection if more events are asked for than it can send.
    """

    def __init__(self, answers: list[bytes | Exception], stop: StopSignal, at_most: int = 1000) -> None:
        self.commands: list[dict[str, Any]] = []
        self.open_sessions = 0
        self._answers = answers
        self._stop = stop
        self._at_most = at_most

    def __getitem__(self, _name: str) -> "FakeServer":
        return self

    def start_session(self, **_options: object) -> Any:
        """Count it."""
        self.open_sessions += 1
        return SimpleNamespace(end_session=self._end_session)

    def _end_session(self) -> None:
        self.open_sessions -= 1

    def command(self, command: Any, *arguments: Any, **_options: Any) -> Any:
        """Answer the next way; opening and closing a cursor always works unless an error waits."""
        if isinstance(command, str):
            self.commands.append({command: arguments})
            return None
        self.commands.append(command)
        if self._answers and command.get("batchSize", 0) > self._at_most:
            raise AutoReconnect("connection closed")
        if not self._answers:
            self._stop.finish()
            return RawBSONDocument(raw_reply([], token=None))
        is_opening = "aggregate" in command
        if is_opening and not isinstance(self._answers[0], Exception):
            return RawBSONDocument(raw_reply([], token=token_at(1), name="firstBatch"))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return RawBSONDocument(answer)

    def batch_sizes(self) -> list[int]:
        """Return how many events were asked for, each time."""
        return [command["batchSize"] for command in self.commands if "getMore" in command]

    def starts(self) -> list[Any]:
        """Return the tokens at which cursors were opened."""
        return [
            command["pipeline"][0]["$changeStream"].get("startAfter")
            for command in self.commands
            if "aggregate" in command
        ]


class Fixture:
    """A change stream on a fake server."""

    def __init__(
        self, *answers: bytes | Exception, idle_seconds: float | None = None, at_most: int = 1000
    ) -> None:
        self.stop = StopSignal()
        self.server = FakeServer(list(answers), self.stop, at_most)
        self.registry = CollectorRegistry()
        self.logged: list[Any] = (capture := LogCapture()).entries
        self.stream = ChangeStream(
            self.server,  # type: ignore[arg-type]
            SETTINGS,
            batch_size=1000,
            position=position_at(5),
            stop=self.stop,
            metrics=StreamMetrics(self.registry),
            log=structlog.wrap_logger(None, processors=[capture]),
            idle_seconds=idle_seconds,
        )

    def ids(self) -> list[Any]:
        """Read to the end; give the ids of the documents that came."""
        events = itertools.chain.from_iterable(decode_batch(reply.batch) for reply in self.stream.replies())
        return [one["documentKey"]["_id"] for one in events if isinstance(one, dict)]

    @property
    def reconnects(self) -> float | None:
        """The counter."""
        return self.registry.get_sample_value("claude_analytics_stream_reconnects_total")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the waits short."""
    monkeypatch.setattr(change_stream, "_FIRST_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(change_stream, "_MAX_BACKOFF_SECONDS", 0.01)


def reply(number: int, *, cursor_id: int = 7, token: bool = True) -> bytes:
    events = [insert({"_id": number}, number)]
    return raw_reply(events, token=token_at(number) if token else None, cursor_id=cursor_id)


def test_replies_come_in_their_order() -> None:
    """From the position on; cursor and session are given back at the end."""
    fixture = Fixture(reply(10), reply(11))

    assert [10, 11] == fixture.ids()
    assert [token_at(5)] == fixture.server.starts()
    assert {"killCursors": ("b",)} == fixture.server.commands[-1]
    assert 0 == fixture.server.open_sessions
    assert 0 == fixture.reconnects


@pytest.mark.parametrize(("idle_seconds", "expected"), [(None, 500), (0, 50), (0.2, 200), (60, 500)])
def test_the_server_waits_no_longer_than_the_reader(idle_seconds: float | None, expected: int) -> None:
    """Who ends once all is read waits for the reply that says so: for half a second, if nobody hurries."""
    fixture = Fixture(reply(10), idle_seconds=idle_seconds)
    fixture.ids()
    waits = {command["maxTimeMS"] for command in fixture.server.commands if "getMore" in command}
    assert {expected} == waits


def test_the_pipeline_leaves_out_what_is_not_needed() -> None:
    """An update's description could make an event larger than the server can send."""
    fixture = Fixture()
    fixture.ids()

    opening = fixture.server.commands[0]
    assert "updateLookup" == opening["pipeline"][0]["$changeStream"]["fullDocument"]
    assert 0 == opening["pipeline"][1]["$project"]["updateDescription"]
    assert {"level": "majority"} == opening["readConcern"]


def test_the_server_splits_large_events_if_it_can() -> None:
    """Asked for as the last stage; a server that does not know it is asked again without."""
    able, unable = Fixture(reply(10)), Fixture(OperationFailure("unrecognized", 40324), reply(10))

    assert able.ids() == unable.ids() == [10]
    stages = [next(iter(one)) for one in able.server.commands[0]["pipeline"]]
    assert ["$changeStream", "$project", "$changeStreamSplitLargeEvent"] == stages
    opened = [command["pipeline"] for command in unable.server.commands if "aggregate" in command]
    assert [3, 2] == [len(pipeline) for pipeline in opened]
    assert 0 == unable.reconnects


def test_an_event_that_is_too_large_is_come_up_to_one_by_one() -> None:
    """The reply with it fails as a whole: what is before it must not stay unread for that."""
    too_large = OperationFailure("BSONObj size: 20000243 is invalid", 10334)
    fixture = Fixture(reply(9), too_large, reply(10), too_large)

    replies = fixture.stream.replies()
    assert [next(replies).token, next(replies).token] == [token_at(9), token_at(10)]
    with pytest.raises(EventTooLargeError, match="a change event is over 16 MB") as caught:
        next(replies)
    assert 2 == caught.value.exit_code
    assert "upgrade" in caught.value.hint
    assert [250, 250, 1, 1] == fixture.server.batch_sizes()


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("connection closed"),
        OperationFailure("cursor not found", 43),
        OperationFailure("stale", 63, {"errorLabels": ["ResumableChangeStreamError"]}),
    ],
    ids=["network", "cursor", "label"],
)
def test_what_may_pass_is_waited_out(error: Exception) -> None:
    """It goes on behind the last reply given: nothing is left out, nothing comes twice."""
    fixture = Fixture(reply(10), error, error, reply(11), error, reply(12))

    assert [10, 11, 12] == fixture.ids()
    assert [token_at(5), token_at(10), token_at(10), token_at(11)] == fixture.server.starts()
    assert 0 == fixture.server.open_sessions
    assert 3 == fixture.reconnects
    assert ["source_unavailable"] * 3 == [entry["event"] for entry in fixture.logged]


FRAGMENTS = [raw_reply([part], token=part["_id"]) for part in fragments({"_id": 11}, 11, of=2)]


@pytest.mark.parametrize(
    ("answers", "ids", "reconnects"),
    [
        ([reply(10), bson.encode({"ok": 1.0}), reply(11)], [10, 11], 1),
        ([reply(10, cursor_id=0), reply(11)], [10, 11], 0),
        ([reply(10), reply(11, token=False), AutoReconnect("closed"), reply(12)], [10, 11, 12], 1),
        ([reply(10), FRAGMENTS[0], AutoReconnect("closed"), *FRAGMENTS, reply(12)], [10, 11, 12], 1),
    ],
    ids=[
        "a reply that cannot be read",
        "a cursor that the server closed",
        "a reply without a token",
        "a connection lost amid a split event",
    ],
)
def test_the_stream_is_opened_again_behind_the_last_token(
    answers: list[bytes | Exception], ids: list[int], reconnects: int
) -> None:
    """Something may have damaged a reply; a closed cursor is no reconnect; a split event comes once."""
    fixture = Fixture(*answers)

    assert ids == fixture.ids()
    assert [token_at(5), token_at(10)] == fixture.server.starts()
    assert reconnects == fixture.reconnects


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationFailure("history lost", 286), HistoryLostError),
        (OperationFailure("not authorized", 13), AccessDeniedError),
        (OperationFailure("unknown", 9999), StepFailedError),
    ],
    ids=["history", "access", "unknown"],
)
def test_what_will_not_pass_is_raised(error: Exception, expected: type[Exception]) -> None:
    """At once, from opening as from reading."""
    for answers in ([error], [reply(10), error]):
        fixture = Fixture(*answers)
        with pytest.raises(expected, match=r"cannot follow `a\.b`"):
            fixture.ids()
        assert 0 == fixture.server.open_sessions


def test_a_stop_ends_the_waiting() -> None:
    """A dead server does not keep the worker."""
    fixture = Fixture(*[AutoReconnect("down")] * 1000)
    fixture.stop.interrupt(15)

    assert [] == fixture.ids()


def test_a_cursor_without_a_token_begins_at_the_present() -> None:
    """That is how a first position is taken."""
    fixture = Fixture()

    cursor = ChangeCursor(fixture.server, SETTINGS, batch_size=1, token=None)  # type: ignore[arg-type]

    assert [None] == fixture.server.starts()
    assert cursor.first_reply.is_empty
    cursor.close()


def test_replies_that_the_server_cuts_off_are_asked_for_one_by_one() -> None:
    """Two events with giant `_id`s make no reply; each makes one, and then all is as usual."""
    fixture = Fixture(reply(10), reply(11), at_most=1)

    assert [10, 11] == fixture.ids()
    assert [250, 250, 1, 250, 250, 1] == fixture.server.batch_sizes()


def test_a_reply_that_is_always_cut_off_is_said() -> None:
    """Not even one event can be sent: a person must act, and learns why."""
    fixture = Fixture(reply(10), at_most=0)

    with pytest.raises(EventTooLargeError) as caught:
        fixture.ids()
    assert "BSONObjectTooLarge" in caught.value.hint
    assert [250, 250, 1, 1, 1, 1] == fixture.server.batch_sizes()
