"""The step behind the source: positions carried along, lags by the server's clock, the end of it all."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import LogCapture

from stream.core.change_event import Reply, parse_reply
from stream.core.cluster_time import cluster_time_of
from stream.core.collection_event import InvalidationPolicy
from stream.core.dead_letter_limit import DeadLetterLimit
from stream.core.normalise import truncate_marker
from stream.core.schema import NO_ROWS, Row, to_table
from stream.core.window import NormalisedBatch
from stream.errors import CollectionInvalidatedError, TooManyDeadLettersError
from stream.metrics import StreamMetrics
from stream.settings import OnDrop
from stream.source.reader import ChangeReader
from stream.stop import StopSignal
from tests.support.replies import event, insert, position_at, raw_reply, token_at
from tests.support.rows import rows_of


class FakeResnapshot:
    """Notes what it is told, and has a truncate marker once it is given one."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.truncate_marker: Row | None = None

    def begin(self, truncate_marker: int) -> None:
        """Note it."""
        self.begun.append(truncate_marker)

    def take_truncate_marker(self) -> Row | None:
        """Return the truncate marker once."""
        taken, self.truncate_marker = self.truncate_marker, None
        return taken


class Fixture:
    """A reader that begins at second 100."""

    def __init__(self, on_drop: OnDrop = "delete") -> None:
        self.capture = LogCapture()
        self.resnapshot = FakeResnapshot()
        self.registry = CollectorRegistry()
        self.stop = StopSignal()
        self.flusher = SimpleNamespace(durable=position_at(100))
        self.reader = ChangeReader(
            position_at(100),
            clock=lambda: datetime(2000, 1, 1, tzinfo=UTC),  # wrong by decades, on purpose
            stop=self.stop,
            metrics=StreamMetrics(self.registry),
            flusher=self.flusher,  # type: ignore[arg-type]
            limit=DeadLetterLimit(3),
            policy=InvalidationPolicy(on_drop, "resnapshot"),
            resnapshot=self.resnapshot,  # type: ignore[arg-type]
            log=structlog.wrap_logger(None, processors=[self.capture]),
        )

    def value(self, name: str, **labels: str) -> float | None:
        """Return a metric."""
        return self.registry.get_sample_value(f"claude_analytics_stream_{name}", labels)


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def reply(*events: dict[str, Any], reached: int, server: int) -> Reply:
    return parse_reply(raw_reply(list(events), token=token_at(reached), second=server))


def document(number: int) -> dict[str, Any]:
    return {"_id": number, "type": "user"}


def test_a_reply_becomes_a_batch(fixture: Fixture) -> None:
    """Read at the time of the clock that was passed in."""
    batch = fixture.reader.read(reply(insert(document(1), 110), reached=120, server=120))

    assert batch is not None
    assert [946_684_800_000_000] == [row.extracted_at for row in rows_of(batch.table)]
    assert batch.position == fixture.reader.position == position_at(120)


def test_a_tick_becomes_an_empty_batch_where_it_stands(fixture: Fixture) -> None:
    """So that windows grow old."""
    fixture.reader.read(reply(reached=120, server=120))

    batch = fixture.reader.read(None)

    assert batch is not None
    assert (0, position_at(120)) == (len(batch), batch.position)


def test_events_are_counted_by_operation(fixture: Fixture) -> None:
    """In the metric, and in all."""
    deleted = event("delete", 111, documentKey={"_id": 1})
    fixture.reader.read(
        reply(insert(document(1), 110), insert(document(2), 110), deleted, reached=120, server=120)
    )

    assert 3 == fixture.reader.events
    assert 2 == fixture.value("events_total", op="insert")
    assert 1 == fixture.value("events_total", op="delete")


@pytest.mark.fault(16, "the clock of this machine is wrong by decades", "lags by the server's clock")
def test_lags_are_told_by_the_server_s_clock(fixture: Fixture) -> None:
    """How far reading is behind, and how far what is durable is behind."""
    fixture.reader.read(reply(insert(document(1), 110), reached=130, server=150))
    assert (20, 50) == (fixture.value("source_lag_seconds"), fixture.value("durable_lag_seconds"))
    assert 130 == fixture.value("last_event_timestamp_seconds")
    assert fixture.value("last_reply_timestamp_seconds") == datetime(2000, 1, 1, tzinfo=UTC).timestamp()

    fixture.flusher.durable = position_at(130)
    fixture.reader.read(reply(reached=150, server=150))
    assert (0, 0) == (fixture.value("source_lag_seconds"), fixture.value("durable_lag_seconds"))
    assert 130 == fixture.value("last_event_timestamp_seconds")


@pytest.mark.parametrize(("reached", "server"), [(500, 500), (130, 120)], ids=["idle", "a token ahead"])
def test_lags_that_are_none(fixture: Fixture, reached: int, server: int) -> None:
    """Nothing could get lost of an idle stream; tokens ahead of the reply's own time make none negative."""
    fixture.reader.read(reply(reached=reached, server=server))

    assert (0, 0) == (fixture.value("source_lag_seconds"), fixture.value("durable_lag_seconds"))


def test_a_drop_is_said_and_lived_through(fixture: Fixture) -> None:
    """The log names the event, what it brings about, and the setting."""
    batch = fixture.reader.read(reply(insert(document(1), 110), event("drop", 111), reached=120, server=120))

    assert batch is not None
    assert ["upsert", "truncate"] == [row.op for row in rows_of(batch.table)]
    assert position_at(120) == fixture.reader.position
    [told] = fixture.capture.entries
    assert ("collection_dropped", "drop", "truncate") == (told["event"], told["operation"], told["action"])
    assert "STREAM_ON_DROP" in told["hint"]
    assert "warning" == told["log_level"]
    assert [] == fixture.resnapshot.begun


def test_a_replaced_collection_is_resnapshot(fixture: Fixture) -> None:
    """From the moment of the rename on; nothing is removed before that has been done."""
    renamed = event("rename", 111, to={"db": "claude_logs", "coll": "conversations"})
    batch = fixture.reader.read(reply(renamed, reached=120, server=120))

    assert batch is not None
    assert (0, [cluster_time_of(111, 1)]) == (len(batch), fixture.resnapshot.begun)
    assert ["collection_replaced"] == [entry["event"] for entry in fixture.capture.entries]


def test_a_resnapshot_s_truncate_marker_comes_with_a_tick(fixture: Fixture) -> None:
    """Once, and alone."""
    fixture.reader.read(reply(reached=120, server=120))
    fixture.resnapshot.truncate_marker = truncate_marker(5)

    batch = fixture.reader.read(None)

    assert (
        NormalisedBatch(to_table([truncate_marker(5)]), [], 0, position_at(120), has_truncate_marker=True)
        == batch
    )
    assert NormalisedBatch(NO_ROWS, [], 0, position_at(120)) == fixture.reader.read(None)


def test_the_end_of_the_collection_ends_the_reader() -> None:
    """What is before it is given; whatever comes behind it, ticks too, is not."""
    fixture = Fixture("stop")
    batch = fixture.reader.read(reply(insert(document(1), 110), event("drop", 111), reached=120, server=120))

    assert batch is not None
    assert (1, position_at(110)) == (len(rows_of(batch.table)), batch.position)
    assert isinstance(fixture.stop.error, CollectionInvalidatedError)
    assert fixture.reader.read(None) is None
    assert fixture.reader.read(reply(insert(document(2), 112), reached=130, server=130)) is None
    assert position_at(110) == fixture.reader.position


def test_too_many_dead_letters_end_the_reader(fixture: Fixture) -> None:
    """What was read up to there is still given, nothing behind it is."""
    bad = [insert({"_id": number}, 101) for number in range(4)]
    few = fixture.reader.read(reply(*bad[:3], reached=101, server=101))
    assert (3, None) == (few and len(few.dead_letters), fixture.stop.error)

    last = fixture.reader.read(reply(bad[3], reached=102, server=102))

    assert 1 == (last and len(last.dead_letters))
    assert isinstance(fixture.stop.error, TooManyDeadLettersError)
    assert 2 == fixture.stop.error.exit_code
    assert "STREAM_MAX_DEAD_LETTERS_PER_MINUTE" in fixture.stop.error.hint
    assert fixture.reader.read(reply(insert(document(1), 103), reached=103, server=103)) is None
