"""The step behind the source: positions carried along, lags by the server's clock, the end of it all."""

from dataclasses import dataclass
from datetime import UTC, datetime
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
from stream.core.position import Position
from stream.core.schema import NO_ROWS, Row, to_table
from stream.core.window import NormalisedBatch
from stream.errors import CollectionInvalidatedError, TooManyDeadLettersError
from stream.metrics import StreamMetrics
from stream.settings import OnDrop
from stream.source.reader import ChangeReader
from stream.stop import StopSignal
from tests.support.replies import event, insert, position_at, raw_reply, token_at
from tests.support.rows import rows_of


@dataclass
class FakeFlusher:
    """Knows what is durable."""

    durable: Position


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
        self.flusher = FakeFlusher(position_at(100))
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
    assert [row.extracted_at for row in rows_of(batch.table)] == [946_684_800_000_000]
    assert batch.position == fixture.reader.position == position_at(120)


def test_a_tick_becomes_an_empty_batch_where_it_stands(fixture: Fixture) -> None:
    """So that windows grow old."""
    fixture.reader.read(reply(reached=120, server=120))

    batch = fixture.reader.read(None)

    assert batch is not None
    assert (len(batch), batch.position) == (0, position_at(120))


def test_events_are_counted_by_operation(fixture: Fixture) -> None:
    """In the metric, and in all."""
    deleted = event("delete", 111, documentKey={"_id": 1})
    fixture.reader.read(
        reply(insert(document(1), 110), insert(document(2), 110), deleted, reached=120, server=120)
    )

    assert fixture.reader.events == 3
    assert fixture.value("events_total", op="insert") == 2
    assert fixture.value("events_total", op="delete") == 1


@pytest.mark.fault(16, "the clock of this machine is wrong by decades", "lags by the server's clock")
def test_lags_are_told_by_the_server_s_clock(fixture: Fixture) -> None:
    """How far reading is behind, and how far what is durable is behind."""
    fixture.reader.read(reply(insert(document(1), 110), reached=130, server=150))
    assert (fixture.value("source_lag_seconds"), fixture.value("durable_lag_seconds")) == (20, 50)
    assert fixture.value("last_event_timestamp_seconds") == 130
    assert fixture.value("last_reply_timestamp_seconds") == datetime(2000, 1, 1, tzinfo=UTC).timestamp()

    fixture.flusher.durable = position_at(130)
    fixture.reader.read(reply(reached=150, server=150))
    assert (fixture.value("source_lag_seconds"), fixture.value("durable_lag_seconds")) == (0, 0)
    assert fixture.value("last_event_timestamp_seconds") == 130


def test_an_idle_stream_has_no_durable_lag(fixture: Fixture) -> None:
    """The position is saved only now and then, but there is nothing that could get lost."""
    fixture.reader.read(reply(reached=500, server=500))

    assert fixture.value("durable_lag_seconds") == 0


def test_lags_are_never_negative(fixture: Fixture) -> None:
    """Tokens may be ahead of the reply's own time."""
    fixture.reader.read(reply(reached=130, server=120))

    assert (fixture.value("source_lag_seconds"), fixture.value("durable_lag_seconds")) == (0, 0)


def test_a_drop_is_said_and_lived_through(fixture: Fixture) -> None:
    """The log names the event, what it brings about, and the setting."""
    batch = fixture.reader.read(reply(insert(document(1), 110), event("drop", 111), reached=120, server=120))

    assert batch is not None
    assert [row.op for row in rows_of(batch.table)] == ["upsert", "truncate"]
    assert fixture.reader.position == position_at(120)
    [told] = fixture.capture.entries
    assert (told["event"], told["operation"], told["action"]) == ("collection_dropped", "drop", "truncate")
    assert "STREAM_ON_DROP" in told["hint"]
    assert told["log_level"] == "warning"
    assert fixture.resnapshot.begun == []


def test_a_replaced_collection_is_resnapshot(fixture: Fixture) -> None:
    """From the moment of the rename on; nothing is removed before that has been done."""
    renamed = event("rename", 111, to={"db": "claude_logs", "coll": "conversations"})
    batch = fixture.reader.read(reply(renamed, reached=120, server=120))

    assert batch is not None
    assert (len(batch), fixture.resnapshot.begun) == (0, [cluster_time_of(111, 1)])
    assert [entry["event"] for entry in fixture.capture.entries] == ["collection_replaced"]


def test_a_resnapshot_s_truncate_marker_comes_with_a_tick(fixture: Fixture) -> None:
    """Once, and alone."""
    fixture.reader.read(reply(reached=120, server=120))
    fixture.resnapshot.truncate_marker = truncate_marker(5)

    batch = fixture.reader.read(None)

    assert batch == NormalisedBatch(
        to_table([truncate_marker(5)]), [], 0, position_at(120), has_truncate_marker=True
    )
    assert fixture.reader.read(None) == NormalisedBatch(NO_ROWS, [], 0, position_at(120))


def test_the_end_of_the_collection_ends_the_reader() -> None:
    """What is before it is given; whatever comes behind it, ticks too, is not."""
    fixture = Fixture("stop")
    batch = fixture.reader.read(reply(insert(document(1), 110), event("drop", 111), reached=120, server=120))

    assert batch is not None
    assert (len(rows_of(batch.table)), batch.position) == (1, position_at(110))
    assert isinstance(fixture.stop.error, CollectionInvalidatedError)
    assert fixture.reader.read(None) is None
    assert fixture.reader.read(reply(insert(document(2), 112), reached=130, server=130)) is None
    assert fixture.reader.position == position_at(110)


def test_too_many_dead_letters_end_the_reader(fixture: Fixture) -> None:
    """What was read up to there is still given, nothing behind it is."""
    bad = [insert({"_id": number}, 101) for number in range(4)]
    few = fixture.reader.read(reply(*bad[:3], reached=101, server=101))
    assert (few and len(few.dead_letters), fixture.stop.error) == (3, None)

    last = fixture.reader.read(reply(bad[3], reached=102, server=102))

    assert (last and len(last.dead_letters)) == 1
    assert isinstance(fixture.stop.error, TooManyDeadLettersError)
    assert fixture.stop.error.exit_code == 2
    assert "STREAM_MAX_DEAD_LETTERS_PER_MINUTE" in fixture.stop.error.hint
    assert fixture.reader.read(reply(insert(document(1), 103), reached=103, server=103)) is None
