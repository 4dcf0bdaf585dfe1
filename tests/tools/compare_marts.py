"""Shows whether a change of the models changed a number: marts of two checkouts, row for row.

    python -m tests.tools.compare_marts build FOLDER [LOGS]    # in each checkout; by default of the sample
    python -m tests.tools.compare_marts compare FOLDER FOLDER

`build` makes `incremental.duckdb` by three loads, with updates, a fork and deletions, and `full.duckdb` by a
full refresh of the same documents.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from bson.objectid import ObjectId

from batch import shipped
from tests.support.marts import MARTS, MartsWarehouse, documents_of

_BUILDS = ("incremental", "full")


def build(folder: Path, logs: Path) -> None:
    """Build the marts of some logs in both ways, and keep the two warehouses."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        warehouse = MartsWarehouse(Path(scratch))
        for upserts, deletes in arrivals(documents_of(logs)):
            warehouse.change(upserts, deletes=deletes)
            warehouse.build_unchecked()
        shutil.copy(warehouse.path, folder / "incremental.duckdb")
        warehouse.build_unchecked(full_refresh=True)
        shutil.copy(warehouse.path, folder / "full.duckdb")


def arrivals(documents: list[dict[str, Any]]) -> Iterator[tuple[list[dict[str, Any]], list[object]]]:
    """Yield upserts and deletions: most lines, then late, updated and forked ones, then deletions alone."""
    yield [each for place, each in enumerate(documents) if place % 10], []
    session = next(each["sessionId"] for each in documents if each.get("sessionId"))
    fork = [
        each | {"_id": ObjectId(f"{place:024x}"), "sessionId": "fork", "sourceFile": "p/fork.jsonl"}
        for place, each in enumerate(documents)
        if each.get("sessionId") == session
    ]
    updates = [each | {"gitBranch": "another"} for each in documents[1:400:20]]
    yield [*documents[::10], *updates, *fork], []
    yield [], [each["_id"] for each in documents[5::97]]


def compare(before: Path, after: Path) -> list[str]:
    """Return a line for each mart whose rows or columns differ."""
    different = []
    for name in _BUILDS:
        with duckdb.connect() as connection:
            connection.execute(f"attach '{before / name}.duckdb' as before (read_only)")
            connection.execute(f"attach '{after / name}.duckdb' as after (read_only)")
            for mart in MARTS:
                found = difference(connection, f"before.marts.{mart}", f"after.marts.{mart}")
                if found:
                    different.append(f"{name}: {mart} {found}")
    return different


def difference(connection: duckdb.DuckDBPyConnection, before: str, after: str) -> str | None:
    """Return what is different in a relation, row for row; None if columns, types and rows are equal."""
    columns = [connection.execute(f"describe {side}").fetchall() for side in (before, after)]
    named = [[(name, kind) for name, kind, *_ in each] for each in columns]
    if named[0] != named[1]:
        return f"has other columns: {sorted(set(named[0]) ^ set(named[1]))}"
    lost, gained = (
        connection.execute(f"select count(*) from (from {one} except all from {other})").fetchall()[0][0]
        for one, other in ((before, after), (after, before))
    )
    return f"lost {lost} rows and gained {gained}" if lost or gained else None


def main(command: str, folder: str, *rest: str) -> None:
    """Build, or compare; exit with 1 if anything differs."""
    if command == "build":
        build(Path(folder), Path(rest[0]) if rest else shipped.sample_logs())
        return
    different = compare(Path(folder), Path(rest[0]))
    sys.stdout.write("\n".join(different) or f"{len(MARTS)} marts are equal, incremental and full\n")
    sys.exit(bool(different))


if __name__ == "__main__":
    main(*sys.argv[1:])
