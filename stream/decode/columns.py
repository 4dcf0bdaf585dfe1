"""A batch of documents in BSON → columns of the landing zone, and dead letters. Pure, and total.

Two ways to the same rows: one calls `normalise` for each document, the compiled one for unusual ones only, at
a fraction of the time. Which it was nobody can tell from the rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from stream.core.change_event import UndecodableEvent, decode_batch, decode_one
from stream.core.normalise import DeadLetter, normalise, undecodable
from stream.core.redact import Redactor
from stream.core.schema import Row, to_table
from stream.core.transcribed import Transcribed
from stream.decode import compiled


@dataclass(frozen=True)
class Tabulated:
    """What a batch of documents became.

    Attributes:
        table: Columns of `LANDING_SCHEMA`, a row a document, in their order.
        dead_letters: What has no row, in their order.
        compiled: Documents whose rows the compiled way made.
    """

    table: pa.Table
    dead_letters: list[DeadLetter]
    compiled: int = 0

    @property
    def documents(self) -> int:
        """Count rows and dead letters."""
        return int(self.table.num_rows) + len(self.dead_letters)


class Tabulate(Protocol):
    """Makes the rows of a batch as columns."""

    def __call__(self, batch: bytes, *, source_version: int, extracted_at: int) -> Tabulated:
        """Make the rows of a batch as columns.

        Args:
            batch: BSON array, as a cursor's reply holds it.
            source_version: Cluster time that all documents are at least of.
            extracted_at: When they were read, microseconds since 1970.
        """


def tabulate_in_python(
    batch: bytes, *, source_version: int, extracted_at: int, redactor: Redactor | None = None
) -> Tabulated:
    """Make the rows of a batch as columns; document by document."""
    found = [
        _normalised(document, redactor, source_version=source_version, extracted_at=extracted_at)
        for document in decode_batch(batch)
    ]
    return Tabulated(
        to_table([each for each in found if isinstance(each, Row)]),
        [each for each in found if isinstance(each, DeadLetter)],
    )


def _normalised(
    document: dict[str, Any] | UndecodableEvent,
    redactor: Redactor | None,
    *,
    source_version: int,
    extracted_at: int,
) -> Row | DeadLetter:
    if isinstance(document, UndecodableEvent):
        return undecodable(document.raw, document.problem, redactor=redactor)
    return normalise(document, source_version=source_version, extracted_at=extracted_at, redactor=redactor)


def tabulate_compiled(
    batch: bytes,
    *,
    source_version: int,
    extracted_at: int,
    redactor: Redactor | None = None,
    transcribe: Callable[..., Transcribed | None] = compiled.transcribe_documents,
) -> Tabulated:
    """Make the rows of a batch as columns; only unusual documents one by one.

    Args:
        batch: BSON array, as a cursor's reply holds it.
        source_version: Cluster time that all documents are at least of.
        extracted_at: When they were read, microseconds since 1970.
        redactor: Takes secrets out; a document that may hold one is left to Python, like an unusual one.
        transcribe: Makes the rows of usual documents.
    """
    found = transcribe(batch, source_version=source_version, extracted_at=extracted_at)
    if found is None:
        return tabulate_in_python(
            batch, source_version=source_version, extracted_at=extracted_at, redactor=redactor
        )
    if redactor is not None:
        found = found.without_suspects(redactor)
    rows: list[tuple[int, Row]] = []
    dead_letters: list[DeadLetter] = []
    for number, raw in found.left():
        each = _normalised(
            decode_one(raw), redactor, source_version=source_version, extracted_at=extracted_at
        )
        if isinstance(each, Row):
            rows.append((number, each))
        else:
            dead_letters.append(each)
    return Tabulated(found.with_rows(rows), dead_letters, found.usual)
