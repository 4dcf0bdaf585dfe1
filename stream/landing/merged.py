"""Merged files: micro-batches of a closed day as one file, which says in its footer which ones it replaces.

While both are there, those it replaces are out of sight; whoever has begun to read them can go on. So a crash
at any moment leaves the same content in sight, and removing a replaced file changes nothing.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from stream.errors import MicroBatchCorruptError
from stream.landing.micro_batch import MicroBatch

_REPLACES_KEY = b"claude_analytics_replaces"
_REMEMBERED = 256
"""Merged files whose list is kept in mind: those of a day, for all lanes."""


def to_metadata(replaced: Iterable[str]) -> dict[bytes, bytes]:
    """Return the ids of what a merged file replaces, as in its Parquet footer; a day may have 43,200."""
    return {_REPLACES_KEY: base64.b64encode(zlib.compress(json.dumps(sorted(replaced)).encode()))}


def replaced_by(merged: MicroBatch) -> frozenset[str]:
    """Return the ids of the micro-batches that a merged file replaces; none for any other file.

    Raises:
        MicroBatchCorruptError: It cannot be read.
    """
    return _read(merged) if merged.is_merged else frozenset()


@lru_cache(maxsize=_REMEMBERED)  # a file never changes, nor does its name come back
def _read(merged: MicroBatch) -> frozenset[str]:
    try:
        metadata = pq.read_metadata(merged.path).metadata or {}
        return frozenset(json.loads(zlib.decompress(base64.b64decode(metadata[_REPLACES_KEY]))))
    except (OSError, pa.ArrowException, KeyError, ValueError, zlib.error) as error:
        raise MicroBatchCorruptError(
            f"merged file `{merged.path}` cannot be read: {error}",
            hint="restore it from a backup; or move it away (what it replaces comes back into sight if it is "
            "still there) and run `claude-analytics backfill`",
        ) from error


def in_sight(folder: Sequence[MicroBatch]) -> list[MicroBatch]:
    """Leave out what a merged file of the same folder replaces.

    Raises:
        MicroBatchCorruptError: A merged file cannot be read.
    """
    if all(each.is_merged for each in folder):  # the usual case of an old day: nothing to look up
        return list(folder)
    replaced = frozenset().union(*map(replaced_by, folder))
    return [each for each in folder if each.id not in replaced]


def replacements(folder: Sequence[MicroBatch]) -> list[tuple[MicroBatch, list[MicroBatch]]]:
    """Return each merged file of a folder with what is still there of the files it replaces.

    Raises:
        MicroBatchCorruptError: A merged file cannot be read.
    """
    found = []
    if not all(each.is_merged for each in folder):
        for merged in folder:
            replaced = replaced_by(merged)
            if left := [each for each in folder if each.id in replaced]:
                found.append((merged, left))
    return found
