"""A micro-batch at rest: its name, its footer, its checksum."""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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


class Checked(NamedTuple):
    """A landed file that is whole.

    Attributes:
        micro_batch: The file.
        footer: What it says about itself.
        size_bytes: Its size.
        content: All of it, where that is at most 1 MiB.
    """

    micro_batch: MicroBatch
    footer: Footer
    size_bytes: int
    content: bytes | None


def read_checked(micro_batch: MicroBatch) -> Checked:
    """Do what `check_content` and `read_footer` do; a small file is opened once.

    Raises the errors of both.
    """
    try:
        with micro_batch.path.open("rb") as file:
            content = file.read(_READ_SIZE_BYTES + 1)
    except OSError as error:
        raise corrupt(micro_batch, error.strerror or error) from error
    if len(content) > _READ_SIZE_BYTES:
        size_bytes = check_content(micro_batch)
        return Checked(micro_batch, read_footer(micro_batch), size_bytes, None)
    _require_checksum(micro_batch, f"{zlib.crc32(content):08x}")
    return Checked(micro_batch, _footer(micro_batch, pa.BufferReader(content)), len(content), content)


def read_footer(micro_batch: MicroBatch) -> Footer:
    """Read what a landed file says about itself, without its rows.

    Raises:
        MicroBatchCorruptError: It is truncated, or no landed file.
        SchemaTooNewError: A newer version of this program wrote it.
    """
    return _footer(micro_batch, micro_batch.path)


def _footer(micro_batch: MicroBatch, source: Path | pa.BufferReader) -> Footer:
    try:
        metadata = pq.read_metadata(source).metadata
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
    _require_checksum(micro_batch, checksum)
    return size_bytes


def _require_checksum(micro_batch: MicroBatch, checksum: str) -> None:
    name = NAME.fullmatch(micro_batch.path.name)
    if name is None or name["checksum"] != checksum:
        raise corrupt(micro_batch, f"its checksum is {checksum}, not the one in its name")
