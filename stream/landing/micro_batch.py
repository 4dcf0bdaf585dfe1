"""A micro-batch at rest: its name, its footer, its checksum."""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stream.errors import MicroBatchCorruptError
from stream.landing.footer import Footer

PLAIN_ENDING = ".parquet"
MERGED_ENDING = ".merged.parquet"
NAME = re.compile(
    r"(?P<stem>(?P<sequence>\d{12})-[0-9a-f]{8})-(?P<checksum>[0-9a-f]{8})(?P<ending>(\.merged)?\.parquet)"
)
"""File name of a micro-batch: its place in the lane, what makes it unique for ever, its CRC-32, its kind."""

_STEM_LENGTH = 21
_READ_SIZE_BYTES = 1 << 20


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


def read_footer(micro_batch: MicroBatch) -> Footer:
    """Read what a landed file says about itself, without its rows.

    Raises:
        MicroBatchCorruptError: It is truncated, or no landed file.
        SchemaTooNewError: A newer version of this program wrote it.
    """
    try:
        metadata = pq.read_metadata(micro_batch.path).metadata
        return Footer.from_metadata(metadata, what=f"micro-batch `{micro_batch.id}`")
    except (OSError, pa.ArrowException, ValueError) as error:
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
