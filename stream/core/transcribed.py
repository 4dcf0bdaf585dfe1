"""Documents of a batch that have their rows already, and which are left to `normalise`. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from stream.core.change_event import WRITE_OPERATIONS
from stream.core.redact import Redactor
from stream.core.schema import NO_ROWS, Row, to_table

LEFT = 0xFF
"""Code of a document without a row."""
_MAX_SLICES = 64


@dataclass(frozen=True)
class Transcribed:
    """What a shortcut from BSON to columns made of a batch.

    Attributes:
        batch: BSON array of documents, or of change events.
        spans: Start and end of each of them in the batch, flat.
        codes: A byte for each of them: `LEFT`, or of a change event its place in `WRITE_OPERATIONS`.
        table: Rows of the usual ones, in their order.
    """

    batch: bytes
    spans: Sequence[int]
    codes: bytes
    table: pa.Table = field(default_factory=lambda: NO_ROWS)

    def __len__(self) -> int:
        """Count all documents of the batch."""
        return len(self.codes)

    @property
    def usual(self) -> int:
        """Count the documents that have their row."""
        return int(self.table.num_rows)

    @property
    def operations(self) -> Counter[str]:
        """Count the change events that have their row, by operation."""
        return Counter(
            {name: count for code, name in enumerate(WRITE_OPERATIONS) if (count := self.codes.count(code))}
        )

    def raw(self, number: int) -> bytes:
        """Return the BSON of a document."""
        return self.batch[self.spans[2 * number] : self.spans[2 * number + 1]]

    def left(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and BSON of each document without a row, in order."""
        number = -1
        while (number := self.codes.find(LEFT, number + 1)) >= 0:
            yield number, self.raw(number)

    def before(self, number: int) -> "Transcribed":
        """Return the same of the documents before one."""
        return replace(self, codes=self.codes[:number], table=self.table.slice(0, self._usual_before(number)))

    def without_suspects(self, redactor: Redactor) -> "Transcribed":
        """Leave to Python what may hold a secret, too."""
        is_clean = [
            not redactor.concerns(self.raw(number)) for number, code in enumerate(self.codes) if code != LEFT
        ]
        if all(is_clean):
            return self
        clean = iter(is_clean)
        codes = bytes(code if code != LEFT and next(clean) else LEFT for code in self.codes)
        return replace(self, codes=codes, table=self.table.filter(pa.array(is_clean)))

    def with_rows(self, rows: Sequence[tuple[int, Row]]) -> pa.Table:
        """Put rows of the documents that were left between the others, in the order of the batch.

        Args:
            rows: With the number of the document, ascending.
        """
        if not rows:
            return self.table
        others = to_table([row for _, row in rows])
        if not self.usual:
            return others
        stops = [self._usual_before(number) for number, _ in rows]
        if len(rows) > _MAX_SLICES:
            # Taken one by one: so many small pieces would be costly wherever they go.
            order: list[int] = []
            start = 0
            for place, stop in enumerate(stops):
                order += [*range(start, stop), self.usual + place]
                start = stop
            order += range(start, self.usual)
            return pa.concat_tables([self.table, others]).combine_chunks().take(pa.array(order))
        pieces: list[pa.Table] = []
        start = 0
        for place, stop in enumerate(stops):
            pieces += [self.table.slice(start, stop - start), others.slice(place, 1)]
            start = stop
        return pa.concat_tables([*pieces, self.table.slice(start)])

    def _usual_before(self, number: int) -> int:
        return number - self.codes.count(LEFT, 0, number)
