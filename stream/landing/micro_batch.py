"""A micro-batch at rest: its name, what its footer says, its columns."""

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stream.core.cluster_time import upgraded
from stream.core.position import Position
from stream.core.schema import LANDING_SCHEMA_VERSION
from stream.errors import AnalyticsError, MicroBatchCorruptError, SchemaTooNewError

PLAIN_ENDING = ".parquet"
MERGED_ENDING = ".merged.parquet"
NAME = re.compile(
    r"(?P<stem>(?P<sequence>\d{12})-[0-9a-f]{8})-(?P<checksum>[0-9a-f]{8})(?P<ending>(\.merged)?\.parquet)"
)
"""File name of a micro-batch: its place in the lane, what makes it unique for ever, its CRC-32, its kind."""

FIRST_WITH_LASTING_TIMES = 4
"""The landing schema version since which cluster times are packed as `stream.core.cluster_time` does."""

_STEM_LENGTH = 21
_READ_SIZE_BYTES = 1 << 20

_FOOTER_KEY = b"claude_analytics"


@dataclass(frozen=True)
class MicroBatch:
    """One landed file, known by its name alone.

    Attributes:
        path: Where it is; before it has landed, without the checksum.
        lane: Whose it is.
        sequence: Its place in the lane, ascending; gaps are possible.
    """

    path: Path
    lane: str
    sequence: int

    @property
    def stem(self) -> str:
        """`<sequence>-<random>`."""
        return self.path.name[:_STEM_LENGTH]

    @property
    def id(self) -> str:
        """Unique for ever: `<lane>/<sequence>-<random>`."""
        return f"{self.lane}/{self.stem}"

    @property
    def is_merged(self) -> bool:
        """Whether it replaces others (see `stream.landing.merged`)."""
        return self.path.name.endswith(MERGED_ENDING)


@dataclass(frozen=True)
class Footer:
    """What a landed file says about itself.

    Attributes:
        micro_batch_id: `MicroBatch.id`.
        rows: Upserts, deletes and truncate markers together.
        dead_letters: Documents rejected in the same window.
        first_cluster_time: Oldest `source_version` of upserts and deletes, None without any.
        last_cluster_time: Newest `source_version` of upserts and deletes, None without any.
        position: Where the stream stood behind its last event; None in a backfill lane.
        landed_at: When it was written, ISO 8601.
        truncate_marker: Cluster time below which every row of the collection is deleted, wherever it lands
            and whenever it is loaded. None without one.
        schema_version: Of the rows in the file; the times here are as now, whatever the version.
    """

    micro_batch_id: str
    rows: int
    upserts: int
    deletes: int
    dead_letters: int
    first_cluster_time: int | None
    last_cluster_time: int | None
    position: Position | None
    landed_at: str
    truncate_marker: int | None = None
    schema_version: int = LANDING_SCHEMA_VERSION

    @property
    def is_old(self) -> bool:
        """Whether keys and cluster times of its rows are written as before schema version 4."""
        return self.schema_version < FIRST_WITH_LASTING_TIMES

    def to_metadata(self) -> dict[bytes, bytes]:
        """Return the form it has in a Parquet footer."""
        fields = vars(self) | {"position": self.position.to_json() if self.position else None}
        return {_FOOTER_KEY: json.dumps(fields).encode()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None) -> "Footer":
        """Read what `to_metadata` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
            SchemaTooNewError: A newer version of this program wrote it.
        """
        fields: dict[str, Any] = json.loads((metadata or {})[_FOOTER_KEY])
        SchemaTooNewError.require_known(
            f"micro-batch `{fields['micro_batch_id']}`",
            version=fields["schema_version"],
            known=LANDING_SCHEMA_VERSION,
        )
        position = fields.pop("position")
        if "floor" in fields:  # its name in schema version 2
            fields["truncate_marker"] = fields.pop("floor")
        if fields["schema_version"] < FIRST_WITH_LASTING_TIMES:
            for name in ("first_cluster_time", "last_cluster_time", "truncate_marker"):
                if fields.get(name) is not None:
                    fields[name] = upgraded(fields[name])
        return cls(position=Position.from_json(position) if position else None, **fields)


def read_footer(micro_batch: MicroBatch) -> Footer:
    """Read what a landed file says about itself, without its rows.

    Raises:
        MicroBatchCorruptError: It is truncated, or no landed file.
        SchemaTooNewError: A newer version of this program wrote it.
    """
    try:
        return Footer.from_metadata(pq.read_metadata(micro_batch.path).metadata)
    except AnalyticsError:
        raise
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise corrupt(micro_batch, error) from error


def corrupt(micro_batch: MicroBatch, problem: object) -> MicroBatchCorruptError:
    """Make the error for a landed file that cannot be read."""
    return MicroBatchCorruptError(
        f"micro-batch `{micro_batch.path}` is corrupt: {problem}",
        hint="restore it from a backup; or move it away (the stream continues behind the file before it, "
        "if the oplog still reaches back that far) and run `claude-analytics backfill`",
    )


def checksum_of(path: Path) -> tuple[str, int]:
    """Return the CRC-32 of a file as in its name, and its size in bytes.

    A file as a whole, as DuckDB checks neither pages nor footer: it would load flipped bits without a word.
    """
    checksum = size_bytes = 0
    with path.open("rb") as file:
        while block := file.read(_READ_SIZE_BYTES):
            checksum = zlib.crc32(block, checksum)
            size_bytes += len(block)
    return f"{checksum:08x}", size_bytes


def check_content(micro_batch: MicroBatch) -> int:
    """Read a landed file wholly, and compare it with the checksum in its name; give its size in bytes.

    Raises:
        MicroBatchCorruptError: It is damaged, or not there.
    """
    try:
        checksum, size_bytes = checksum_of(micro_batch.path)
    except OSError as error:
        raise corrupt(micro_batch, error.strerror or error) from error
    name = NAME.fullmatch(micro_batch.path.name)
    if name is None or name["checksum"] != checksum:
        raise corrupt(micro_batch, f"its checksum is {checksum}, not the one in its name")
    return size_bytes
