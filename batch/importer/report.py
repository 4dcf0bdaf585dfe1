"""What an import did, and how far it is."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from batch.importer.files import Refused

MAX_LISTED = 1000
"""Unreadable lines that a report names one by one; further ones are only counted."""


class UnreadableLine(NamedTuple):
    """A line that became no document.

    Attributes:
        path: The log.
        line_number: From 1; None if the whole file could not be read.
        reason: Why, without the line's content.
    """

    path: Path
    line_number: int | None
    reason: str


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        files: Logs that were read.
        lines: Lines in them, without empty ones; each record saved from a damaged one is one more.
        compiled: Documents that compiled code made; the others are unusual, or there is none.
        inserted: Documents that are new.
        already_there: Documents that the collection had before.
        incomplete: Last lines that are still being written; the next import takes them.
        unreadable: Lines without a document; at most `MAX_LISTED` of them.
        unreadable_count: All of them.
        size_bytes: Bytes that were read.
        seconds: How long it took.
    """

    files: int = 0
    lines: int = 0
    compiled: int = 0
    inserted: int = 0
    already_there: int = 0
    incomplete: int = 0
    unreadable: list[UnreadableLine] = field(default_factory=list)
    unreadable_count: int = 0
    size_bytes: int = 0
    seconds: float = 0

    def add_unreadable(self, path: Path, line_number: int | None, reason: str) -> None:
        """Count a line, and name it unless too many are named already."""
        self.unreadable_count += 1
        if len(self.unreadable) < MAX_LISTED:
            self.unreadable.append(UnreadableLine(path, line_number, reason))

    def add_refused(self, refused: Iterable[Refused]) -> None:
        """Name what is not read at all."""
        for item in refused:
            self.add_unreadable(item.path, None, item.reason)


@dataclass(frozen=True)
class ImportProgress:
    """How far an import is.

    Attributes:
        done_bytes: Bytes of logs that are in MongoDB.
        total_bytes: Bytes of all logs, as they were found.
        report: What was done so far; still changing.
    """

    done_bytes: int
    total_bytes: int
    report: ImportReport
