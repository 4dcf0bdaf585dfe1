"""Landed files as files of an Iceberg table: registered where they are, never copied."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from batch.lake.catalog import Catalog, Table
from stream.errors import SettingsError
from stream.landing.merged import replaced_by
from stream.landing.micro_batch import MicroBatch, check_content, read_footer
from stream.landing.zone import LandingZone

TABLE = "raw.landed"
_FILE = re.compile(r"([^/]+)/date=[^/]+/(\d{12}-[0-9a-f]{8})-[^/]*$")
"""Lane and stem in the URL of a landed file."""
LANE_OF_FILE = r"regexp_extract(file, '([^/]+)/date=[^/]+/[^/]*$', 1)"
STEM_OF_FILE = r"substr(regexp_extract(file, '([^/]+)$', 1), 1, 21)"


def file_url(path: Path) -> str:
    """Return the URL of a landed file, as Spark and PyIceberg write it."""
    return f"file://{path.resolve()}"


def micro_batch_id_of(url: str) -> str:
    """Return the id of the micro-batch in a landed file.

    Raises:
        ValueError: It is no landed file.
    """
    found = _FILE.search(url)
    if found is None:
        raise ValueError(url)
    return f"{found[1]}/{found[2]}"


def registered(table: Table) -> set[str]:
    """Return the ids of the micro-batches in `raw.landed`, by its metadata alone."""
    return {micro_batch_id_of(url) for url in registered_files(table)}


def registered_files(table: Table, snapshot_id: int | None = None) -> list[str]:
    """Return the URLs of the files in a snapshot of `raw.landed`, the present one if None."""
    snapshot: Any = table.current_snapshot() if snapshot_id is None else table.snapshot_by_id(snapshot_id)
    if snapshot is None:
        return []
    return [
        entry.data_file.file_path
        for manifest in snapshot.manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    ]


def unregistered(landed: Iterable[MicroBatch], known: set[str]) -> list[MicroBatch]:
    """Return what is not in `raw.landed` yet: a merged file is, if all that it replaces is.

    Args:
        landed: In order.
        known: Ids of what is.
    """
    return [
        each
        for each in landed
        if each.id not in known and not (each.is_merged and replaced_by(each) <= known)
    ]


def register(catalog: Catalog, landing: LandingZone) -> int:
    """Register what has landed and is not registered yet; return how many files.

    Each is read first, and compared with the checksum in its name. Two that do so at once register nothing
    twice: the second of two commits is refused, and looks again.

    Raises:
        MicroBatchCorruptError: A file is damaged; nothing is registered.
        SettingsError: A file was landed by a version of this program whose keys are written otherwise.
        CatalogUnreachableError: The catalog does not answer.
    """
    checked: set[str] = set()

    def add(table: Table) -> int:
        new = unregistered(landing.micro_batches(), registered(table))
        for each in new:
            if each.id not in checked:
                _require_usable(each)
                checked.add(each.id)
        if new:
            table.add_files([file_url(each.path) for each in new], check_duplicate_files=False)
        return len(new)

    return catalog.commit(TABLE, add)


def by_id(landed: Sequence[MicroBatch]) -> dict[str, MicroBatch]:
    """Return micro-batches by their ids."""
    return {each.id: each for each in landed}


def _require_usable(micro_batch: MicroBatch) -> None:
    check_content(micro_batch)
    if read_footer(micro_batch).is_old:
        raise SettingsError(
            f"micro-batch `{micro_batch.path}` was landed by an older version, which wrote other keys",
            hint="with WAREHOUSE=iceberg use a new DATA_DIR and run `claude-analytics backfill`",
        )
