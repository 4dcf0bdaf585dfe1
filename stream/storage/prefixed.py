"""A part of a storage, as a storage of its own."""

from collections.abc import Iterator
from dataclasses import replace

from stream.storage.storage import Storage, Stored


class Prefixed:
    """See `stream.storage.storage.Storage`; keys are below a prefix of another storage's."""

    def __init__(self, storage: Storage, prefix: str) -> None:
        self._storage = storage
        self._prefix = prefix
        self.url = f"{storage.url}/{prefix}"

    def put(self, key: str, content: bytes) -> None:
        """Keep a content."""
        self._storage.put(self._key(key), content)

    def create(self, key: str, content: bytes) -> bool:
        """Keep a content where there is none."""
        return self._storage.create(self._key(key), content)

    def get(self, key: str) -> bytes | None:
        """Return a content."""
        return self._storage.get(self._key(key))

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Return a part of a content."""
        return self._storage.get_range(self._key(key), start, length)

    def list_after(self, prefix: str, offset: str = "") -> Iterator[Stored]:
        """List what is below."""
        for each in self._storage.list_after(self._key(prefix), self._key(offset) if offset else ""):
            yield replace(each, key=each.key.removeprefix(f"{self._prefix}/"))

    def folders(self, prefix: str) -> list[str]:
        """List the parts of keys that come next."""
        return self._storage.folders(self._key(prefix))

    def sweep(self, prefix: str) -> None:
        """Clear away what is half-written."""
        self._storage.sweep(self._key(prefix))

    def delete(self, key: str) -> None:
        """Remove a content."""
        self._storage.delete(self._key(key))

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if key else self._prefix
