"""What an account may not see is done without; any other failure of the same questions is one."""

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from batch.backfill.filters import Filters
from batch.backfill.plan import Origin
from batch.backfill.survey import make_plan, require_origin
from stream.core.position import Fingerprint, Position
from stream.errors import AnalyticsError
from stream.settings import MongoSettings
from stream.source.client import fingerprint, is_refused, read_oplog
from stream.source.namespace import require_collection
from stream.source.timeline import require_timeline

SETTINGS = MongoSettings(MONGO_URI="mongodb://nowhere", MONGO_DB="a", MONGO_COLLECTION="b")
SOURCE = Fingerprint("6507", "rs0", "a.b", "1")


class Refusing:
    """Client, database and collection in one: an account that may do no more than find."""

    def __init__(self, error: OperationFailure) -> None:
        self.admin = self  # rights are those of the account
        self._error = error

    def get_collection(self, _name: str, **_options: object) -> "Refusing":
        """Return the same."""
        return self

    __getitem__ = get_collection

    def with_options(self, **_options: object) -> "Found":
        """Return what may be found."""
        return Found()

    def estimated_document_count(self) -> int:
        """Count, which takes no more than `find`."""
        return 7

    def command(self, command: Any) -> Any:
        """Answer `hello` alone."""
        if command == "hello":
            return {"setName": "rs0"}
        raise self._error

    def _refuse(self, *_arguments: Any, **_options: Any) -> Any:
        raise self._error

    find = find_one = aggregate = _refuse


class Found:
    """A collection without documents."""

    def find(self, *_arguments: Any, **_options: Any) -> "Found":
        """Find nothing."""
        return self

    def __iter__(self) -> Any:
        return iter(())


def plan(client: Any) -> object:
    return make_plan(
        client, SETTINGS, origin=Origin(SOURCE, None), filters=Filters(), range_size_bytes=100,
        plan_id="1", created_at="",
    ).documents  # fmt: skip


QUESTIONS: dict[str, tuple[Callable[[Any], object], object]] = {
    "id of the cluster": (lambda client: fingerprint(client, SETTINGS, pipeline="1").cluster_id, None),
    "oplog": (read_oplog, None),
    "timeline": (lambda client: require_timeline(client, "a.b", Position({}, 5, SOURCE)), None),
    "kinds of collections": (lambda client: require_collection(client, SETTINGS), None),
    "id of the collection": (lambda client: require_origin(client, SETTINGS, Origin(SOURCE, None)), None),
    "size of the collection": (plan, 7),
}
REFUSALS = [
    OperationFailure("not authorized on admin to execute command { replSetGetConfig: 1 }", 13),
    OperationFailure("user is not allowed to do action [find] on [local.oplog.rs]", 8000),
    OperationFailure("no such command: 'replSetGetConfig'", 59),
]
FAILURES = [
    OperationFailure("Authentication failed.", 18),
    OperationFailure("bad auth : Authentication failed.", 8000),
    OperationFailure("operation was interrupted", 11601),
    OperationFailure("unknown"),
]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: str(error.code))
@pytest.mark.parametrize("question", QUESTIONS)
def test_what_may_not_be_seen_is_done_without(question: str, error: OperationFailure) -> None:
    """The least privileges are enough."""
    ask, without = QUESTIONS[question]
    assert is_refused(error)
    assert without == ask(Refusing(error))


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: f"{error.code}-{error}"[:14])
@pytest.mark.parametrize("question", QUESTIONS)
def test_any_other_failure_is_one(question: str, error: OperationFailure) -> None:
    """A login that is refused, most of all, must not look like a privilege that is missing."""
    ask, _ = QUESTIONS[question]
    assert not is_refused(error)
    with pytest.raises((OperationFailure, AnalyticsError)):
        ask(Refusing(error))


def test_a_beginning_without_an_anchor_and_a_sharded_cluster_are_not_asked() -> None:
    """There is no entry to look for: of a position that an older version saved, and behind a `mongos`."""
    client: Any = Refusing(OperationFailure("unknown"))
    require_timeline(client, "a.b", Position({}, 5, SOURCE, is_beginning=True))
    require_timeline(client, "a.b", Position({}, 5, Fingerprint("6507", "", "a.b", "1")))
