"""What the writer of a lane works with, be the lane a folder or a prefix in a bucket."""

from contextlib import AbstractContextManager
from typing import Protocol

import pyarrow as pa

from stream.core.position import Position
from stream.landing.footer import Footer
from stream.landing.micro_batch import MicroBatch
from stream.storage.storage import Storage


class LaneWriter(Protocol):
    """One ordered sequence of micro-batches: `stream.landing.zone.Lane`, `stream.landing.fenced.FencedLane`.

    Attributes:
        name: Unique in the landing zone.
    """

    name: str

    @property
    def state(self) -> Storage:
        """Keeps the small files beside the micro-batches."""

    def writing(self) -> AbstractContextManager[None]:
        """Be the lane's only writer."""

    def newest(self) -> MicroBatch | None:
        """Return the micro-batch with the highest sequence."""

    def newest_footer(self) -> Footer | None:
        """Read the footer of the newest micro-batch."""

    def new_name(self, sequence: int) -> MicroBatch:
        """Return the name of the next micro-batch; nothing is written."""

    def land(self, micro_batch: MicroBatch, table: pa.Table, footer: Footer) -> MicroBatch:
        """Write a micro-batch; when this returns it is durable, when it raises there is none."""

    def position(self) -> Position | None:
        """Return where the lane stands: behind the newest micro-batch, or further if nothing came since."""

    def begin(self, position: Position) -> Position:
        """Save a position where the lane has none; return the one that counts."""

    def close(self) -> Position | None:
        """See that no other writer lands here any more; return where it stands."""

    def save_position(self, position: Position, *, behind: MicroBatch | None) -> None:
        """Carry the position on while nothing lands; `behind` is the newest micro-batch when it was taken."""
