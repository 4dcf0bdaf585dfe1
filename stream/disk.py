"""Durable writes, and what to say when the disk refuses them."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.errors import LandingFullError, LandingNotWritableError

TEMPORARY_SUFFIX = ".inflight"
_OWNER_ONLY = 0o077


def keep_to_owner() -> None:
    """Let everything that this process and its children write be readable by their user alone.

    Conversations hold whatever was said and read: files are 0600, folders 0700, whoever writes them.
    """
    os.umask(_OWNER_ONLY)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what to do.

    Raises:
        LandingFullError: No space, or over quota.
        LandingNotWritableError: Read-only, not permitted, not a folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise LandingFullError(
                f"cannot write `{path}`: {error.strerror}",
                hint="free some space; nothing is lost, and writing goes on by itself once there is room",
            ) from error
        raise LandingNotWritableError(
            f"cannot write `{path}`: {error.strerror or error}",
            hint="make the folder writable for this user, or set DATA_DIR to one that is",
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it, so that it is there also after a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write a small file so that it is there as a whole or not at all, also after a power cut."""
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        # Half a file would keep the space that is missing.
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
