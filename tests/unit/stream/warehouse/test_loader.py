"""The thread that loads: when, how often, and that nothing stops it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from stream.errors import WarehouseBusyError, WarehouseCorruptError
from stream.warehouse import loader
from stream.warehouse.load import LoadResult
from stream.warehouse.loader import Loader, busy_retry_seconds
from tests.support.patience import patience
from tests.support.streaming import wait_until

BUSY = WarehouseBusyError("the warehouse is in use by dbt", hint="wait")
CORRUPT = WarehouseCorruptError("damaged", hint="rebuild")
ONE = LoadResult(micro_batches=1, rows=10, rows_upserted=9, rows_deleted=1)


class FakeWarehouse:
    """A warehouse whose loads end as told, the last way for ever."""

    def __init__(self, *ends: LoadResult | Exception | Callable[[], LoadResult]) -> None:
        self.loads = 0
        self.interrupted = threading.Event()
        self._ends = list(ends)

    def load(self, *, timeout_seconds: float, threads: int | None) -> LoadResult:
        """End the next way."""
        assert 0 == timeout_seconds
        assert threads is None
        self.loads += 1
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        if isinstance(end, Exception):
            raise end
        return end() if callable(end) else end

    def interrupt(self) -> None:
        """Note it."""
        self.interrupted.set()


class Fixture:
    """A loader on a fake warehouse."""

    def __init__(self, *ends: Any, is_given_up: Callable[[], bool] = lambda: False) -> None:
        self.warehouse = FakeWarehouse(*ends)
        self.loads: list[tuple[LoadResult, int]] = []
        self.logged: list[Any] = (capture := LogCapture()).entries
        self.loader = Loader(
            self.warehouse,  # type: ignore[arg-type]
            log=structlog.wrap_logger(None, processors=[capture]),
            on_loaded=lambda result, micro_batches: self.loads.append((result, micro_batches)),
            is_given_up=is_given_up,
        )

    @classmethod
    def started(cls, *ends: Any) -> "Fixture":
        """Return one that has begun its first load."""
        fixture = cls(*ends)
        fixture.loader.start()
        wait_until(lambda: fixture.warehouse.loads > 0)
        return fixture

    def events(self) -> list[str]:
        """Return the names of the log lines."""
        return [entry["event"] for entry in self.logged]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the times short."""
    for name, seconds in {
        "_LONGEST_BUSY_RETRY_SECONDS": 0.01,
        "_FAILURE_RETRY_SECONDS": 0.01,
        "_LONGEST_PAUSE_SECONDS": 0.0,
        "_POLL_SECONDS": 0.01,
        "_HURRY_SECONDS": 0.1,
    }.items():
        monkeypatch.setattr(loader, name, seconds)
    # Another test of this process may have left a thread that nobody ends.
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name == "load":
            thread.join(patience())


def test_it_begins_with_what_was_pending() -> None:
    """Without any notice, and the last time at the end."""
    fixture = Fixture.started(ONE, LoadResult())

    fixture.loader.finish(timeout_seconds=5)

    assert 2 == fixture.warehouse.loads
    assert ONE == fixture.loader.total
    assert [(ONE, 0), (LoadResult(), 0)] == fixture.loads
    assert ["loaded"] == fixture.events()


def test_it_loads_after_a_notice() -> None:
    """And counts what waits meanwhile."""
    go_on = threading.Event()

    def slow() -> LoadResult:
        go_on.wait(patience())
        return ONE

    fixture = Fixture.started(LoadResult(), slow, LoadResult())
    fixture.loader.notify()
    wait_until(lambda: fixture.warehouse.loads == 2)
    fixture.loader.notify()
    fixture.loader.notify()
    assert 3 == fixture.loader.pending
    assert fixture.loader.lag_seconds
    go_on.set()
    wait_until(lambda: fixture.warehouse.loads == 3)
    wait_until(lambda: fixture.loader.pending == 0)
    assert 0 == fixture.loader.lag_seconds
    fixture.loader.finish(timeout_seconds=5)


def test_it_loads_when_enough_has_landed() -> None:
    """Few large loads cost less than many small ones; the end takes what is left."""
    fixture = Fixture.started(LoadResult(), ONE, LoadResult())
    fixture.loader.notify(share=0.4)
    fixture.loader.notify(share=0.4)
    assert 1 == fixture.warehouse.loads
    fixture.loader.notify(share=0.4)
    wait_until(lambda: fixture.warehouse.loads == 2)
    fixture.loader.notify(share=0.4)

    fixture.loader.finish(timeout_seconds=5)

    assert [(LoadResult(), 0), (ONE, 3), (LoadResult(), 4)] == fixture.loads


def test_what_is_given_up_is_left_for_later() -> None:
    """No load is begun any more, and one that is broken off is no error."""
    given_up = threading.Event()
    fixture = Fixture(BUSY, is_given_up=given_up.is_set)
    fixture.loader.start()
    wait_until(lambda: fixture.warehouse.loads > 0)
    given_up.set()

    fixture.loader.finish(timeout_seconds=600, is_hurried=given_up.is_set)

    assert [] == fixture.loads


def test_the_lag_is_that_of_the_oldest_file() -> None:
    """It grows while the warehouse is held, whatever lands meanwhile."""
    fixture = Fixture(BUSY)
    fixture.loader.start()
    assert 0 == fixture.loader.lag_seconds
    fixture.loader.notify()
    wait_until(lambda: fixture.loader.lag_seconds > 0.05)
    fixture.loader.notify()
    assert fixture.loader.lag_seconds > 0.05
    fixture.loader._stopping.set()


def test_the_gauge_does_not_drift() -> None:
    """However notices and loads fall together."""
    fixture = Fixture(LoadResult())
    fixture.loader.start()
    for _ in range(3000):
        fixture.loader.notify()
    fixture.loader.finish(timeout_seconds=5)

    assert 0 == fixture.loader.pending


@pytest.mark.parametrize(
    "trouble", [BUSY, CORRUPT, ValueError("unforeseen"), MemoryError()], ids=lambda one: type(one).__name__
)
def test_it_tries_again_after_any_trouble(trouble: Exception) -> None:
    """It says so once, and again when it is over."""
    fixture = Fixture(trouble, trouble, trouble, ONE, LoadResult())
    fixture.loader.start()
    wait_until(lambda: "load_recovered" in fixture.events())
    fixture.loader.finish(timeout_seconds=5)

    assert ["load_waits", "loaded", "load_recovered"] == fixture.events()
    assert ONE == fixture.loader.total


def test_a_new_trouble_is_said_anew() -> None:
    """One line per change of trouble."""
    fixture = Fixture(BUSY, BUSY, CORRUPT, CORRUPT, BUSY, LoadResult())
    fixture.loader.start()
    wait_until(lambda: "load_recovered" in fixture.events())
    fixture.loader.finish(timeout_seconds=5)

    told = [entry["problem"] for entry in fixture.logged if entry["event"] == "load_waits"]
    assert [BUSY.message, CORRUPT.message, BUSY.message] == told


@pytest.mark.parametrize("trouble", [CORRUPT, ValueError("unforeseen")], ids=["known", "unforeseen"])
def test_a_trouble_at_the_end_is_raised(trouble: Exception) -> None:
    """By the one who waits for the end."""
    fixture = Fixture.started(LoadResult(), trouble)

    with pytest.raises((WarehouseCorruptError, loader.StepFailedError), match=str(trouble)):
        fixture.loader.finish(timeout_seconds=5)


def test_at_the_end_others_are_waited_for() -> None:
    """As long as told."""
    fixture = Fixture.started(LoadResult(), BUSY, BUSY, BUSY, ONE)

    fixture.loader.finish(timeout_seconds=5)

    assert ONE == fixture.loader.total


@pytest.mark.parametrize(
    ("timeout_seconds", "is_told"), [(0.2, False), (600, True)], ids=["timeout", "hurry"]
)
def test_at_the_end_others_are_not_waited_for_longer(timeout_seconds: float, *, is_told: bool) -> None:
    """What has landed is left for the next load; a signal ends a wait of ten minutes."""
    fixture = Fixture(BUSY)
    fixture.loader.start()
    told = threading.Event()
    if is_told:
        threading.Timer(0.05, told.set).start()

    begun = time.monotonic()
    with pytest.raises(WarehouseBusyError, match="in use by dbt"):
        fixture.loader.finish(timeout_seconds=timeout_seconds, is_hurried=told.is_set)
    assert time.monotonic() - begun < patience(5)


def test_in_a_hurry_a_long_load_is_broken_off() -> None:
    """The transaction is undone, nothing is lost."""

    def long() -> LoadResult:
        assert fixture.warehouse.interrupted.wait(patience())
        raise WarehouseBusyError("the load was interrupted", hint="later")

    fixture = Fixture.started(long)

    with pytest.raises(WarehouseBusyError, match="the load was interrupted"):
        fixture.loader.finish(timeout_seconds=600, is_hurried=lambda: True)


def test_without_a_start_there_is_nothing_to_finish() -> None:
    """A worker that only lands."""
    fixture = Fixture(ONE)

    fixture.loader.notify()
    fixture.loader.finish(timeout_seconds=5)

    assert 0 == fixture.warehouse.loads


@pytest.mark.parametrize(("tries", "longest"), [(1, 0.02), (2, 0.04), (4, 0.16), (5, 0.25), (5000, 0.25)])
def test_a_busy_warehouse_is_soon_tried_again(
    tries: int, longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait doubles to a quarter of a second and no further; chance takes up to half of it off."""
    monkeypatch.setattr(loader, "_LONGEST_BUSY_RETRY_SECONDS", 0.25)

    assert pytest.approx(longest) == busy_retry_seconds(tries, share=1.0)
    assert pytest.approx(longest / 2) == busy_retry_seconds(tries, share=0.0)
