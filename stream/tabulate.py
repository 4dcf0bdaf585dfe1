"""A batch of documents in BSON → columns of the landing zone, and dead letters. Pure, and total."""

from dataclasses import dataclass

import pyarrow as pa

from stream.change_event import UndecodableEvent, decode_batch
from stream.micro_batch import to_table
from stream.normalise import DeadLetter, normalise, undecodable
from stream.schema import Row


@dataclass(frozen=True)
class Tabulated:
    """What a batch of documents became.

    Attributes:
        table: Columns of `LANDING_SCHEMA`, a row a document, in their order.
        dead_letters: What has no row, in their order.
    """

    table: pa.Table
    dead_letters: list[DeadLetter]

    @property
    def documents(self) -> int:
        """Count rows and dead letters."""
        return int(self.table.num_rows) + len(self.dead_letters)


def tabulate(batch: bytes, *, source_version: int, extracted_at: int) -> Tabulated:
    """Give the rows of a batch as columns.

    Args:
        batch: BSON array, as a cursor's reply holds it.
        source_version: Cluster time that all documents are at least of.
        extracted_at: When they were read, microseconds since 1970.
    """
    rows: list[Row] = []
    dead_letters: list[DeadLetter] = []
    for document in decode_batch(batch):
        found = (
            undecodable(document.raw, document.problem)
            if isinstance(document, UndecodableEvent)
            else normalise(document, source_version=source_version, extracted_at=extracted_at)
        )
        if isinstance(found, Row):
            rows.append(found)
        else:
            dead_letters.append(found)
    return Tabulated(to_table(rows), dead_letters)
