"""Begins `raw.landed` again: the next load puts everything in place that has landed, and nothing else.

One commit empties the table, and says so. A load that finds it behind the snapshot up to which all is loaded
registers every file as it is now, and replaces the rows of `raw.documents` by theirs in one commit. So a
rebuild that was killed is ended by the next load, and until then readers see the old rows.
"""

from itertools import takewhile

from batch.lake.catalog import Catalog, Table, back_from
from batch.lake.landed import REGISTERED, TABLE, registered
from batch.lake.landed_files import Landed
from batch.lake.registered import Registered
from stream.errors import LandingTrimmedError
from stream.landing.retention import require_whole

_BEGUN_AGAIN = "claude-analytics.begun-again"
"""Property of the snapshot of `raw.landed` that empties it."""


def begin_again(catalog: Catalog, landed: Landed, *, is_incomplete: bool) -> None:
    """Let nothing be registered, so that the next load is a rebuild.

    Args:
        catalog: Of the tables; there is a `raw.landed`.
        landed: Looked at first, file by file.
        is_incomplete: Do so also where registered files are there no more, and rows will be missing.

    Raises:
        MicroBatchCorruptError: A file is damaged; nothing has begun.
        LandingTrimmedError: Old files were removed, or registered ones are there no more; nothing has begun.
    """
    if not is_incomplete:
        require_whole(landed.state)
    files = landed.files()
    landed.check(files)

    def empty(table: Table) -> None:
        if not is_incomplete:
            here = {each.id for each in files}.union(*map(landed.replaced_by, files))
            _require_there(registered(table).keys() - here)
        if table.current_snapshot() is not None:
            from pyiceberg.expressions import AlwaysTrue  # noqa: PLC0415 - see the package

            noted = {REGISTERED: Registered({}).to_json(), _BEGUN_AGAIN: "true"}
            table.delete(AlwaysTrue(), snapshot_properties=noted)

    catalog.commit(TABLE, empty)


def has_begun_again(table: Table, since: int | None) -> bool:
    """Whether a load of `raw.landed` as it is now is a rebuild.

    Args:
        table: `raw.landed`.
        since: Snapshot of it up to which all is loaded; None if nothing is.
    """
    behind = takewhile(
        lambda snapshot: snapshot.snapshot_id != since, back_from(table, table.metadata.current_snapshot_id)
    )
    return any(_BEGUN_AGAIN in snapshot.summary.additional_properties for snapshot in behind)


def _require_there(missing: set[str]) -> None:
    if missing:
        raise LandingTrimmedError(
            f"cannot make the tables of `raw` from what has landed alone: {len(missing):,} micro-batches "
            f"that were loaded are not there, among them `{min(missing)}`",
            hint="restore them; or run `claude-analytics load --full-refresh --incomplete`, which loads what "
            "is left, then `claude-analytics backfill`, which reads the rest from MongoDB, and "
            "`claude-analytics verify`",
        )
