"""`serving/analytics.duckdb`: views for dashboards and notebooks, and no data.

Schema `marts` reads the build shown last: whoever has the file open sees a new build with the next query.
Schema `live` reads the landing zone itself (see `batch.publish.live_views`). The file is replaced only when
the set of views changes, since a process that has it open sees only the views it opened it with.
"""

from collections.abc import Iterable
from pathlib import Path

import duckdb

from batch.publish.folder import ServingFolder
from batch.publish.live_views import live_views
from batch.publish.manifest import PublishedTable
from stream import sql
from stream.disk import TEMPORARY_SUFFIX, disk_errors, sync_folder, write_durably
from stream.landing.zone import Failpoint, no_failpoint


def views_script(
    serving: ServingFolder, tables: Iterable[PublishedTable], landed: Path, timezone: str
) -> str:
    """Write the statements that make all views; the same views give the same text.

    Args:
        serving: Names the files.
        tables: Of the build that becomes current.
        landed: Root of the landing zone; see `batch.publish.live_views.prepare`.
        timezone: In which it is today.
    """
    tables = sorted(tables, key=lambda table: (table.schema, table.name))
    schemas = sorted({"live", *(table.schema for table in tables)})
    statements = [f"create schema {sql.identifier(schema)}" for schema in schemas]
    statements += [_table_view(serving, table) for table in tables]
    statements += live_views(landed.resolve(), timezone)
    return ";\n\n".join(statements) + ";\n"


def _table_view(serving: ServingFolder, table: PublishedTable) -> str:
    """Select from the build shown last: it has the first of the links, and gives the columns, too.

    DuckDB lists the links while it binds the query, first for `newest`, then for the files: what `newest`
    finds is among the files. The join filters by file name, so that no other build's file is read.
    """
    # Columns by name: a build with more of them is read well by a file of views made before it.
    columns = ", ".join(f"files.{sql.identifier(name)}" for name, _ in table.columns)
    pattern = sql.literal(str(serving.shown / "*" / table.file))
    return (
        f"create view {sql.identifier(table.schema)}.{sql.identifier(table.name)} as\n"
        f"select {columns}\n"
        f"from (select min(file) as file from glob({pattern})) as newest\n"
        f"inner join read_parquet({pattern}, filename = true) as files on newest.file = files.filename"
    )


def write_views(serving: ServingFolder, script: str, *, at_failpoint: Failpoint = no_failpoint) -> bool:
    """Replace the file of views if its views are others; give whether it was replaced.

    The script itself lies beside the file, as `views.sql`: written after it, so that a crash in between only
    makes the file anew.

    Raises:
        LandingFullError: No space.
        LandingNotWritableError: The folder cannot be written.
    """
    told = serving.root / "views.sql"
    if serving.database.exists() and told.exists() and told.read_text(encoding="utf-8") == script:
        return False
    temporary = serving.root / f".{serving.database.name}{TEMPORARY_SUFFIX}"
    with disk_errors(serving.database):
        for left_over in serving.root.glob(f"{temporary.name}*"):
            left_over.unlink()
        with duckdb.connect(temporary) as connection:
            connection.execute(script)
        serving.admit_readers(temporary)
        at_failpoint("views_written")
        temporary.rename(serving.database)
        sync_folder(serving.root)
        at_failpoint("views_renamed")
        write_durably(told, script.encode())
    return True
