"""Reads a log as far as it is written; the next time, only what was added."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from batch.importer.cursor import Encode, EncodedDocument, LogCursor
from batch.importer.document import Unreadable, is_audit_line
from batch.importer.files import LogFile

MAX_LINE_BYTES = 128 * 2**20
"""No line that fits a document of 16 MB is longer, however it is escaped."""

_REMEMBERED_BYTES = 256
_SKIP_BYTES = 2**20


class LogLine(NamedTuple):
    """A line that was read.

    Attributes:
        path: The log.
        number: Of the line, from 1.
        size_bytes: Of the line, its end included.
        content: The document, or why there is none; None for an empty line.
        is_open: Whether its end is still missing: the line is the last and will be read again.
    """

    path: Path
    number: int
    size_bytes: int
    content: dict[str, Any] | EncodedDocument | Unreadable | None
    is_open: bool = False


class NoConversationError(OSError):
    """The file is no log of a conversation but what Claude Desktop or Cowork writes beside one."""

    def __str__(self) -> str:
        return "an audit log of the desktop program, no conversation"


class LogTail:
    """One log, and how far it was read; not thread-safe.

    Only whole lines count as read. A log that became shorter, was replaced, or holds other bytes before
    the place reached is read from its start again; the `_id`s of lines it had before are the same.

    Args:
        encode: The compiled way to documents; None has Python make every one.

    Attributes:
        log: The file.
        offset: Bytes read so far.
    """

    def __init__(
        self, log: LogFile, *, max_line_bytes: int = MAX_LINE_BYTES, encode: Encode | None = None
    ) -> None:
        self.log = log
        self._encode = encode
        self._max_line_bytes = max_line_bytes
        self.offset = 0
        self._cursor = self._new_cursor()
        self._remembered = b""
        self._identity: tuple[int, int] | None = None
        self._seen: tuple[int, int] | None = None

    @property
    def has_changed(self) -> bool:
        """Whether the file may hold something new; False as well if it is gone."""
        with suppress(OSError):
            status = self.log.path.stat()
            return (status.st_size, status.st_mtime_ns) != self._seen
        return False

    def read(self, *, ingested_at: datetime) -> Iterator[LogLine]:
        """Return each new line; at the end perhaps one that is open.

        Args:
            ingested_at: What the documents say.

        Raises:
            OSError: The file cannot be opened or read; what was given before counts as read.
            NoConversationError: The file is another kind of log.
        """
        with self.log.path.open("rb") as file:
            status = os.fstat(file.fileno())
            self._find_place(file, status)
            # From before the reading: what is appended meanwhile shows as another change.
            self._seen = (status.st_size, status.st_mtime_ns)
            while line := file.readline(self._max_line_bytes):
                if self.offset == 0 and is_audit_line(line):
                    raise NoConversationError
                if line.endswith(b"\n"):
                    yield from self._took(line, ingested_at)
                elif len(line) == self._max_line_bytes:
                    yield self._skipped(line, file)
                else:
                    content = self._cursor.peek(line, ingested_at=ingested_at)
                    number = self._cursor.line_number + 1
                    yield LogLine(self.log.path, number, len(line), content, is_open=True)

    def forget(self) -> None:
        """Read from the start next time."""
        self.offset = 0
        self._cursor = self._new_cursor()
        self._remembered = b""

    def _new_cursor(self) -> LogCursor:
        return LogCursor(
            source_file=self.log.source_file, project_id=self.log.project_id, encode=self._encode
        )

    def _find_place(self, file: BinaryIO, status: os.stat_result) -> None:
        identity = (status.st_dev, status.st_ino)
        file.seek(self.offset - len(self._remembered))
        if identity != self._identity or file.read(len(self._remembered)) != self._remembered:
            self.forget()
            file.seek(0)
        self._identity = identity

    def _took(self, line: bytes, ingested_at: datetime) -> Iterator[LogLine]:
        content = self._cursor.take(line, ingested_at=ingested_at)
        saved: list[dict[str, Any]] = []
        if isinstance(content, Unreadable):
            saved = self._cursor.take_whole_records(line, ingested_at=ingested_at)
        if isinstance(content, Unreadable) and saved:
            content = Unreadable(f"{content.reason}; whole records in it are saved: {len(saved)}")
        self._passed(line, len(line))
        yield LogLine(self.log.path, self._cursor.line_number, len(line), content)
        for document in saved:
            yield LogLine(self.log.path, self._cursor.line_number, 0, document)

    def _skipped(self, start: bytes, file: BinaryIO) -> LogLine:
        """Pass over the rest of a line that is too long to be held."""
        self._cursor.line_number += 1
        size_bytes, part = len(start), start
        while not part.endswith(b"\n") and (more := file.readline(_SKIP_BYTES)):
            size_bytes += len(more)
            part = more
        self._passed(part, size_bytes)
        reason = f"too large: {size_bytes:,} bytes"
        return LogLine(self.log.path, self._cursor.line_number, size_bytes, Unreadable(reason))

    def _passed(self, line: bytes, size_bytes: int) -> None:
        self.offset += size_bytes
        self._remembered = line[-_REMEMBERED_BYTES:]
