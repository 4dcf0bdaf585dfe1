"""When which run is due: two cron expressions, asked of the time since the last look."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stream.errors import SettingsError

HOURLY, DAILY = "schedule", "daily"
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Due:
    """A run and its time.

    Attributes:
        name: `schedule` for the hourly one, `daily` for the one with the full refresh.
        at: When.
    """

    name: str
    at: datetime


class Timetable:
    """When which run is due.

    Args:
        hourly: Cron expression.
        daily: Cron expression.
        timezone: Of both.

    Raises:
        SettingsError: An expression cannot be understood.
    """

    def __init__(self, hourly: str, daily: str, timezone: str) -> None:
        # The daily run does all that the hourly one does: it goes first where both are due.
        self._triggers = {
            DAILY: _trigger("SCHEDULE_DAILY", daily, timezone),
            HOURLY: _trigger("SCHEDULE_HOURLY", hourly, timezone),
        }

    def next_after(self, instant: datetime) -> Due | None:
        """Return the next run after an instant; None if there will never be one."""
        found = [
            Due(name, at)
            for name, trigger in self._triggers.items()
            if (at := trigger.get_next_fire_time(None, instant + _INSTANT)) is not None
        ]
        return min(found, key=lambda due: due.at, default=None)

    def due(self, since: datetime, now: datetime) -> str | None:
        """Name the one run that makes up for all that have come due after `since`, up to `now`."""
        for name, trigger in self._triggers.items():
            at = trigger.get_next_fire_time(None, since + _INSTANT)
            if at is not None and at <= now:
                return name
        return None


def _trigger(setting: str, expression: str, timezone: str) -> Any:  # noqa: ANN401 - APScheduler is untyped
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 - few commands ask when a run is due

    *others, weekday = expression.split()
    # APScheduler counts weekdays from Monday, cron from Sunday: by name there is no doubt.
    named = re.sub(r"(?<![\w/])[0-7](?!\w)", lambda found: _WEEKDAYS[int(found[0])], weekday)
    try:
        return CronTrigger.from_crontab(" ".join([*others, named]), timezone=timezone)
    except (ValueError, KeyError) as error:
        raise SettingsError(
            f"cannot understand {setting} `{expression}`: {error}",
            hint="write it as cron does: minute, hour, day, month, day of week, e.g. `0 * * * *`",
        ) from error
