"""One line of the examination. Pure."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from stream.errors import AnalyticsError

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One line.

    Attributes:
        name: What was looked at.
        level: `ok`; `warn`: it runs, yet look at it; `fail`: it cannot run.
        text: What was seen.
        fix: What to do; None if nothing.
    """

    name: str
    level: Level
    text: str
    fix: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a form that `json` can write."""
        return asdict(self)


def failed(name: str, problem: AnalyticsError) -> Check:
    """Make the line of an error that stands in the way."""
    return Check(name, "fail", problem.message, problem.hint)
