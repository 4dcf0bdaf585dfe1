"""How many tokens a call takes: a conversation's context grows, is cached, and falls out of the cache."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sample_logs.chance import Chance

_LIFETIMES = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1)}


@dataclass(frozen=True)
class Usage:
    """What one API call took, in tokens."""

    input: int
    output: int
    write_5m: int
    write_1h: int
    read: int


class Meter:
    """Counts the context of one conversation.

    Args:
        chance: Decides what no story tells.
        context: Tokens of system prompt and tools.
        lifetime: `5m` or `1h`: how long a cached context stays.
        scale: Tokens of context for each token of text in the story, which shows excerpts only.
    """

    def __init__(self, chance: Chance, *, context: int, lifetime: str, scale: float) -> None:
        self._chance = chance
        self._context = context
        self._system = context
        self._lifetime = lifetime
        self._scale = scale
        self._cached = 0
        self._cached_at: datetime | None = None

    def see(self, text: str) -> None:
        """Add what the model gets to read."""
        self._context += max(20, int(len(text) / 3.4 * self._scale))

    def compact(self) -> None:
        """Start again from the system prompt."""
        self._context = self._system
        self._cached_at = None

    @property
    def context(self) -> int:
        """Tokens that the next call sends."""
        return self._context

    def call(self, now: datetime, output: int) -> Usage:
        """Account for one API call that wrote so many tokens."""
        if self._cached_at is None:
            read = int(self._system * 0.62)
        elif now - self._cached_at > _LIFETIMES[self._lifetime]:
            read = 0
        else:
            read = self._cached
        written = self._context - read
        five_minutes = written if self._lifetime == "5m" else 0
        if self._lifetime == "1h" and self._chance.happens(0.15):
            five_minutes = written // 8
        self._cached, self._cached_at = self._context, now
        self._context += output
        return Usage(self._chance.whole(2, 11), output, five_minutes, written - five_minutes, read)
