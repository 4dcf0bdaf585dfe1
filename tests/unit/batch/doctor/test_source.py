"""What the doctor sees of a server that shows nothing, or nothing at all."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from batch.doctor.source import probe_source
from batch.doctor.source_checks import judge_source
from stream.errors import AccessDeniedError, SourceUnreachableError
from stream.settings import MongoSettings
from tests.support.landing import position_at

NOW = datetime(2026, 1, 3, 10, tzinfo=UTC)
MONGO = MongoSettings(MONGO_DB="claude_logs", MONGO_COLLECTION="conversations")


class Refusing:
    """A client, database and collection in one: says hello, and refuses all else."""

    def __init__(self, hello: dict[str, Any] | Exception) -> None:
        self.admin = self
        self._hello = hello

    def __getitem__(self, _name: str) -> "Refusing":
        return self

    def start_session(self, **_options: Any) -> Any:
        """Return one."""
        return SimpleNamespace(end_session=lambda: None)

    def command(self, command: object, *_arguments: Any, **_options: Any) -> dict[str, Any]:
        """Answer `hello` alone."""
        if command != "hello":
            return self.refuse()
        if isinstance(self._hello, Exception):
            raise self._hello
        return self._hello

    def refuse(self, *_arguments: Any, **_options: Any) -> dict[str, Any]:
        """Say no."""
        raise OperationFailure("not authorized on claude_logs", 13)

    find = find_one = aggregate = get_collection = list_collections = estimated_document_count = refuse


def test_without_privileges_it_says_what_cannot_be_seen() -> None:
    """An account that may do nothing fails where the stream would, and is warned where it cannot look."""
    client: Any = Refusing({"setName": "rs0", "localTime": datetime(2026, 1, 3, 10, 0, 7)})  # noqa: DTZ001
    facts = probe_source(client, MONGO, position_at(5), clock=lambda: NOW)
    assert (None, None, None, None) == (facts.documents, facts.has_split_stage, facts.has_images, facts.oplog)
    found = {check.name: (check.level, check.fix or "") for check in judge_source(facts, position_at(5))}
    expected = dict.fromkeys(["source", "proven", "collection", "majority"], "ok")
    expected |= {"clock": "warn", "find": "fail", "changeStream": "fail", "snapshot": "warn", "oplog": "warn"}
    assert expected == {name: level for name, (level, _) in found.items()}
    assert "`find` and `changeStream`" in found["changeStream"][1]
    assert "local.oplog.rs" in found["oplog"][1]


def test_the_clock_is_compared_with_the_middle_of_the_round_trip() -> None:
    """A slow answer is not taken for a wrong clock."""
    client: Any = Refusing({"setName": "rs0", "localTime": datetime(2026, 1, 3, 10, 0, 4)})  # noqa: DTZ001
    instants = iter([NOW, NOW + timedelta(seconds=6)])
    facts = probe_source(client, MONGO, None, clock=lambda: next(instants))
    assert 1.0 == facts.server.skew_seconds


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ServerSelectionTimeoutError("nobody there"), SourceUnreachableError),
        (OperationFailure("authentication failed", 18), AccessDeniedError),
    ],
    ids=["down", "wrong password"],
)
def test_without_an_answer_there_are_no_facts(answer: Exception, expected: type[Exception]) -> None:
    """A server that does not answer, or not to us, is one error."""
    client: Any = Refusing(answer)
    with pytest.raises(expected):
        probe_source(client, MONGO, None, clock=lambda: NOW)
