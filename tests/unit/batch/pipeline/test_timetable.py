"""When which run is due, and what the scheduler does about it: with times and children made by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from pydantic import ValidationError
from structlog.testing import LogCapture

from batch.pipeline.scheduler import Scheduler, last_look
from batch.pipeline.timetable import DAILY, HOURLY, Due, Timetable
from batch.runs.journal import StepRun
from batch.settings import PipelineSettings
from stream.errors import SettingsError
from stream.stop import StopSignal

TABLE = Timetable("0 * * * *", "0 2 * * *", "UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-{text}+00:00")


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        ("03T10:10", "03T10:59", None),
        ("03T10:10", "03T11:00", HOURLY),
        ("03T11:00", "03T11:30", None),
        ("03T01:30", "03T02:00", DAILY),
        ("03T01:30", "03T09:15", DAILY),
        ("03T02:00", "03T09:15", HOURLY),
        ("01T12:00", "09T12:00", DAILY),
        ("03T11:30", "03T11:00", None),
    ],
)
def test_what_is_due(since: str, now: str, expected: str | None) -> None:
    """However many were missed, one run makes up for them: the daily one if it is among them."""
    assert expected == TABLE.due(at(since), at(now))


def test_what_comes_next() -> None:
    """The daily run goes first where both are due."""
    assert Due(HOURLY, at("03T11:00")) == TABLE.next_after(at("03T10:00"))
    assert Due(DAILY, at("03T02:00")) == TABLE.next_after(at("03T01:00"))


def test_times_are_of_the_time_zone() -> None:
    """Two at night in Berlin is one hour UTC in winter, and midnight UTC in summer."""
    table = Timetable("0 5 31 2 *", "0 2 * * *", "Europe/Berlin")
    winter, summer = datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 7, 3, 12, tzinfo=UTC)
    found = [table.next_after(each) for each in (winter, summer)]
    assert [datetime(2026, 1, 3, 1, tzinfo=UTC), datetime(2026, 7, 4, 0, tzinfo=UTC)] == [
        due.at.astimezone(UTC) for due in found if due
    ]


def test_weekdays_are_counted_as_cron_does() -> None:
    """0 and 7 are Sunday, 1 to 5 the working week."""
    sunday = Timetable("0 12 * * 0", "0 12 * * 7", "UTC").next_after(at("03T00:00"))
    working = Timetable("0 12 * * 1-5", "0 0 31 2 *", "UTC").next_after(at("03T00:00"))
    assert sunday
    assert working
    assert ("Sunday", "Monday") == (f"{sunday.at:%A}", f"{working.at:%A}")


@pytest.mark.parametrize("wrong", ["61 * * * *", "x * * * *"])
def test_an_expression_that_makes_no_sense(wrong: str) -> None:
    """The message names the setting."""
    with pytest.raises(SettingsError, match="cannot understand SCHEDULE_HOURLY"):
        Timetable(wrong, "0 2 * * *", "UTC")


def test_runs_missed_while_nobody_was_there() -> None:
    """The last scheduled run says since when; without one nothing was missed."""
    now = at("03T12:00")

    def run(trigger: str, begun: str) -> StepRun:
        return StepRun("run", "pipeline", trigger, at(begun))

    assert now == last_look([], now)
    assert now == last_look([run("manual", "03T09:00")], now)
    assert at("03T09:00") == last_look([run("daily", "03T02:00"), run("schedule", "03T09:00")], now)
    assert now == last_look([run("schedule", "04T09:00")], now)


class FakeChild:
    """Runs for some polls, ends with a code; minds signals or not."""

    def __init__(self, polls: int = 0, exit_code: int = 0, *, is_deaf: bool = False) -> None:
        self.left = polls
        self.exit_code = exit_code
        self.is_deaf = is_deaf
        self.signals: list[str] = []

    def poll(self) -> int | None:
        """Return the exit code after some polls."""
        self.left -= 1
        return self.exit_code if self.left < 0 else None

    def terminate(self) -> None:
        """End soon, unless deaf."""
        self.signals.append("terminate")
        if not self.is_deaf:
            self.left, self.exit_code = 0, -15

    def kill(self) -> None:
        """End."""
        self.signals.append("kill")
        self.left, self.exit_code = 0, -9


class World:
    """A scheduler whose time passes with each look, and whose children are made by hand.

    Attributes:
        started: Names of the runs, and when.
        ended: Exit codes.
    """

    def __init__(self, begin: str, step: timedelta, looks: int) -> None:
        self.now = at(begin)
        self.started: list[tuple[str, datetime]] = []
        self.ended: list[int | None] = []
        self.children: list[FakeChild] = []
        self.make: Callable[[], FakeChild] = FakeChild
        self.stop = StopSignal()
        self._step = step
        self._left = looks

    def scheduler(self) -> Scheduler:
        """Return the scheduler of this world."""
        return Scheduler(
            timetable=TABLE,
            start=self._start,
            after_run=lambda _name, exit_code: self.ended.append(exit_code),
            each_look=self._look,
            stop=self.stop,
            clock=lambda: self.now,
            look_seconds=0,
            poll_seconds=0.001,
            grace_seconds=0.05,
            log=structlog.wrap_logger(None, processors=[LogCapture()]),
        )

    def _start(self, name: str) -> FakeChild:
        self.started.append((name, self.now))
        child = self.make()
        self.children.append(child)
        return child

    def _look(self) -> None:
        self.now += self._step
        self._left -= 1
        if self._left < 0:
            self.stop.finish()


def test_it_runs_each_hour_and_each_night() -> None:
    """One after the other, for ever; a run that fails, or cannot be started, changes nothing."""
    world = World("03T00:30", timedelta(minutes=10), 22)
    codes = iter([1, -9, None, 0])

    def begin() -> FakeChild:
        if (code := next(codes)) is None:
            raise OSError("no processes left")
        return FakeChild(exit_code=code)

    world.make = begin
    world.scheduler().run(world.now)
    hours = [at(f"03T0{hour}:00") for hour in (1, 2, 3, 4)]
    assert [*zip([HOURLY, DAILY, HOURLY, HOURLY], hours, strict=True)] == world.started
    assert [1, -9, None, 0] == world.ended


def test_runs_that_come_due_during_a_run_are_made_up_for_once() -> None:
    """A run of three hours is followed by one."""
    world = World("03T03:30", timedelta(minutes=30), 9)
    lengths = iter([6, 0, 0, 0])
    world.make = lambda: FakeChild(polls=next(lengths))
    world.scheduler().run(world.now)
    assert [at("03T04:00"), at("03T07:30"), at("03T08:00")] == [begun for _, begun in world.started]


@pytest.mark.parametrize(
    ("since", "step", "looks", "at_once", "started"),
    [
        ("03T10:30", timedelta(days=4), 2, None, [(DAILY, "07T10:30"), (DAILY, "11T10:30")]),
        ("07T00:00", timedelta(minutes=20), 3, None, [(HOURLY, "03T11:10")]),
        ("01T00:00", timedelta(minutes=1), 2, HOURLY, [(HOURLY, "03T10:30")]),
    ],
    ids=["sleep is made up for once", "a clock that is set back", "the first run at once"],
)
def test_odd_times(
    since: str, step: timedelta, looks: int, at_once: str | None, started: list[tuple[str, str]]
) -> None:
    """One run makes up for days asleep, nothing waits for an old time to come again, or for its own."""
    world = World("03T10:30", step, looks)
    world.scheduler().run(at(since), at_once=at_once)
    assert [(name, at(begun)) for name, begun in started] == world.started


@pytest.mark.parametrize(
    ("is_deaf", "signals"), [(False, ["terminate"]), (True, ["terminate", "kill"])], ids=["minds", "deaf"]
)
def test_stopping_stops_the_run(*, is_deaf: bool, signals: list[str]) -> None:
    """It is asked first, and killed if it does not mind."""
    world = World("03T00:30", timedelta(minutes=30), 2)
    world.make = lambda: FakeChild(polls=1_000_000, is_deaf=is_deaf)
    world.scheduler().run(world.now)
    assert signals == world.children[0].signals
    assert 1 == len(world.ended)


@pytest.mark.parametrize(
    ("every", "runs_at", "is_frequent"),
    [
        (None, "7 * * * *", False),
        ("1m", "*/1 * * * *", True),
        ("15m", "*/15 * * * *", True),
        ("30m", "*/30 * * * *", False),
        ("1h", "0 */1 * * *", False),
        ("12h", "0 */12 * * *", False),
    ],
)
def test_schedule_every(every: str | None, runs_at: str, *, is_frequent: bool) -> None:
    """It takes the place of SCHEDULE_HOURLY; frequent runs share a process."""
    settings = PipelineSettings(SCHEDULE_HOURLY="7 * * * *", SCHEDULE_EVERY=every)
    assert (settings.runs_at, settings.is_frequent) == (runs_at, is_frequent)
    due = Timetable(settings.runs_at, "0 2 * * *", "UTC").next_after(at("03T12:00"))
    assert due


@pytest.mark.parametrize("every", ["", "0m", "7m", "60m", "5h", "24h", "1d", "30", "10s"])
def test_schedule_every_must_be_even(every: str) -> None:
    """What divides neither hour nor day has no times that one could name."""
    with pytest.raises(
        ValidationError, match="must be minutes that divide an hour, or hours that divide a day"
    ):
        PipelineSettings(SCHEDULE_EVERY=every)
