"""What is asked of a place to keep things: a few operations, the same for a folder and a bucket."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Stored:
    """One thing that is kept.

    Attributes:
        key: Its name, with `/` between its parts.
        size_bytes: Of its content.
        changed: Differs after every write; compare it with nothing but itself.
    """

    key: str
    size_bytes: int
    changed: str


class Storage(Protocol):
    """Keeps contents under keys; safe to use from several threads and processes.

    Keys are relative, their parts joined by `/`. Each method raises StorageUnavailableError while trying
    again may help (in a folder LandingFullError), StorageRefusedError if a person must act (in a folder
    LandingNotWritableError).

    Attributes:
        url: How people and other programs name the place; never a secret in it.
    """

    url: str

    def put(self, key: str, content: bytes) -> None:
        """Keep a content, in place of another; it is durable, and readers see it whole or not at all."""

    def create(self, key: str, content: bytes) -> bool:
        """Keep a content like `put`, but only where there is nothing.

        Returns:
            False for whoever lost the race: something else is there, and stays. True also if the very same
            content is there: then an earlier attempt succeeded whose answer was lost.
        """

    def get(self, key: str) -> bytes | None:
        """Return a content, None if there is none."""

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Return a part of a content, shorter where the content ends; None if there is none."""

    def list_after(self, prefix: str, offset: str = "") -> Iterator[Stored]:
        """Return what is below a prefix (a whole part of keys), with keys behind `offset`, in their order."""

    def folders(self, prefix: str) -> list[str]:
        """Return the parts of keys that come next below a prefix and have others below them, in order."""

    def sweep(self, prefix: str) -> None:
        """Clear away what crashed writers left half-written below a prefix; nobody may be writing there."""

    def delete(self, key: str) -> None:
        """Remove a content; nothing happens if there is none."""
