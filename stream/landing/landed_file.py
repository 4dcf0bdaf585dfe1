"""Writes a landed file: whole, durable and under its checksum, or not at all; and removes them."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from stream.core.schema import LANDING_SCHEMA
from stream.disk import TEMPORARY_SUFFIX, disk_errors, make_folder, sync_folder
from stream.landing.micro_batch import PLAIN_ENDING, MicroBatch, checksum_of

_PARQUET: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["op", "type", "session_id", "project_id", "message_role", "source_file"],
    "write_page_checksum": True,
}
_FEW_ROWS = 8
_WIDE = ("message_content", "message_raw", "extra")
_PARQUET_OF_FEW_ROWS: dict[str, Any] = _PARQUET | {
    "compression": dict.fromkeys(LANDING_SCHEMA.names, "none") | dict.fromkeys(_WIDE, "zstd"),
    "compression_level": dict.fromkeys(_WIDE, 1),
    "use_dictionary": False,
}
"""A reader makes a decompressor for each column, which takes longer than a few rows; and saves no bytes."""

Failpoint = Callable[[str], None]
"""Called with the name of each step that a crash may separate from the next; tests crash there."""

Metadata = dict[bytes, bytes]
Content = Callable[[IO[bytes]], None]
"""Writes a file's content into it."""


def no_failpoint(_name: str) -> None:
    """Do nothing between two steps."""


def one_group(table: pa.Table, metadata: Metadata) -> Content:
    """Return the content of a file with few rows."""
    content = table.replace_schema_metadata(metadata)
    options = _PARQUET if table.num_rows > _FEW_ROWS else _PARQUET_OF_FEW_ROWS
    return lambda file: pq.write_table(content, file, **options)


def many_groups(tables: Iterable[pa.Table], metadata: Callable[[], Metadata]) -> Content:
    """Return the content of a file with a row group for each table.

    Args:
        tables: Taken one by one; what taking one raises is passed on.
        metadata: Called behind the last of them.
    """

    def write(file: IO[bytes]) -> None:
        with pq.ParquetWriter(file, LANDING_SCHEMA, **_PARQUET) as writer:
            for table in tables:
                writer.write_table(table)
            writer.add_key_value_metadata(metadata())

    return write


def write_file(
    micro_batch: MicroBatch,
    content: Content,
    *,
    ending: str = PLAIN_ENDING,
    temporary_suffix: str = TEMPORARY_SUFFIX,
    at_failpoint: Failpoint = no_failpoint,
) -> MicroBatch:
    """Write a file; give the same micro-batch with its final path, which tells the checksum.

    Args:
        micro_batch: Named without a checksum.
        content: Writes it.
        ending: Of the final name.
        temporary_suffix: Of the name it has until it is whole.
        at_failpoint: Tests crash the process there.

    Raises:
        LandingFullError: No space; the half-written file is gone.
        LandingNotWritableError: The folder cannot be written.
    """
    path = micro_batch.path
    temporary = path.with_name(f".{path.name}{temporary_suffix}")
    with disk_errors(path):
        make_folder(path.parent)
        try:
            with temporary.open("wb") as file:
                content(file)
                at_failpoint("file_written")
                file.flush()
                os.fsync(file.fileno())
            at_failpoint("file_synced")
            checksum, _ = checksum_of(temporary)
            landed = replace(micro_batch, path=path.with_name(f"{path.stem}-{checksum}{ending}"))
            temporary.rename(landed.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    at_failpoint("file_renamed")
    return landed


def remove_files(files: Sequence[MicroBatch], *, at_failpoint: Failpoint = no_failpoint) -> None:
    """Remove landed files, durably.

    Raises:
        LandingNotWritableError: A folder cannot be written.
    """
    for folder in {each.path.parent for each in files}:
        with disk_errors(folder):
            for each in files:
                if each.path.parent == folder:
                    each.path.unlink(missing_ok=True)
                    at_failpoint("file_removed")
            sync_folder(folder)
