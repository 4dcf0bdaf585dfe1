"""A content of a storage as a file to read from, of which only what is asked for is fetched."""

import io

from stream.storage.storage import Storage


class StoredFile(io.RawIOBase):
    """One content, which does not change meanwhile. For one thread.

    Args:
        storage: Has it.
        key: Of it.
        size_bytes: Of it.
    """

    def __init__(self, storage: Storage, key: str, size_bytes: int) -> None:
        super().__init__()
        self._storage = storage
        self._key = key
        self._size_bytes = size_bytes
        self._at = 0

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        """Ask for a part.

        Raises:
            FileNotFoundError: It has gone.
        """
        length = min(len(buffer), self._size_bytes - self._at)
        if length <= 0:
            return 0
        found = self._storage.get_range(self._key, self._at, length)
        if found is None:
            raise FileNotFoundError(self._key)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)
