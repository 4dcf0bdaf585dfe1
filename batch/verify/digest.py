"""A row → 64 bits: one SQL expression for both sides, so that equal rows have equal digests.

What tells how a row came here (when it was extracted, from which change, in which file) is left out, and so
is a date that was taken from the time of extraction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from stream import sql
from stream.core.change_event import UndecodableEvent, decode_batch
from stream.core.normalise import DeadLetter, normalise, undecodable
from stream.core.redact import Redactor
from stream.core.schema import RAW_CONVERSATIONS_COLUMNS, Row, to_table

_OF_THE_JOURNEY = {"extracted_at", "source_version", "micro_batch_id"}
_COMPARED = [name for name in RAW_CONVERSATIONS_COLUMNS if name not in _OF_THE_JOURNEY]
_DATE = "case when timestamp is not null or ingested_at is not null then date end"
DIGEST = f"hash({', '.join(_DATE if name == 'date' else sql.identifier(name) for name in _COMPARED)})"
"""The digest, over the columns of `raw.conversations` or of `LANDING_SCHEMA`."""

_KINDS = {name: kind.split()[0] for name, kind in RAW_CONVERSATIONS_COLUMNS.items()}


def portable_digest(*, of_instant: str, of_date: str, quote: str, of_text: str) -> str:
    """Return a digest that engines other than DuckDB can compute, as SQL: the first 60 bits of an MD5.

    Args:
        of_instant: Microseconds since 1970 of `{}`, an instant, in the engine's words.
        of_date: Days since 1970 of `{}`, a date.
        quote: Around the name of a column.
        of_text: The digest of `{}`, a text.
    """
    texts = []
    for name in _COMPARED:
        column = f"{quote}{name}{quote}"
        if name == "date":
            known = f"{quote}timestamp{quote} is not null or ingested_at is not null"
            column = f"case when {known} then {of_date.format(column)} end"
        elif _KINDS[name] == "timestamptz":
            column = of_instant.format(column)
        texts.append(f"coalesce(cast({column} as string), chr(30))")
    return of_text.format(f"concat_ws(chr(31), {', '.join(texts)})")


PORTABLE_DIGEST = portable_digest(
    of_instant="epoch_us({})",
    of_date="datediff('day', date '1970-01-01', {})",
    quote='"',
    of_text="cast('0x' || substr(md5({}), 1, 15) as ubigint)",
)
"""The same over `LANDING_SCHEMA` in DuckDB, to be compared with what another engine says of its rows."""

DIGEST_SCHEMA = pa.schema([pa.field("_id", pa.string()), pa.field("digest", pa.uint64())])
"""One row per document. No digest: the document cannot become a row."""


@dataclass(frozen=True)
class Digests:
    """Of one batch of documents.

    Attributes:
        table: `DIGEST_SCHEMA`.
        documents: In the batch; fewer may be in the table.
        undecodable: Documents whose very `_id` cannot be read; they are not in the table.
    """

    table: pa.Table
    documents: int
    undecodable: int


class Digester:
    """Says what rows documents must have.

    By `normalise`, document by document, and by nothing faster: it is the rule that others are held against.

    Args:
        redactor: As when the rows were made: what is compared with them has no secrets either.
        digest: That of the rows they are compared with, as DuckDB's SQL.
    """

    def __init__(self, redactor: Redactor | None = None, *, digest: str = DIGEST) -> None:
        self._redactor = redactor
        self._digest = digest
        self._connection = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
        self._connection.execute("set TimeZone = 'UTC'")

    def digest(self, batch: bytes, keep: Callable[[pa.Table], pa.Table] = lambda table: table) -> Digests:
        """Return the digests of a batch.

        Args:
            batch: BSON array, as a cursor's reply holds it.
            keep: Gives the wanted rows of a table in `LANDING_SCHEMA`.
        """
        rows: list[Row] = []
        rejected: list[str] = []
        undecodable = 0
        documents = decode_batch(batch)
        for document in documents:
            found = self._row_of(document)
            if isinstance(found, Row):
                rows.append(found)
            elif found.document_id is None:
                undecodable += 1
            else:
                rejected.append(found.document_id)
        table = self._digest_rows(keep(to_table(rows)))
        if rejected:
            without = pa.table({"_id": rejected, "digest": [None] * len(rejected)}, DIGEST_SCHEMA)
            table = pa.concat_tables([table, without])
        return Digests(table, len(documents), undecodable)

    def _digest_rows(self, table: pa.Table) -> pa.Table:
        self._connection.register("landed", table)
        try:
            found = self._connection.execute(
                f"select _id, {self._digest} as digest from landed"
            ).to_arrow_table()
        finally:
            self._connection.unregister("landed")
        return found.cast(DIGEST_SCHEMA)

    def _row_of(self, document: dict[str, Any] | UndecodableEvent) -> Row | DeadLetter:
        if isinstance(document, UndecodableEvent):
            return undecodable(document.raw, document.problem)
        return normalise(document, source_version=0, extracted_at=0, redactor=self._redactor)

    def close(self) -> None:
        """Free its memory."""
        self._connection.close()
