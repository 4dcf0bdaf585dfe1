"""When a micro-batch closes, and what is in it. Knows no clock: whoever calls passes the time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa

from stream.core.normalise import DeadLetter
from stream.core.position import Position
from stream.core.schema import NO_ROWS


@dataclass(frozen=True)
class FlushPolicy:
    """When to close a micro-batch; whichever limit is met first wins.

    Attributes:
        max_rows: Rows and dead letters per file, at least 1.
        max_size_bytes: BSON bytes per file; one larger batch makes a file of its own.
        max_age: Time from the *first* row to the flush; later rows do not re-arm it, so it bounds
            how stale a row can get.
        idle_position: How often the position is saved while nothing arrives.
    """

    max_rows: int
    max_size_bytes: int
    max_age: timedelta
    idle_position: timedelta = timedelta(seconds=10)

    def is_full(self, rows: int, size_bytes: int) -> bool:
        """Whether a micro-batch of this size must be closed."""
        return rows >= self.max_rows or size_bytes >= self.max_size_bytes

    def is_due(self, opened_at: float, now: float) -> bool:
        """Whether a micro-batch is too old to stay open; both times in monotonic seconds."""
        return now - opened_at >= self.max_age.total_seconds()


@dataclass(frozen=True)
class NormalisedBatch:
    """What one reply of the source became; without rows it only carries the position on.

    Attributes:
        table: Rows as columns of `LANDING_SCHEMA`, in stream order.
        dead_letters: In stream order.
        size_bytes: BSON bytes they came from.
        position: Behind the last event.
        has_truncate_marker: Whether one of the rows is a truncate marker. All dead letters are behind it.
    """

    table: pa.Table
    dead_letters: Sequence[DeadLetter]
    size_bytes: int
    position: Position
    has_truncate_marker: bool = False

    def __len__(self) -> int:
        """Count rows and dead letters."""
        return int(self.table.num_rows) + len(self.dead_letters)


@dataclass(frozen=True)
class ClosedWindow:
    """The content of one micro-batch, in stream order; without rows it is a position to be saved."""

    table: pa.Table
    dead_letters: Sequence[DeadLetter]
    position: Position

    @property
    def is_empty(self) -> bool:
        """Whether there is only a position in it."""
        return not self.table.num_rows and not self.dead_letters


@dataclass
class Window:
    """Collects batches until the policy closes them. One owner, one thread.

    Attributes:
        policy: When to close.
        idle_since: When a position was last handed on, monotonic seconds.
    """

    policy: FlushPolicy
    idle_since: float
    _tables: list[pa.Table] = field(default_factory=list)
    _rows: int = 0
    _dead_letters: list[DeadLetter] = field(default_factory=list)
    _size_bytes: int = 0
    _opened_at: float = 0.0
    _position: Position | None = None
    _handed_on: Position | None = None

    def __len__(self) -> int:
        """Count rows and dead letters that wait."""
        return self._rows + len(self._dead_letters)

    def add(self, batch: NormalisedBatch, now: float) -> list[ClosedWindow]:
        """Take a batch in; give the windows that closed, oldest first.

        A batch is never divided, so that its position is always behind its last event. One with a truncate
        marker begins a window, so that a dead letter never shares a file with a later truncate marker.
        """
        closed: list[ClosedWindow] = []
        if len(batch):
            fits = (
                len(self) + len(batch) <= self.policy.max_rows
                and self._size_bytes + batch.size_bytes <= self.policy.max_size_bytes
            )
            if len(self) and (batch.has_truncate_marker or not fits):
                closed += self.close(now)
            if not len(self):
                self._opened_at = now
            self._tables.append(batch.table)
            self._rows += batch.table.num_rows
            self._dead_letters += batch.dead_letters
            self._size_bytes += batch.size_bytes
        self._position = batch.position
        return closed + self.due(now)

    def due(self, now: float) -> list[ClosedWindow]:
        """Return the window if it is full or old; or the position, if nothing has arrived for a while."""
        if len(self):
            is_ready = self.policy.is_full(len(self), self._size_bytes) or self.policy.is_due(
                self._opened_at, now
            )
            return self.close(now) if is_ready else []
        is_idle = now - self.idle_since >= self.policy.idle_position.total_seconds()
        return self.close(now) if is_idle else []

    def close(self, now: float) -> list[ClosedWindow]:
        """Return all that waits, whatever the policy says; nothing if not even the position has moved."""
        self.idle_since = now
        if self._position is None or (not len(self) and self._position == self._handed_on):
            return []
        table = pa.concat_tables(self._tables) if self._rows else NO_ROWS
        window = ClosedWindow(table, self._dead_letters, self._position)
        self._handed_on = self._position
        self._tables, self._rows, self._dead_letters, self._size_bytes = [], 0, [], 0
        return [window]
