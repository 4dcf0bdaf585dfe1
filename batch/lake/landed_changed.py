"""What leaves `raw.landed`, or is another file now: by one commit, so that readers see before or after."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from batch.lake.catalog import Catalog, Table
from batch.lake.landed import REGISTERED, TABLE, files_in, known_at
from batch.lake.landed_files import Landed, name_of


def replace_rewritten(catalog: Catalog, landed: Landed) -> None:
    """Register files that took the place of registered ones, under the same ids, in place of those.

    Objects keep their URLs; those that were written again are noted in the bucket, until this is done.

    Raises:
        StepFailedError: Others commit all the time.
        CatalogUnreachableError: The catalog does not answer.
    """
    rewritten = landed.rewritten()

    def replace(table: Table) -> None:
        there = {each.id: each.url for each in landed.files()}
        gone = [
            file
            for file in files_in(table)
            if (name := name_of(file.file_path)) in there
            and (name in rewritten or there[name] != file.file_path)
        ]
        if gone:
            _put_in_place(table, gone, [there[name_of(file.file_path)] for file in gone])

    catalog.commit(TABLE, replace)
    if rewritten:
        landed.forget_rewritten()


def replace_merged(catalog: Catalog, landed: Landed) -> int:
    """Register merged objects in place of those that they replace; return how many left the table.

    Raises:
        StepFailedError: Others commit all the time.
        CatalogUnreachableError: The catalog does not answer.
    """

    def replace(table: Table) -> int:
        known = {name_of(file.file_path): file for file in files_in(table)}
        members = {
            each.url: replaced
            for each in landed.files()
            if each.id not in known and (replaced := landed.replaced_by(each)) and replaced <= known.keys()
        }
        gone = [known[name] for replaced in members.values() for name in sorted(replaced)]
        if gone:
            _put_in_place(table, gone, list(members))
        return len(gone)

    return catalog.commit(TABLE, replace)


def leave(catalog: Catalog, ids: AbstractSet[str]) -> int:
    """Take files out of `raw.landed`, which stay where they are; their numbers stay known. Return how many.

    Raises:
        StepFailedError: Others commit all the time.
        CatalogUnreachableError: The catalog does not answer.
    """

    def take_out(table: Table) -> int:
        gone = [file for file in files_in(table) if name_of(file.file_path) in ids]
        if gone:
            _put_in_place(table, gone, [])
        return len(gone)

    return catalog.commit(TABLE, take_out)


def _put_in_place(table: Table, gone: Iterable[Any], urls: Iterable[str]) -> None:
    """Commit that files have gone and others are there, seen at once."""
    from pyiceberg.io.pyarrow import parquet_files_to_data_files  # noqa: PLC0415 - see the package

    noted = known_at(table)  # by its numbers, which stay what they are
    properties = {REGISTERED: noted.to_json()} if noted else {}
    with (
        table.transaction() as transaction,
        transaction.update_snapshot(snapshot_properties=properties).overwrite() as update,
    ):
        for file in gone:
            update.delete_data_file(file)
        for file in parquet_files_to_data_files(table.io, table.metadata, iter(urls)):
            update.append_data_file(file)
