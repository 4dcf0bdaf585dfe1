"""The one place that says what a row is: in Python, in Parquet, in DuckDB."""

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import pyarrow as pa

LANDING_SCHEMA_VERSION = 3
"""Raised whenever a landed file may hold what older programs would misread; written into each footer.

2 brought rows of op `floor`, and the footer's field of that name; 3 calls both truncate markers.
"""

MICROSECONDS_PER_DAY = 86_400_000_000

TRUNCATE_ID = ""
"""The `_id` of a truncate marker's row; no document has it."""


class Row(NamedTuple):
    """One change of one document, ready for the landing zone; fields in the order of `LANDING_SCHEMA`.

    Instants are microseconds since 1970 in UTC, `date` is days since 1970; JSON is UTF-8 text as bytes.
    A delete has only `id`, `op` and `source_version`; everything else is None (`content_length` 0). So has a
    truncate marker, which says of the whole collection that every row older than itself is deleted.

    Attributes:
        id: Canonical key of the document's `_id`; different `_id`s never share one. `TRUNCATE_ID` of a
            truncate marker.
        op: `upsert`, `delete` or `truncate` (`floor` before schema version 3).
        source_version: Cluster time of the change, seconds << 32 | increment.
        message_id: `message.id` of an API response; lands, but has no column in the warehouse.
        content_length: Characters of `message_content`, 0 without one.
    """

    id: str
    op: str
    source_version: int
    type: str | None = None
    session_id: str | None = None
    project_id: str | None = None
    timestamp: int | None = None
    ingested_at: int | None = None
    extracted_at: int | None = None
    message_role: str | None = None
    message_content: str | None = None
    message_raw: bytes | None = None
    source_file: str | None = None
    date: int | None = None
    content_length: int = 0
    uuid: str | None = None
    message_id: str | None = None
    extra: bytes | None = None


_INSTANT = pa.timestamp("us", tz="UTC")
_INT32_BITS = 32

LANDING_SCHEMA = pa.schema(
    [
        pa.field("_id", pa.string(), nullable=False),
        pa.field("op", pa.string(), nullable=False),
        pa.field("source_version", pa.int64(), nullable=False),
        pa.field("type", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("project_id", pa.string()),
        pa.field("timestamp", _INSTANT),
        pa.field("ingested_at", _INSTANT),
        pa.field("extracted_at", _INSTANT),
        pa.field("message_role", pa.string()),
        pa.field("message_content", pa.string()),
        pa.field("message_raw", pa.string()),
        pa.field("source_file", pa.string()),
        pa.field("date", pa.date32()),
        pa.field("content_length", pa.int64(), nullable=False),
        pa.field("uuid", pa.string()),
        pa.field("message_id", pa.string()),
        pa.field("extra", pa.string()),
    ]
)
"""Columns of a landed file. `_id` takes the place of `Row.id`, which Python cannot name so."""

RAW_CONVERSATIONS_COLUMNS = {
    "_id": "varchar not null",
    "type": "varchar not null",
    "session_id": "varchar",
    "project_id": "varchar",
    "timestamp": "timestamptz",
    "ingested_at": "timestamptz",
    "extracted_at": "timestamptz not null",
    "message_role": "varchar",
    "message_content": "varchar",
    "message_raw": "varchar",
    "source_file": "varchar",
    "date": "date not null",
    "content_length": "bigint not null",
    "uuid": "varchar",
    "extra": "varchar",
    "source_version": "bigint not null",
    "micro_batch_id": "varchar not null",
}
"""Columns of `raw.conversations`, in order. No index and no key on purpose: see `stream.warehouse`."""


NO_ROWS: pa.Table = pa.Table.from_batches([], schema=LANDING_SCHEMA)


def to_table(rows: Sequence[Row]) -> pa.Table:
    """Lay rows out as columns of `LANDING_SCHEMA`, in the order given."""
    if not rows:
        return NO_ROWS
    columns = zip(*rows, strict=True)
    return pa.Table.from_arrays(
        [_to_array(values, field.type) for values, field in zip(columns, LANDING_SCHEMA, strict=True)],
        schema=LANDING_SCHEMA,
    )


def _to_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Lay values out as Arrow does; `pa.array` would import pandas to ask it what they are: 40 MB, 0.3 s."""
    validity = None
    if None in values:
        bits = "".join("0" if value is None else "1" for value in reversed(values))
        validity = pa.py_buffer(int(bits, 2).to_bytes((len(values) + 7) // 8, "little"))
    if pa.types.is_string(kind):
        texts = [value.encode() if isinstance(value, str) else value or b"" for value in values]
        ends = array("i", accumulate(map(len, texts), initial=0))
        buffers = [validity, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    else:
        code = "i" if kind.bit_width == _INT32_BITS else "q"
        buffers = [validity, pa.py_buffer(array(code, [value or 0 for value in values]))]
    return pa.Array.from_buffers(kind, len(values), buffers)
