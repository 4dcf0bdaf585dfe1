"""The fence: one writer a number, found out by whoever writes second."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.schema import to_table
from stream.errors import AlreadyRunningError, MicroBatchCorruptError, StorageUnavailableError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedLane, FencedZone, last_sequence, read_object_footer
from stream.landing.footer import footer_of
from stream.landing.micro_batch import MicroBatch
from stream.storage.local import LocalStorage
from stream.storage.storage import Stored
from tests.support.landing import LETTER, land_in, position_at, upsert

NOON = datetime(2026, 1, 3, 12, tzinfo=UTC)


class Flaky(LocalStorage):
    """A storage that fails when it is asked to: before a write, or after it, when only the answer is lost."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.failures: list[str] = []
        self.requests: list[str] = []

    def create(self, key: str, content: bytes) -> bool:
        """Fail, or do what a folder does, or both."""
        self.requests.append("create")
        failure = self.failures.pop(0) if self.failures else None
        is_created = failure != "before" and super().create(key, content)
        if failure:
            raise StorageUnavailableError("it does not answer", hint="wait")
        return is_created

    def put(self, key: str, content: bytes) -> None:
        """Count it."""
        self.requests.append("put")
        super().put(key, content)

    def get(self, key: str) -> bytes | None:
        """Count it."""
        self.requests.append("get")
        return super().get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Count it."""
        self.requests.append("get")
        return super().get_range(key, start, length)

    def list_after(self, prefix: str, offset: str = "") -> Iterator[Stored]:
        """Count it."""
        self.requests.append("list")
        return super().list_after(prefix, offset)


@pytest.fixture
def storage(tmp_path: Path) -> Flaky:
    return Flaky(tmp_path)


def lane_in(storage: LocalStorage) -> FencedLane:
    """Return the lane as a worker that has just started has it."""
    return FencedZone(storage, clock=lambda: NOON).lane("stream")


def land(lane: FencedLane, *, at: int) -> MicroBatch:
    return land_in(lane, [upsert(at, at)], clock=lambda: NOON)


def test_the_position_travels_with_the_object(storage: Flaky) -> None:
    """A worker that starts later stands behind the newest object, and knows its whole name."""
    assert (None, None) == (lane_in(storage).newest(), lane_in(storage).position())
    first = lane_in(storage)
    landed = [land(first, at=10), land(first, at=20)]
    later = lane_in(storage)
    assert (later.newest(), later.position()) == (landed[1], position_at(20))
    assert [("landing/stream/000000000000.parquet", 0), ("landing/stream/000000000001.parquet", 1)] == [
        (each.key, each.sequence) for each in later.landed()
    ]
    assert [1] == [each.sequence for each in later.landed(after=0)]
    footers = [read_object_footer(storage, each) for each in later.landed()]
    assert [footer.micro_batch_id for footer in footers] == [each.id for each in landed]


def test_whoever_writes_second_has_written_nothing(storage: Flaky) -> None:
    """A worker that froze until its successor had written ends with exit 2 as soon as it lands."""
    frozen = lane_in(storage)
    land(frozen, at=10)
    successor = lane_in(storage)
    land(successor, at=20)
    with pytest.raises(
        AlreadyRunningError, match=r"another worker writes the lane `stream`: .*000001.parquet"
    ):
        land(frozen, at=99)
    assert position_at(20) == lane_in(storage).position()
    assert [0, 1] == [each.sequence for each in frozen.landed()]


def test_the_position_of_a_frozen_worker_does_not_count(storage: Flaky) -> None:
    """It was taken behind an older object than the newest; while nothing landed since, it counts."""
    frozen = lane_in(storage)
    land(frozen, at=10)
    frozen.save_position(position_at(15), behind=frozen.newest())
    assert position_at(15) == lane_in(storage).position()
    land(lane_in(storage), at=20)
    frozen.save_position(position_at(16), behind=frozen.newest())
    assert position_at(20) == lane_in(storage).position()


@pytest.mark.parametrize("failure", ["before", "after"])
def test_an_attempt_whose_answer_is_lost_can_be_repeated(storage: Flaky, failure: str) -> None:
    """Whether the object came to be or not: one object, and no false alarm of a second worker."""
    lane = lane_in(storage)
    storage.failures = [failure]
    named, table = lane.new_name(0), to_table([upsert(1, 10)])
    footer = footer_of(named.id, table, landed_at=NOON, position=position_at(10))
    with pytest.raises(StorageUnavailableError):
        lane.land(named, table, footer)
    assert named == lane.land(named, table, footer)
    assert [0] == [each.sequence for each in lane.landed()]


def test_dead_letters_of_the_loser_are_none(storage: Flaky, tmp_path: Path) -> None:
    """Two rivals wrote some for the same number; those count that belong to the object that landed."""
    zone = FencedZone(storage, clock=lambda: NOON)
    letters = DeadLetterStore(tmp_path / "letters", clock=lambda: NOON)
    loser, winner = zone.lane("stream").new_name(0), zone.lane("stream").new_name(0)
    letters.store(loser, [LETTER])
    letters.store(winner, [LETTER, LETTER])
    table = to_table([upsert(1, 10)])
    zone.lane("stream").land(winner, table, footer_of(winner.id, table, landed_at=NOON))
    assert [winner.id] * 2 == [each.micro_batch_id for each in letters.list(zone)]
    assert 1 == letters.remove_orphans(zone, "stream")
    assert [winner.id] == list(letters.by_micro_batch())


def test_a_micro_batch_is_one_request(storage: Flaky) -> None:
    """Nothing is listed and nothing is read once the worker has started."""
    lane = lane_in(storage)
    land(lane, at=1)
    storage.requests.clear()
    for at in range(2, 12):
        land(lane, at=at)
        lane.save_position(position_at(at), behind=lane.newest())
    assert ["create", "put"] * 10 == storage.requests


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"], ids=["empty", "short", "text"])
def test_what_is_no_micro_batch_is_refused(storage: Flaky, content: bytes) -> None:
    """A worker does not go on behind an object that it cannot read."""
    storage.put("landing/stream/000000000000.parquet", content)
    with pytest.raises(MicroBatchCorruptError, match=r"0\.parquet` is corrupt"):
        lane_in(storage).position()


def test_a_footer_longer_than_what_is_read_at_first(storage: Flaky) -> None:
    """A second request brings the rest."""
    lane = lane_in(storage)
    named, table = lane.new_name(0), to_table([upsert(1, 10)])
    footer = footer_of(named.id, table, landed_at=NOON, position=position_at(10))
    long = footer.to_metadata() | {b"padding": b"x" * 200_000}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(long), buffer)
    storage.put("landing/stream/000000000000.parquet", buffer.getvalue())
    assert footer == lane.newest_footer()


@given(st.sets(st.integers(0, 5_000), max_size=60))
def test_the_last_number_is_found_whatever_is_missing(numbers: set[int]) -> None:
    """Also with gaps, which retention leaves."""

    def first_after(sequence: int) -> int | None:
        return min((number for number in numbers if number > sequence), default=None)

    assert last_sequence(first_after) == max(numbers, default=None)


def test_the_last_number_is_found_with_few_questions() -> None:
    """Some forty for a million objects: a worker starts within seconds, however long it has run."""
    asked: list[int] = []

    def first_after(sequence: int) -> int | None:
        asked.append(sequence)
        return sequence + 1 if sequence < 1_000_000 else None

    assert 1_000_000 == last_sequence(first_after)
    assert len(asked) <= 45
