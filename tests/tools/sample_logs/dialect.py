"""How a version of Claude Code writes its lines; the format changed often."""

from dataclasses import dataclass
from functools import cached_property

_PLACEHOLDERS = (((1, 0, 10), (1, 0, 59)), ((2, 0, 0), (2, 0, 9)), ((2, 1, 10), (2, 1, 59)))

MODELS = {
    "opus-5": "claude-opus-5",
    "opus-4-8": "claude-opus-4-8",
    "opus-4-7": "claude-opus-4-7",
    "opus-4-1": "claude-opus-4-1-20250805",
    "sonnet-5": "claude-sonnet-5",
    "sonnet-4-6": "claude-sonnet-4-6",
    "sonnet-4-5": "claude-sonnet-4-5-20250929",
    "sonnet-4": "claude-sonnet-4-20250514",
    "haiku-4-5": "claude-haiku-4-5-20251001",
}


@dataclass(frozen=True)
class Dialect:
    """What lines of one version look like."""

    version: str

    @cached_property
    def _number(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    @property
    def is_first(self) -> bool:
        """1.0: sub-agents speak inside the conversation's own file."""
        return self._number < (2,)

    @property
    def is_second(self) -> bool:
        """2.0: a sub-agent has a file beside the conversation's."""
        return (2,) <= self._number < (2, 1)

    @property
    def is_newest(self) -> bool:
        """2.1.100 and later: attachments, prompt ids, whole usage on every line."""
        return self._number >= (2, 1, 100)

    @property
    def has_progress(self) -> bool:
        """2.1 up to .99: long tools and sub-agents report while they work."""
        return (2, 1) <= self._number < (2, 1, 100)

    @property
    def never_tells_why_it_stopped(self) -> bool:
        """Output tokens of these versions are placeholders of the stream."""
        return any(first <= self._number <= last for first, last in _PLACEHOLDERS)

    def envelope(  # noqa: D417 - the parts are what a line has
        self,
        *,
        head: dict[str, object],
        place: dict[str, object],
        slug: str,
        body: dict[str, object],
        tail: dict[str, object],
    ) -> dict[str, object]:
        """Put a line's parts into the order of this version, without those that it does not know.

        Args:
            head: Links to other lines.
            place: Where and in which conversation it was said.
            body: Type and content.
            tail: Id, time, and what follows the content.
        """
        known = dict(place)
        if self._number < (1, 0, 40):
            known.pop("gitBranch")
        if self._number >= (2, 0, 30):
            known["slug"] = slug
        if self.is_newest:
            known = {"userType": "external", "entrypoint": "cli", **known}
            return {**head, **body, **tail, **known}
        known = {"userType": "external", **known}
        return {**head, **known, **body, **tail}
