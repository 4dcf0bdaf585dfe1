"""A folder as storage: a file for each key, whole and durable before it has its name."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from stream.disk import TEMPORARY_SUFFIX, disk_errors, make_folder, sync_folder, write_durably
from stream.storage.storage import Stored


class LocalStorage:
    """See `stream.storage.storage.Storage`.

    Args:
        root: The folder; made with the first content.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.url = str(root)

    def put(self, key: str, content: bytes) -> None:
        """Write a file under another name, sync it, rename it."""
        path = self._path(key)
        with disk_errors(path):
            make_folder(path.parent)
            write_durably(path, content)

    def create(self, key: str, content: bytes) -> bool:
        """Write a file under another name, sync it, link it: which fails where there is one."""
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
        with disk_errors(path):
            make_folder(path.parent)
            try:
                with temporary.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                path.hardlink_to(temporary)
            except FileExistsError:
                return self.get(key) == content
            finally:
                temporary.unlink(missing_ok=True)
            sync_folder(path.parent)
        return True

    def get(self, key: str) -> bytes | None:
        """Read a file."""
        with disk_errors(self._path(key)):
            try:
                return self._path(key).read_bytes()
            except FileNotFoundError:
                return None

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Read a part of a file."""
        with disk_errors(self._path(key)):
            try:
                with self._path(key).open("rb") as file:
                    file.seek(start)
                    return file.read(length)
            except FileNotFoundError:
                return None

    def list_after(self, prefix: str, offset: str = "") -> Iterator[Stored]:
        """Walk a folder; half-written files are left out."""
        found = []
        for folder, _, names in os.walk(self._path(prefix)):
            for name in names:
                key = (Path(folder) / name).relative_to(self._root).as_posix()
                if key > offset and not name.startswith("."):
                    found.append(key)
        for key in sorted(found):
            try:
                status = self._path(key).stat()
            except FileNotFoundError:  # removed since
                continue
            yield Stored(key, status.st_size, f"{status.st_ino}-{status.st_mtime_ns}")

    def folders(self, prefix: str) -> list[str]:
        """List the folders in a folder."""
        try:
            return sorted(each.name for each in self._path(prefix).iterdir() if each.is_dir())
        except FileNotFoundError:
            return []

    def sweep(self, prefix: str) -> None:
        """Remove the temporary files in a folder."""
        with disk_errors(self._path(prefix)):
            for left_over in self._path(prefix).glob(f".*{TEMPORARY_SUFFIX}"):
                left_over.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """Remove a file, durably."""
        path = self._path(key)
        with disk_errors(path):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            sync_folder(path.parent)

    def _path(self, key: str) -> Path:
        return self._root / key
