"""A batch of documents in BSON → columns of the landing zone, and dead letters. Pure, and total.

Two ways to the same rows: one calls `normalise` for each document, the compiled one for unusual ones only, at
a fourth of the time. Which it was nobody can tell from the rows.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream.core.change_event import UndecodableEvent, decode_batch, decode_one
from stream.core.normalise import DeadLetter, normalise, undecodable
from stream.core.redact import Redactor
from stream.core.schema import LANDING_SCHEMA, MICROSECONDS_PER_DAY, Row, to_table

_ROOM_BYTES = 1_000_000
"""On top of twice the batch, for each column of text: room to be sure that a document fits."""
_MAX_SLICES = 64
_EMPTY_SIZE_BYTES = 5


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


class Tabulate(Protocol):
    """Gives the rows of a batch as columns."""

    def __call__(self, batch: bytes, *, source_version: int, extracted_at: int) -> Tabulated:
        """Give the rows of a batch as columns.

        Args:
            batch: BSON array, as a cursor's reply holds it.
            source_version: Cluster time that all documents are at least of.
            extracted_at: When they were read, microseconds since 1970.
        """


def tabulate_in_python(
    batch: bytes, *, source_version: int, extracted_at: int, redactor: Redactor | None = None
) -> Tabulated:
    """Give the rows of a batch as columns; document by document."""
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


def compiled(redactor: Redactor | None = None) -> Tabulate:
    """Give the compiled way; the very first time this takes as long as compiling does, some seconds.

    Args:
        redactor: Takes secrets out; a document that may hold one is left to Python, like an unusual one.
    """
    from stream.decode import compiled  # noqa: PLC0415 - Numba takes half a second to import

    scratch = _Scratch()

    def tabulate_compiled(batch: bytes, *, source_version: int, extracted_at: int) -> Tabulated:
        data = np.frombuffer(batch, dtype=np.uint8)
        documents = compiled.count_documents(data) if len(batch) > _EMPTY_SIZE_BYTES else -1
        if documents < 0:
            return tabulate_in_python(
                batch, source_version=source_version, extracted_at=extracted_at, redactor=redactor
            )
        places = np.empty((documents, 3), dtype=np.int64)
        columns = scratch.room(documents, len(batch), len(compiled.TEXT_COLUMNS))
        rows = compiled.transcribe(data, extracted_at // MICROSECONDS_PER_DAY, places, *columns.arrays)
        usual = columns.to_table(
            rows, compiled.TEXT_COLUMNS, source_version=source_version, extracted_at=extracted_at
        )
        if redactor is not None:
            usual, rows = _without_suspects(usual, batch, places, redactor)
        if rows == documents:
            return Tabulated(usual, [])
        unusual = [
            (
                int(number),
                _normalised(
                    decode_one(batch[places[number, 0] : places[number, 1]]),
                    redactor,
                    source_version=source_version,
                    extracted_at=extracted_at,
                ),
            )
            for number in np.flatnonzero(places[:, 2] == 0)
        ]
        return Tabulated(
            _spliced(usual, [(number, each) for number, each in unusual if isinstance(each, Row)], places),
            [each for _, each in unusual if isinstance(each, DeadLetter)],
        )

    # Compiled by its first call.
    tabulate_compiled(bytes.fromhex("0d0000000330000500000000") + b"\0", source_version=0, extracted_at=0)
    return tabulate_compiled


def _without_suspects(
    usual: pa.Table, batch: bytes, places: npt.NDArray[np.int64], redactor: Redactor
) -> tuple[pa.Table, int]:
    """Take the rows out whose documents may hold secrets, and mark these in `places` as unusual."""
    is_usual = places[:, 2] == 1
    is_clean = np.array([not redactor.concerns(batch[begin:end]) for begin, end in places[:, :2].tolist()])
    places[~is_clean, 2] = 0
    found = usual.filter(pa.array(is_clean[is_usual]))
    return found, found.num_rows


class _Scratch(threading.local):
    """Memory of one thread that the compiled code writes to; kept, as fresh pages cost more than writing."""

    def __init__(self) -> None:
        self._documents = self._size_bytes = -1

    def room(self, documents: int, size_bytes: int, text_columns: int) -> "_Scratch":
        """Make room for a batch."""
        if size_bytes > self._size_bytes:
            self._size_bytes = size_bytes
            self._texts = np.empty((text_columns, 2 * size_bytes + _ROOM_BYTES), dtype=np.uint8)
        if documents > self._documents:
            self._documents = documents
            self._text_ends = np.zeros((text_columns, documents + 1), dtype=np.int32)
            self._has_text = np.empty((text_columns, documents), dtype=np.uint8)
            self._instants = np.empty((2, documents), dtype=np.int64)
            self._has_instant = np.empty((2, documents), dtype=np.uint8)
            self._dates = np.empty(documents, dtype=np.int32)
            self._lengths = np.empty(documents, dtype=np.int64)
        return self

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """Give what `transcribe` takes, in its order."""
        return (
            self._texts,
            self._text_ends,
            self._has_text,
            self._instants,
            self._has_instant,
            self._dates,
            self._lengths,
        )

    def to_table(
        self, rows: int, texts: Sequence[str], *, source_version: int, extracted_at: int
    ) -> pa.Table:
        """Copy the first rows into columns of `LANDING_SCHEMA`."""
        columns: dict[str, pa.Array] = {
            "op": pa.repeat("upsert", rows),
            "source_version": pa.repeat(pa.scalar(source_version, pa.int64()), rows),
            "extracted_at": pa.repeat(
                pa.scalar(extracted_at, LANDING_SCHEMA.field("extracted_at").type), rows
            ),
            "date": _array("date", rows, None, self._dates[:rows]),
            "content_length": _array("content_length", rows, None, self._lengths[:rows]),
        }
        for number, name in enumerate(texts):
            ends = self._text_ends[number, : rows + 1]
            columns[name] = _array(
                name, rows, self._has_text[number, :rows], ends, self._texts[number, : ends[rows]]
            )
        for number, name in enumerate(("timestamp", "ingested_at")):
            columns[name] = _array(
                name, rows, self._has_instant[number, :rows], self._instants[number, :rows]
            )
        return pa.Table.from_arrays([columns[name] for name in LANDING_SCHEMA.names], schema=LANDING_SCHEMA)


def _array(name: str, rows: int, is_valid: npt.NDArray[Any] | None, *values: npt.NDArray[Any]) -> pa.Array:
    validity = None
    if is_valid is not None and not is_valid.all():
        validity = pa.py_buffer(np.packbits(is_valid, bitorder="little"))
    buffers = [validity, *(_copy(each) for each in values)]
    return pa.Array.from_buffers(LANDING_SCHEMA.field(name).type, rows, buffers)


def _copy(values: npt.NDArray[Any]) -> pa.Buffer:
    buffer = pa.allocate_buffer(values.nbytes)
    np.frombuffer(buffer, dtype=values.dtype)[:] = values
    return buffer


def _spliced(usual: pa.Table, unusual: Sequence[tuple[int, Row]], places: npt.NDArray[np.int64]) -> pa.Table:
    """Put unusual rows between the usual ones, where their documents stood."""
    if not unusual:
        return usual
    others = to_table([row for _, row in unusual])
    # How many usual rows stand before each unusual one.
    before = np.cumsum(places[:, 2])[[number for number, _ in unusual]]
    if len(unusual) > _MAX_SLICES:
        order = np.insert(
            np.arange(usual.num_rows), before, np.arange(usual.num_rows, usual.num_rows + len(unusual))
        )
        return pa.concat_tables([usual, others]).combine_chunks().take(pa.array(order))
    pieces: list[pa.Table] = []
    start = 0
    for number, stop in enumerate(before.tolist()):
        pieces += [usual.slice(start, stop - start), others.slice(number, 1)]
        start = stop
    return pa.concat_tables([*pieces, usual.slice(start)])
