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
from typing import Any, Protocol

from stream.clock import Clock
from stream.core.normalise import DeadLetter
from stream.landing.micro_batch import MicroBatch
from stream.storage.local import LocalStorage
from stream.storage.storage import Storage

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


class Landing(Protocol):
    """A landing zone, as far as dead letters need one."""

    def landed_ids(self, among: Iterable[str]) -> set[str]:
        """Return which of these micro-batches have landed, by their ids."""


class DeadLetterStore:
    """All dead letters, by lane.

    Args:
        root: A folder, or another storage.
        clock: Dates them.
    """

    def __init__(self, root: Path | Storage, *, clock: Clock) -> None:
        self._storage: Storage = LocalStorage(root) if isinstance(root, Path) else root
        self._clock = clock

    def store(self, micro_batch: MicroBatch, letters: Sequence[DeadLetter]) -> None:
        """Make the dead letters of a micro-batch durable; to be called before it lands.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: The folder cannot be written.
        """
        rejected_at = self._clock().isoformat()
        lines = [
            json.dumps(
                {"id": f"{micro_batch.id}#{number}", "rejected_at": rejected_at} | vars(letter),
                ensure_ascii=False,
            )
            for number, letter in enumerate(letters)
        ]
        self._storage.put(_key(micro_batch.id), "".join(f"{line}\n" for line in lines).encode())

    def forget(self, micro_batch: MicroBatch) -> None:
        """Take back what `store` did, for a micro-batch that is never going to land."""
        self._storage.delete(_key(micro_batch.id))

    def has_letters_of(self, micro_batch_id: str) -> bool:
        """Whether some of a micro-batch's dead letters are still in the queue."""
        return bool(self._storage.get(_key(micro_batch_id)))

    def rewrite(self, micro_batch_id: str, is_kept: Callable[[StoredDeadLetter], bool]) -> int:
        """Take letters out of the file of a micro-batch, which is there as a whole before and after.

        Returns:
            How many left it.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: The folder cannot be written.
        """
        lines = self._lines(micro_batch_id)
        kept = [line for line in lines if is_kept(_parse(line))]
        if len(kept) < len(lines):
            self._storage.put(_key(micro_batch_id), b"".join(line + b"\n" for line in kept))
        return len(lines) - len(kept)

    def by_micro_batch(self) -> "dict[str, list[StoredDeadLetter]]":
        """Read all files, by the id of their micro-batch, whether that has landed or not."""
        return {each: [_parse(line) for line in self._lines(each)] for each in self._micro_batches("")}

    def list(self, landing: Landing, *, with_discarded: bool = False) -> "list[StoredDeadLetter]":
        """Read all dead letters of landed micro-batches, oldest first in each lane.

        Args:
            landing: Says what has landed.
            with_discarded: Also those that are in the queue no more, since a person wants no row of them.
        """
        stored = self._micro_batches("")
        landed = landing.landed_ids(stored)
        return [
            _parse(line)
            for micro_batch_id in stored
            if micro_batch_id in landed
            for line in self._lines(micro_batch_id)
            if with_discarded or not _is_discarded(line)
        ]

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
            fields = [json.loads(line) for line in self._lines(micro_batch_id)]
            marked = [each | {"discarded_at": discarded_at} if each["id"] in ids else each for each in fields]
            text = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in marked)
            self._storage.put(_key(micro_batch_id), text.encode())

    def count(self, landing: Landing) -> int:
        """Count the dead letters of landed micro-batches."""
        return len(self.list(landing))

    def remove_orphans(self, landing: Landing, lane: str) -> int:
        """Delete files whose micro-batch never landed; only for the lane's writer. Gives their number.

        Raises:
            LandingNotWritableError: A file cannot be deleted.
        """
        stored = self._micro_batches(lane)
        orphans = set(stored) - landing.landed_ids(stored)
        for micro_batch_id in orphans:
            self._storage.delete(_key(micro_batch_id))
        self._storage.sweep(lane)
        return len(orphans)

    def _micro_batches(self, lane: str) -> Sequence[str]:
        """List the ids of the micro-batches that have a file, by lane and in order."""
        keys = [each.key for each in self._storage.list_after(lane) if each.key.endswith(_SUFFIX)]
        return sorted((key.removesuffix(_SUFFIX) for key in keys), key=lambda each: each.split("/"))

    def _lines(self, micro_batch_id: str) -> Sequence[bytes]:
        # Not `splitlines`: a line separator inside a document's text is no end of a line.
        return [line for line in (self._storage.get(_key(micro_batch_id)) or b"").split(b"\n") if line]


def _key(micro_batch_id: str) -> str:
    return f"{micro_batch_id}{_SUFFIX}"


def _is_discarded(line: bytes) -> bool:
    return "discarded_at" in json.loads(line)


def _parse(line: bytes) -> StoredDeadLetter:
    fields: dict[str, Any] = json.loads(line)
    return StoredDeadLetter(
        fields["id"],
        fields["rejected_at"],
        DeadLetter(fields["reason"], fields["detail"], fields["document_id"], fields["raw"]),
    )
