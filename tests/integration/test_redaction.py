"""Secrets never reach the disk, by whichever way a document comes, and `verify` still proves the copy."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bson.objectid import ObjectId
from pymongo.collection import Collection

from batch.dead_letters import replay
from stream.clock import utc_now
from stream.core.normalise import normalise
from stream.core.redact import Redactor
from stream.core.secret_rules import known_rules
from stream.decode import compiled, self_check
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import LandingZone
from stream.settings import DataSettings
from tests.support.backfilling import BackfillRunner
from tests.support.secrets_for_tests import SECRETS
from tests.support.streaming import StreamRunner
from tests.support.verifying import verifier_of

pytestmark = pytest.mark.integration

REDACTOR = Redactor(known_rules(), key=b"test")
GITHUB, EMAIL, PRIVATE = (SECRETS[kind][0] for kind in ("github", "email", "private_key"))


def documents(count: int) -> list[dict[str, Any]]:
    """Make documents of which every third holds secrets, and every seventh is rejected besides."""
    found: list[dict[str, Any]] = []
    for number in range(count):
        text = f"use {GITHUB} of {EMAIL}" if number % 3 == 0 else f"text {number}"
        document = {
            "_id": ObjectId(f"{1_767_000_000 + number:08x}{number:016x}"),
            "type": "user",
            "sessionId": "s",
            "message": {"role": "user", "content": [{"type": "text", "text": text}]},
            "toolUseResult": {"stdout": PRIVATE} if number % 3 == 0 else None,
        }
        if number % 7 == 0:
            del document["type"]
        found.append(document)
    return found


def verdict(stream: StreamRunner, redactor: Redactor | None) -> dict[str, int]:
    found = verifier_of(stream, redactor=redactor).run()
    return {kind: count for kind, count in found.counts.items() if count}


def leaks(stream: StreamRunner) -> list[str]:
    """Search the rows, and every file that is no compressed one."""
    with stream.warehouse.opened(timeout_seconds=10) as connection:
        rows = repr(connection.execute("select * from raw.conversations").fetchall())
    files = {
        str(path): path.read_bytes().decode(errors="replace")
        for path in stream.folder.rglob("*")
        if path.is_file()
    }
    landed = repr(stream.landed_rows())
    return [
        f"{name}: {secret[:12]}"
        for name, text in {"rows": rows, "landing": landed, **files}.items()
        for secret in (GITHUB, EMAIL, PRIVATE[40:80])
        if secret in text
    ]


@pytest.fixture
def redacting(stream: StreamRunner, monkeypatch: pytest.MonkeyPatch) -> StreamRunner:
    """Return a stream whose workers take secrets out."""
    plain = stream.worker
    monkeypatch.setattr(stream, "worker", lambda **options: replace(plain(**options), redactor=REDACTOR))
    return stream


def test_the_stream_takes_secrets_out(
    redacting: StreamRunner, collection: Collection[dict[str, Any]]
) -> None:
    """Rows, dead letters and files hold marks in their place; counted, and the same as verify expects."""
    redacting.take_position()
    collection.insert_many(documents(42))
    worker = redacting.worker()
    worker.run(until_idle_seconds=0.5)

    assert [] == leaks(redacting)
    count = partial(worker.registry.get_sample_value, "claude_analytics_stream_redactions_total")
    assert [14.0, 14.0, 14.0, 0.0] == [
        count({"kind": kind}) for kind in ("github", "email", "private_key", "aws")
    ]
    assert {"dead letter": 6} == verdict(redacting, REDACTOR)
    assert {"dead letter": 6, "different": 12} == verdict(redacting, None)


@pytest.fixture(params=["python", "compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Read with the compiled way, and as if it had not been built."""
    if request.param == "python":
        monkeypatch.setattr(compiled, "_problem", "no module")
    self_check.problem.cache_clear()
    yield
    self_check.problem.cache_clear()


def test_a_backfill_takes_the_same_secrets_out(
    redacting: StreamRunner,
    collection: Collection[dict[str, Any]],
    tmp_path: Path,
    way: None,
) -> None:
    """Also by the compiled way; rows from before are replaced by such without secrets."""
    collection.insert_many(documents(42))
    plain = BackfillRunner(redacting.mongo, redacting.folder)
    plain.run()
    assert {"dead letter": 6, "different": 12} == verdict(redacting, REDACTOR)

    plain.run(redactor=REDACTOR)
    count = partial(plain.registry.get_sample_value, "claude_analytics_backfill_redactions_total")
    assert 14.0 == count({"kind": "github"})
    assert {"dead letter": 6} == verdict(redacting, REDACTOR)

    fresh = StreamRunner(redacting.mongo, tmp_path / "fresh")
    BackfillRunner(fresh.mongo, fresh.folder).run(redactor=REDACTOR)
    assert [] == leaks(fresh)
    assert {"dead letter": 6} == verdict(fresh, REDACTOR)


def test_letters_from_before_are_redacted_when_they_are_replayed(
    stream: StreamRunner, collection: Collection[dict[str, Any]]
) -> None:
    """Also those that are taken as they are."""
    stream.take_position()
    collection.insert_many(documents(42))
    stream.catch_up()
    data = DataSettings(DATA_DIR=stream.folder)
    landing = LandingZone(data.landing_dir, clock=utc_now)
    store = DeadLetterStore(data.dead_letter_dir, clock=utc_now)
    found = replay(
        store.list(landing),
        store=store,
        landing=landing,
        clock=utc_now,
        as_is=True,
        normalise_document=partial(normalise, redactor=REDACTOR),
    )
    assert (6, 0) == (len(found.replayed), len(found.rejected))
    stream.warehouse.load(timeout_seconds=10)
    with stream.warehouse.opened(timeout_seconds=10) as connection:
        rows = connection.execute("select extra from raw.conversations where type = 'unknown'").fetchall()
    assert 6 == len(rows)
    assert [] == [secret for secret in (GITHUB, EMAIL) if secret in repr(rows)]
    assert "[redacted:github:" in repr(rows)
