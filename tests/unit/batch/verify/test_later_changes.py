"""The look at later changes: opened as the stream is, through fragments, drops and invalidations."""

from types import SimpleNamespace
from typing import Any

import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from batch.verify.later_changes import LaterChanges, later_changes
from stream.core.cluster_time import cluster_time_of
from stream.core.collection_event import InvalidationPolicy
from stream.errors import CollectionInvalidatedError, HistoryLostError
from stream.settings import MongoSettings
from stream.source.change_stream import ChangeCursor
from tests.support.replies import event, fragments, insert, poisoned, position_at, raw_reply, token_at

SETTINGS = MongoSettings(
    MONGO_URI="mongodb://nowhere", MONGO_DB="claude_logs", MONGO_COLLECTION="conversations"
)


class FakeServer:
    """Client, database and server in one: answers `getMore` from a list."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.pipelines: list[list[Any]] = []
        self._answers = list(answers)

    def __getitem__(self, _name: str) -> "FakeServer":
        return self

    def start_session(self, **_options: object) -> Any:
        """Return one."""
        return SimpleNamespace(end_session=lambda: None)

    def command(self, command: Any, *_arguments: Any, **_options: Any) -> Any:
        """Answer the next way; a cursor can always be opened and closed."""
        if isinstance(command, str):
            return None
        if "aggregate" in command:
            self.pipelines.append(command["pipeline"])
            return RawBSONDocument(raw_reply([], token=None, name="firstBatch"))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return RawBSONDocument(answer)


def look(server: FakeServer, policy: InvalidationPolicy | None = None) -> LaterChanges:
    return later_changes(
        server,  # type: ignore[arg-type]
        SETTINGS,
        position_at(10),
        until=cluster_time_of(20, 0),
        policy=policy or InvalidationPolicy(),
    )


def test_it_is_opened_with_the_stages_of_the_stream() -> None:
    """A token behind a fragment is of no use to another pipeline."""
    server, other = FakeServer(raw_reply([], token=token_at(20))), FakeServer()
    look(server)
    ChangeCursor(other, SETTINGS, batch_size=1, token=token_at(10))  # type: ignore[arg-type]
    assert server.pipelines == other.pipelines
    assert {"$changeStreamSplitLargeEvent": {}} in server.pipelines[0]


def test_changes_are_known_by_their_keys() -> None:
    """Writes of any kind, documents that cannot be decoded, and events in fragments across replies."""
    first, second = fragments({"_id": 4, "type": "user"}, 14, of=2)
    server = FakeServer(
        raw_reply(
            [insert({"_id": 1.0}, 11), event("delete", 12, documentKey={"_id": "a"})], token=token_at(12)
        ),
        poisoned(raw_reply([insert({"_id": 3, "text": "BAD"}, 13)], token=token_at(13))),
        raw_reply([first], token=token_at(14)),
        raw_reply([second], token=token_at(14, 2)),
        raw_reply([], token=token_at(20)),
    )
    found = look(server)
    assert ({"i:1", "s:a", "i:3", "i:4"}, False, None) == (set(found.keys), found.has_all, found.blocked_by)


def test_a_drop_is_followed_and_changes_everything() -> None:
    """Behind `invalidate` the stream is opened again, as the worker does."""
    server = FakeServer(
        raw_reply([event("drop", 11), event("invalidate", 12)], token=token_at(12), cursor_id=0),
        raw_reply([insert({"_id": 1}, 13)], token=token_at(20)),
    )
    found = look(server)
    assert (True, {"i:1"}, None) == (found.has_all, set(found.keys), found.blocked_by)
    assert [token_at(10), token_at(12)] == [
        each[0]["$changeStream"]["startAfter"] for each in server.pipelines
    ]


@pytest.mark.parametrize(
    ("happened", "policy"),
    [
        (event("rename", 11, to={"db": "claude_logs", "coll": "conversations"}), InvalidationPolicy()),
        (event("drop", 11), InvalidationPolicy(on_drop="stop")),
    ],
    ids=["replaced", "dropped, to be stopped at"],
)
def test_what_stops_the_worker_is_named(happened: dict[str, Any], policy: InvalidationPolicy) -> None:
    """What is behind it will not arrive by itself."""
    found = look(FakeServer(raw_reply([happened], token=token_at(11))), policy)
    assert isinstance(found.blocked_by, CollectionInvalidatedError)


def test_lost_history_explains_nothing() -> None:
    """Nobody will ever load what can no longer be read."""
    found = look(FakeServer(OperationFailure("history lost", 286)))
    assert (set(), False) == (set(found.keys), found.has_all)
    assert isinstance(found.blocked_by, HistoryLostError)


def test_other_errors_are_passed_on() -> None:
    """Whoever asks decides what they mean."""
    with pytest.raises(OperationFailure):
        look(FakeServer(OperationFailure("unknown", 9999)))


def test_a_transaction_is_read_to_its_end() -> None:
    """All its events have one cluster time: the first reply with that time need not be the last."""
    server = FakeServer(
        raw_reply([insert({"_id": 1}, 20, 0)], token=token_at(20, 0)),
        raw_reply([insert({"_id": 2}, 20, 0)], token=token_at(20, 0)),
        raw_reply([], token=token_at(20, 0)),
    )
    assert {"i:1", "i:2"} == look(server).keys
