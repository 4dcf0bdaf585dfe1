"""Reads pieces of the collection into files of digests, a row a document."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pymongo.errors import OperationFailure, PyMongoError

from batch.backfill.filters import Filters
from batch.backfill.ranges import Range
from batch.backfill.scan import is_passing
from batch.verify.digest import DIGEST_SCHEMA, Digester
from batch.verify.ranges import KeyRange
from batch.verify.scan import SnapshotScan
from stream.settings import MongoSettings
from stream.source.client import Client

_ATTEMPTS = 5
_RETRY_SECONDS = 1.0
_SNAPSHOT_TOO_OLD_CODE = 239
_OTHER_TYPES = "x:"


class RangeReader:
    """Reads piece by piece, in the memory of one reply.

    Args:
        filters: Which documents.
        digester: Computes the digests.
        on_read: Told how many documents have been read, after each reply.

    Attributes:
        documents: Read so far.
        undecodable: Documents whose very `_id` cannot be decoded.
        size_bytes: BSON read so far.
        cluster_times: Of the ranges, in their order.
    """

    def __init__(
        self,
        client: Client,
        mongo: MongoSettings,
        filters: Filters,
        digester: Digester,
        on_read: Callable[[int], None],
    ) -> None:
        self.documents = 0
        self.undecodable = 0
        self.size_bytes = 0
        self.cluster_times: list[int] = []
        self._client = client
        self._mongo = mongo
        self._filters = filters
        self._digester = digester
        self._on_read = on_read
        self._leftovers: list[pa.Table] = []

    def read(self, piece: KeyRange, path: Path) -> None:
        """Write the digests of a piece into a new file, of `DIGEST_SCHEMA`.

        Strings with U+0000 are put off until the piece that has their rows, the last one.

        Raises:
            PyMongoError: Trying again has not helped.
        """
        with pq.ParquetWriter(path, DIGEST_SCHEMA) as writer:
            for part in piece.ranges:
                for table in self._read_range(part, path):
                    is_leftover = pc.starts_with(table["_id"], _OTHER_TYPES)
                    if not piece.is_of_other_types and pc.any(is_leftover).as_py():
                        self._leftovers.append(table.filter(is_leftover))
                        writer.write_table(table.filter(pc.invert(is_leftover)))
                    else:
                        writer.write_table(table)
            if piece.is_of_other_types:
                for table in self._leftovers:
                    writer.write_table(table)

    def _read_range(self, part: Range, path: Path) -> Iterator[pa.Table]:
        """Read a range wholly before any of it is used: a second attempt is as of another time."""
        for attempt in range(_ATTEMPTS):
            spool = path.with_name(f"{path.stem}-{part.number}-{attempt}.spool")
            counts = self.documents, self.undecodable, self.size_bytes
            try:
                with pq.ParquetWriter(spool, DIGEST_SCHEMA) as writer:
                    for table in self._digests(part):
                        writer.write_table(table)
                break
            except PyMongoError as error:
                self.documents, self.undecodable, self.size_bytes = counts
                if attempt == _ATTEMPTS - 1 or not _may_go_well(error):
                    raise
                time.sleep(_RETRY_SECONDS)
        with pq.ParquetFile(spool) as file:
            for batch in file.iter_batches():
                yield pa.Table.from_batches([batch], DIGEST_SCHEMA)
        spool.unlink()

    def _digests(self, part: Range) -> Iterator[pa.Table]:
        scan = SnapshotScan(self._client, self._mongo, self._filters.to_query(), part)
        for reply in scan.replies():
            digests = self._digester.digest(reply.batch, self._filters.keep)
            self.documents += digests.documents
            self.undecodable += digests.undecodable
            self.size_bytes += len(reply.batch)
            yield digests.table
            self._on_read(self.documents)
        self.cluster_times.append(scan.cluster_time)


def _may_go_well(error: PyMongoError) -> bool:
    is_too_old = isinstance(error, OperationFailure) and error.code == _SNAPSHOT_TOO_OLD_CODE
    return is_too_old or is_passing(error)
