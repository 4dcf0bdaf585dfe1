"""Rejected documents, kept whole: a file of JSON lines for each micro-batch that had any.

    dead_letter/<lane>/<name of the micro-batch>.jsonl

A file is durable before its micro-batch lands. One whose micro-batch never landed (the process died in
between) is an orphan: its documents are read again, so it is no dead letter, and the lane's writer clears it
away.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.clock import Clock
from stream.core.normalise import DeadLetter
from stream.disk import TEMPORARY_SUFFIX, disk_errors, make_folder, write_durably
from stream.landing.micro_batch import MicroBatch
from stream.landing.zone import LandingZone

_SUFFIX = ".jsonl"


@dataclass(frozen=True)
class StoredDeadLetter:
    """A dead letter at rest.

    Attributes:
        id: `<micro-batch id>#<number>`, unique for ever.
        rejected_at: ISO 8601.
        letter: Reason, detail, document.
    """

    id: str
    rejected_at: str
    letter: DeadLetter

    @property
    def micro_batch_id(self) -> str:
        """The micro-batch in whose window it was rejected."""
        return self.id.partition("#")[0]


class DeadLetterStore:
    """All dead letters, by lane."""

    def __init__(self, root: Path, *, clock: Clock) -> None:
        self.root = root
        self._clock = clock

    def _path(self, micro_batch: MicroBatch) -> Path:
        return self.root / micro_batch.lane / f"{micro_batch.stem}{_SUFFIX}"

    def store(self, micro_batch: MicroBatch, letters: Sequence[DeadLetter]) -> None:
        """Make the dead letters of a micro-batch durable; to be called before it lands.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: The folder cannot be written.
        """
        path = self._path(micro_batch)
        rejected_at = self._clock().isoformat()
        lines = [
            json.dumps(
                {"id": f"{micro_batch.id}#{number}", "rejected_at": rejected_at} | vars(letter),
                ensure_ascii=False,
            )
            for number, letter in enumerate(letters)
        ]
        with disk_errors(path):
            make_folder(path.parent)
            write_durably(path, "".join(f"{line}\n" for line in lines).encode())

    def has_letters_of(self, micro_batch: MicroBatch) -> bool:
        """Whether some of a micro-batch's dead letters are still in the queue."""
        path = self._path(micro_batch)
        return path.exists() and path.stat().st_size > 0

    def rewrite(self, micro_batch_id: str, is_kept: Callable[[StoredDeadLetter], bool]) -> int:
        """Take letters out of the file of a micro-batch, which is there as a whole before and after.

        Returns:
            How many left it.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: The folder cannot be written.
        """
        path = self.root / f"{micro_batch_id}{_SUFFIX}"
        with disk_errors(path):
            lines = _lines(path)
            kept = [line for line in lines if is_kept(_parse(line))]
            if len(kept) < len(lines):
                write_durably(path, b"".join(line + b"\n" for line in kept))
        return len(lines) - len(kept)

    def by_micro_batch(self) -> "dict[str, list[StoredDeadLetter]]":
        """Read all files, by the id of their micro-batch, whether that has landed or not."""
        return {
            f"{path.parent.name}/{path.stem}": [_parse(line) for line in _lines(path)]
            for path in sorted(self.root.glob(f"*/*{_SUFFIX}"))
        }

    def list(self, landing: LandingZone, *, with_discarded: bool = False) -> "list[StoredDeadLetter]":
        """Read all dead letters of landed micro-batches, oldest first in each lane.

        Args:
            landing: Says what has landed.
            with_discarded: Also those that are in the queue no more, since a person wants no row of them.
        """
        found: list[StoredDeadLetter] = []
        for micro_batch in landing.micro_batches():
            path = self._path(micro_batch)
            if path.exists():
                lines = [line for line in _lines(path) if with_discarded or not _is_discarded(line)]
                found += [_parse(line) for line in lines]
        return found

    def discard(self, letters: "Iterable[StoredDeadLetter]") -> None:
        """Take letters out of the queue for good; they stay on disk, and explain why there is no row.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: A file cannot be written.
        """
        by_file: dict[str, set[str]] = {}
        for letter in letters:
            by_file.setdefault(letter.id.partition("#")[0], set()).add(letter.id)
        discarded_at = self._clock().isoformat()
        for micro_batch_id, ids in by_file.items():
            path = self.root / f"{micro_batch_id}{_SUFFIX}"
            with disk_errors(path):
                fields = [json.loads(line) for line in _lines(path)]
                marked = [
                    each | {"discarded_at": discarded_at} if each["id"] in ids else each for each in fields
                ]
                text = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in marked)
                write_durably(path, text.encode())

    def count(self, landing: LandingZone) -> int:
        """Count the dead letters of landed micro-batches."""
        return len(self.list(landing))

    def remove_orphans(self, landing: LandingZone, lane: str) -> int:
        """Delete files whose micro-batch never landed; only for the lane's writer. Gives their number.

        Raises:
            LandingNotWritableError: A file cannot be deleted.
        """
        landed = {micro_batch.stem for micro_batch in landing.lane(lane).micro_batches()}
        orphans = [path for path in (self.root / lane).glob(f"*{_SUFFIX}") if path.stem not in landed]
        with disk_errors(self.root / lane):
            for path in [*orphans, *(self.root / lane).glob(f".*{TEMPORARY_SUFFIX}")]:
                path.unlink()
        return len(orphans)


def _lines(path: Path) -> "list[bytes]":
    # Not `splitlines`: a line separator inside a document's text is no end of a line.
    return [line for line in path.read_bytes().split(b"\n") if line]


def _is_discarded(line: bytes) -> bool:
    return "discarded_at" in json.loads(line)


def _parse(line: bytes) -> StoredDeadLetter:
    fields: dict[str, Any] = json.loads(line)
    return StoredDeadLetter(
        fields["id"],
        fields["rejected_at"],
        DeadLetter(fields["reason"], fields["detail"], fields["document_id"], fields["raw"]),
    )
