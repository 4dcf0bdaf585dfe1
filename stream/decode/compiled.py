"""The compiled way from BSON to columns, where it could be built: `transcribe.c`, an optional extension."""

import pyarrow as pa

from stream.core.schema import LANDING_SCHEMA
from stream.core.transcribed import Transcribed

try:
    from stream.decode import _transcribe
except ImportError as error:  # built where there was a C compiler
    _problem: str | None = str(error)
else:
    _problem = None

_OF_EVENTS = -1


def problem() -> str | None:
    """Return why there is no compiled way, None if there is."""
    return _problem


def transcribe_documents(batch: bytes, *, source_version: int, extracted_at: int) -> Transcribed | None:
    """Write the rows of all usual documents of a BSON array.

    Args:
        batch: As a cursor's reply holds it.
        source_version: Cluster time that all documents are at least of.
        extracted_at: When they were read, microseconds since 1970.

    Returns:
        Rows, and what is left to Python. None if the array itself is damaged.
    """
    return _transcribe_all(batch, extracted_at, source_version)


def transcribe_events(batch: bytes, *, extracted_at: int) -> Transcribed | None:
    """Write the rows of all usual change events of a BSON array; else like `transcribe_documents`."""
    return _transcribe_all(batch, extracted_at, _OF_EVENTS)


def _transcribe_all(batch: bytes, extracted_at: int, source_version: int) -> Transcribed | None:
    found = _transcribe.transcribe(batch, extracted_at, source_version)
    if found is None:
        return None
    rows, columns, spans, codes = found
    arrays = [
        pa.Array.from_buffers(
            field.type, rows, [each if each is None else pa.py_buffer(each) for each in buffers]
        )
        for field, buffers in zip(LANDING_SCHEMA, columns, strict=True)
    ]
    table = pa.Table.from_arrays(arrays, schema=LANDING_SCHEMA)
    return Transcribed(batch, memoryview(spans).cast("i"), codes, table)
