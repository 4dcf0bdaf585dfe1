"""What should be in Metabase, and the mark by which it is known again.

The mark is the last line of a description: a key, and a fingerprint of all that we asked for. Metabase gives
queries back in another form than it takes them, so the fingerprint alone says what is unchanged. What
somebody changes by hand in Metabase therefore stays until the question itself changes.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_MARK = "Kept by claude-analytics"
_MARKED = re.compile(rf"^{_MARK}: (?P<key>\S+) (?P<fingerprint>\S+)$", re.MULTILINE)
_UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Mark:
    """What the last line of a description says.

    Attributes:
        key: Of the card, dashboard or collection, among all of ours.
        fingerprint: Of what we asked for when it was last written.
    """

    key: str
    fingerprint: str


@dataclass(frozen=True)
class Wanted:
    """A card or dashboard that should be there.

    Attributes:
        key: Tells it from all others of ours, whatever its name is.
        body: Of the request that writes it, without its mark; has `name` and `description`.
    """

    key: str
    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name for people."""
        return str(self.body["name"])

    @property
    def fingerprint(self) -> str:
        """Another one for any other body."""
        text = json.dumps(self.body, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def marked_body(self) -> dict[str, Any]:
        """The body with the mark in its description."""
        return {**self.body, "description": marked(self.body["description"], self.key, self.fingerprint)}


def marked(description: str, key: str, fingerprint: str = _UNFINISHED) -> str:
    """Write a mark below a description; without a fingerprint, of something that is not whole yet."""
    return f"{description}\n\n{_MARK}: {key} {fingerprint}"


def mark_of(found: Mapping[str, Any]) -> Mark | None:
    """Read the mark of something found in Metabase, None if it has none: then it is not ours."""
    match = _MARKED.search(found.get("description") or "")
    return Mark(match["key"], match["fingerprint"]) if match else None


def ours(found: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what is ours by its key; of several with one key the oldest, since a copy has its mark, too."""
    known: dict[str, Mapping[str, Any]] = {}
    for each in sorted(found, key=lambda each: each["id"]):
        mark = mark_of(each)
        if mark is not None:
            known.setdefault(mark.key, each)
    return known
