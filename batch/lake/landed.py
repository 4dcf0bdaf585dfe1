"""Landed files as files of an Iceberg table: registered where they are, never copied."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from batch.lake.catalog import Catalog, Table
from batch.lake.landed_files import Landed, LandedFile, name_of
from stream.errors import MicroBatchCorruptError

TABLE = "raw.landed"
_FILES_A_COMMIT = 2_000
"""However much has landed, so many descriptions of files are in memory."""


def registered(table: Table, snapshot_id: int | None = None) -> dict[str, int]:
    """Return ids and sizes of the files in a snapshot of `raw.landed`, by its metadata alone.

    Args:
        table: `raw.landed`.
        snapshot_id: The present one if None.
    """
    return {name_of(file.file_path): int(file.file_size_in_bytes) for file in _files(table, snapshot_id)}


def _files(table: Table, snapshot_id: int | None) -> Iterator[Any]:
    snapshot: Any = table.current_snapshot() if snapshot_id is None else table.snapshot_by_id(snapshot_id)
    for manifest in snapshot.manifests(table.io) if snapshot else ():
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield entry.data_file


def unregistered(landed: Landed, files: Iterable[LandedFile], known: AbstractSet[str]) -> list[LandedFile]:
    """Return what is not in `raw.landed` yet: a merged file is, if all that it replaces is.

    Args:
        landed: Says what a merged file replaces.
        files: In order.
        known: Ids of what is.
    """
    left = (each for each in files if each.id not in known)
    return [each for each in left if not (replaced := landed.replaced_by(each)) or not replaced <= known]


def register(catalog: Catalog, landed: Landed) -> int:
    """Register what has landed and is not registered yet; return how many files.

    Each is looked at first. Two that do so at once register nothing twice: the second of two commits is
    refused, and looks again.

    Raises:
        MicroBatchCorruptError: A file is damaged, or is another than was registered; no more is registered.
        SettingsError: A file was landed by a version of this program whose keys are written otherwise.
        CatalogUnreachableError: The catalog does not answer.
    """
    checked: set[str] = set()

    def add(table: Table) -> tuple[int, bool]:
        files, known = landed.files(), registered(table)
        _require_unchanged(files, known)
        left = unregistered(landed, files, known.keys())
        new = left[:_FILES_A_COMMIT]
        landed.check([each for each in new if each.id not in checked])
        checked.update(each.id for each in new)
        if new:
            table.add_files([each.url for each in new], check_duplicate_files=False)
        return len(new), len(left) > len(new)

    total, has_more = 0, True
    while has_more:
        added, has_more = catalog.commit(TABLE, add)
        total += added
    return total


def replace_rewritten(catalog: Catalog, landed: Landed) -> None:
    """Register files that took the place of registered ones, under the same ids, in place of those.

    Raises:
        StepFailedError: Others commit all the time.
        CatalogUnreachableError: The catalog does not answer.
    """

    def replace(table: Table) -> None:
        there = {each.id: each.url for each in landed.files()}
        gone = [
            file
            for file in _files(table, None)
            if there.get(name_of(file.file_path), file.file_path) != file.file_path
        ]
        if not gone:
            return
        from pyiceberg.io.pyarrow import parquet_files_to_data_files  # noqa: PLC0415 - see the package

        urls = iter([there[name_of(file.file_path)] for file in gone])
        with table.transaction() as transaction, transaction.update_snapshot().overwrite() as update:
            for file in gone:
                update.delete_data_file(file)
            for file in parquet_files_to_data_files(table.io, table.metadata, urls):
                update.append_data_file(file)

    catalog.commit(TABLE, replace)


def _require_unchanged(files: Iterable[LandedFile], known: Mapping[str, int]) -> None:
    """Refuse a bucket in which somebody has begun again under the numbers of what is registered."""
    for each in files:
        size_bytes = known.get(each.id)
        if None not in {size_bytes, each.size_bytes} and size_bytes != each.size_bytes:
            raise MicroBatchCorruptError(
                f"micro-batch `{each.url}` is another than the one that was registered: it has "
                f"{each.size_bytes:,} bytes, not {size_bytes:,}",
                hint="restore it from a version or a copy of the bucket; to begin again, use another "
                "DATA_URL and another database in CATALOG_URI",
            )
