"""What MongoDB's errors mean, and how far its oplog reaches."""

from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    InvalidOperation,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from stream.core.position import Fingerprint
from stream.errors import (
    AccessDeniedError,
    AnalyticsError,
    HistoryLostError,
    SettingsError,
    SourceUnreachableError,
    SourceUnsuitableError,
    StepFailedError,
)
from stream.settings import MongoSettings
from stream.source.client import Oplog, connect, explained, fingerprint, is_passing

RESUMABLE = {"errorLabels": ["ResumableChangeStreamError"]}


@pytest.mark.parametrize(
    ("error", "expected", "exit_code", "passes"),
    [
        (ServerSelectionTimeoutError("no servers"), SourceUnreachableError, 1, True),
        (AutoReconnect("connection closed"), SourceUnreachableError, 1, True),
        (NetworkTimeout("timed out"), SourceUnreachableError, 1, True),
        (NotPrimaryError("not primary"), SourceUnreachableError, 1, True),
        (ConnectionFailure("refused"), SourceUnreachableError, 1, True),
        (CursorNotFound("cursor id 5 not found", 43), StepFailedError, 1, True),
        (OperationFailure("killed", 237), StepFailedError, 1, True),
        (OperationFailure("stale", 63, RESUMABLE), StepFailedError, 1, True),
        (OperationFailure("unknown", 9999), StepFailedError, 1, False),
        (OperationFailure("no code"), StepFailedError, 1, False),
        (OperationFailure("not authorized", 13), AccessDeniedError, 2, False),
        (OperationFailure("Authentication failed.", 18), AccessDeniedError, 2, False),
        (OperationFailure("atlas", 8000), AccessDeniedError, 2, False),
        (OperationFailure("could not find user", 11), AccessDeniedError, 2, False),
        (ServerSelectionTimeoutError("certificate verify failed: unknown"), SettingsError, 2, True),
        (OperationFailure("capped position lost", 136), HistoryLostError, 2, False),
        (OperationFailure("invalid resume token", 260), HistoryLostError, 2, False),
        (OperationFailure("change stream fatal", 280), HistoryLostError, 2, False),
        (OperationFailure("history lost", 286), HistoryLostError, 2, False),
        (OperationFailure("only supported on replica sets", 40573), SourceUnsuitableError, 2, False),
        (ConfigurationError("bad option"), SettingsError, 2, False),
        (InvalidOperation("closed"), StepFailedError, 1, False),
    ],
    ids=lambda value: f"{type(value).__name__}-{value}" if isinstance(value, PyMongoError) else "",
)  # fmt: skip
def test_each_error_has_its_meaning(
    error: PyMongoError,
    expected: type[AnalyticsError],
    exit_code: int,
    passes: bool,  # noqa: FBT001
) -> None:
    """What to do is decided by what the server says: try again, open again, or ask a person."""
    meant = explained(error, doing="follow `a.b`")

    assert type(meant) is expected
    assert exit_code == meant.exit_code
    assert meant.message.startswith("cannot follow `a.b`: ")
    assert meant.hint
    assert is_passing(error) is passes


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://app:ge/heim@db/x",
        "mongodb://app:ge@heim@db",
        "mongodb://a:b:geheim@db",
        "mongodb://app:geheim@db:noport",
        "mongodb://app:geheim%ZZ@db",
        "mongodb://app:geheim?x@db/x",
    ],
)
def test_a_uri_that_cannot_be_used_is_said_without_its_password(uri: str) -> None:
    """Not even a part of it."""
    with pytest.raises(SettingsError, match="cannot use MONGO_URI") as caught:
        connect(MongoSettings(MONGO_URI=uri))
    assert "heim" not in caught.value.message + caught.value.hint
    assert caught.value.__cause__ is None


def test_a_window_is_what_lies_between_first_and_last() -> None:
    """In seconds of the server's clock."""
    assert 360 == Oplog(first_second=100, last_second=460, fill=1.0).window_seconds


@pytest.mark.parametrize(
    ("fill", "second", "headroom"),
    [
        (1.0, 1000, 1000), (1.0, 500, 500), (1.0, 0, 0), (1.0, -500, 0), (0.5, 1000, 2000), (0.5, 0, 1000),
        (0.1, 1000, 10_000),
    ],
    ids=["full, newest", "full, middle", "full, oldest", "fallen off", "half full, newest",
         "half full, oldest", "hardly filled"],
)  # fmt: skip
def test_headroom_is_the_time_until_a_point_falls_off(fill: float, second: int, headroom: int) -> None:
    """An oplog of a thousand seconds; until it is full nothing falls off."""
    assert headroom == Oplog(first_second=0, last_second=1000, fill=fill).headroom_seconds(second)


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.floats(0, 1, allow_nan=False), st.integers(0, 10**6))
def test_headroom_is_sane(first: int, window: int, fill: float, lag: int) -> None:
    """At least the distance from the oldest entry, and more for younger points and emptier oplogs."""
    oplog = Oplog(first, first + window, fill)
    point = oplog.last_second - lag

    assert oplog.headroom_seconds(point) >= max(0, point - first)
    assert oplog.headroom_seconds(point + 1) >= oplog.headroom_seconds(point)
    assert Oplog(first, first + window, fill / 2).headroom_seconds(point) >= oplog.headroom_seconds(point)


class FakeClient:
    """A server that answers commands from a table; an exception in it is raised."""

    def __init__(self, answers: dict[str, Any], *, version: dict[str, Any] | None = None) -> None:
        self.admin = self  # as any other database
        self._answers = answers
        self._version = version

    def __getitem__(self, _name: str) -> "FakeClient":
        return self

    def command(self, name: str) -> Any:
        """Answer."""
        answer = self._answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def find_one(self) -> dict[str, Any] | None:
        """Return what `config.version` holds."""
        return self._version


REPLICA_SET_ID = ObjectId("65a000000000000000000001")
CONFIG = {"config": {"settings": {"replicaSetId": REPLICA_SET_ID}}}
DENIED = OperationFailure("not authorized", 13)


@pytest.mark.parametrize(
    ("client", "cluster_id", "set_name"),
    [
        (FakeClient({"hello": {"setName": "rs0"}, "replSetGetConfig": CONFIG}), str(REPLICA_SET_ID), "rs0"),
        (FakeClient({"hello": {"setName": "rs0"}, "replSetGetConfig": DENIED}), None, "rs0"),
        (FakeClient({"hello": {"msg": "isdbgrid"}}, version={"clusterId": REPLICA_SET_ID}),
         str(REPLICA_SET_ID), ""),
        (FakeClient({"hello": {"msg": "isdbgrid"}}), None, ""),
    ],
    ids=["replica set", "without privilege", "sharded cluster", "sharded, without id"],
)  # fmt: skip
def test_a_source_is_known_by_its_cluster(client: Any, cluster_id: str | None, set_name: str) -> None:
    """What the account may not read is left open."""
    settings = MongoSettings(MONGO_URI="mongodb://x", MONGO_DB="a", MONGO_COLLECTION="b")

    assert Fingerprint(cluster_id, set_name, "a.b", "1") == fingerprint(client, settings, pipeline="1")
