"""Landed files as files of an Iceberg table: registered where they are, never copied.

What is registered is a property of the snapshot that registers. A snapshot of somebody else, Spark's, has
none: then it is asked of the manifests, which name every file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batch.lake.catalog import Catalog, Table, back_from
from batch.lake.landed_files import Landed, LandedFile, name_of
from batch.lake.registered import LaneRegistered, Registered
from stream.errors import MicroBatchCorruptError

TABLE = "raw.landed"
REGISTERED = "claude-analytics.registered"
"""Property of a snapshot of it; see `known_at`."""
_FILES_A_COMMIT = 2_000
"""However much has landed, so many descriptions of files are in memory."""


def known_at(table: Table, snapshot_id: int | None = None) -> Registered | None:
    """Return what a snapshot of `raw.landed` says is registered; None if it says nothing.

    Args:
        table: `raw.landed`.
        snapshot_id: The present one if None.
    """
    snapshot = _snapshot(table, snapshot_id)
    text = snapshot.summary.additional_properties.get(REGISTERED) if snapshot and snapshot.summary else None
    return Registered.from_json(text) if text else None


def registered(table: Table, snapshot_id: int | None = None) -> dict[str, int]:
    """Return ids and sizes of all files in a snapshot of `raw.landed`, as its manifests have them.

    Args:
        table: `raw.landed`.
        snapshot_id: The present one if None.
    """
    return {name_of(file.file_path): int(file.file_size_in_bytes) for file in files_in(table, snapshot_id)}


def named(table: Table) -> set[str]:
    """Return the ids of all files that any snapshot of `raw.landed` names; each manifest is read once."""
    manifests = {
        each.manifest_path: each for snapshot in table.snapshots() for each in snapshot.manifests(table.io)
    }
    return {name_of(entry.data_file.file_path) for entry in _entries(table, manifests.values())}


def registered_between(table: Table, since: int | None, until: int) -> set[str]:
    """Return the ids of the files that were registered after one snapshot and up to another.

    Args:
        table: `raw.landed`.
        since: All up to the other if it is None, or has expired.
        until: Of the present history.
    """
    between: dict[int, bool] = {}
    for snapshot in back_from(table, until):
        if snapshot.snapshot_id == since:
            break
        # A purge registers what it has written again: by another kind of snapshot.
        between[snapshot.snapshot_id] = snapshot.summary.operation.value == "append"
    else:
        return set(registered(table, until))
    manifests = (each for each in _manifests(table, until) if each.added_snapshot_id in between)
    return {
        name_of(entry.data_file.file_path)
        for entry in _entries(table, manifests)
        if between.get(entry.snapshot_id)
    }


def registered_at(table: Table) -> dict[str, datetime]:
    """Return when each file came into `raw.landed`, by its id; long ago if that snapshot has expired."""
    times: dict[str, datetime] = {}
    for entry in _entries(table, _manifests(table, None)):
        added = table.snapshot_by_id(entry.snapshot_id)
        milliseconds = added.timestamp_ms if added else 0
        times[name_of(entry.data_file.file_path)] = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return times


def _snapshot(table: Table, snapshot_id: int | None) -> Any:  # noqa: ANN401 - PyIceberg is not imported here
    return table.current_snapshot() if snapshot_id is None else table.snapshot_by_id(snapshot_id)


def files_in(table: Table, snapshot_id: int | None = None) -> Iterator[Any]:
    """Return the data files in a snapshot of `raw.landed`; the present one if None."""
    return (entry.data_file for entry in _entries(table, _manifests(table, snapshot_id)))


def _manifests(table: Table, snapshot_id: int | None) -> list[Any]:
    snapshot = _snapshot(table, snapshot_id)
    return list(snapshot.manifests(table.io)) if snapshot else []


def _entries(table: Table, manifests: Iterable[Any]) -> Iterator[Any]:
    for manifest in manifests:
        yield from manifest.fetch_manifest_entry(table.io, discard_deleted=True)


def unregistered(landed: Landed, files: Iterable[LandedFile], known: AbstractSet[str]) -> list[LandedFile]:
    """Return what is not in `raw.landed` yet: a merged file is, if all that it replaces is.

    Args:
        landed: Says what a merged file replaces.
        files: In order.
        known: Ids of what is.
    """
    left = (each for each in files if each.id not in known)
    return [each for each in left if not (replaced := landed.replaced_by(each)) or not replaced <= known]


@dataclass(frozen=True)
class Look:
    """What has landed beside what is registered.

    Attributes:
        files: As far as they were listed.
        left: Those that are not registered.
        noted: What is.
    """

    files: list[LandedFile]
    left: list[LandedFile]
    noted: Registered


def look(landed: Landed, table: Table, snapshot_id: int | None = None) -> Look:
    """Compare what has landed with a snapshot of `raw.landed`; the present one if None.

    Where the newest of each lane is what it was, nothing before is looked at.

    Raises:
        MicroBatchCorruptError: Somebody has begun again under numbers that are registered.
    """
    noted = known_at(table, snapshot_id)
    if noted is not None:
        files = landed.files(noted.known_to())
        newest = _newest(landed, files, noted, lambda _lane: True)
        if landed.is_numbered_once:
            _require_same(newest, noted)
        if newest == {name: lane.newest for name, lane in noted.lanes.items()}:
            left = [each for each in files if not all(one in noted for one in _ids_of(landed, each))]
            return Look(files, left, noted)
    files, known = landed.files(), registered(table, snapshot_id)
    if landed.is_numbered_once:
        _require_there(files, noted)
    _require_unchanged(files, known)
    left = unregistered(landed, files, known.keys())
    new = {each.id for each in left}
    ids = {one for each in files if each.id not in new for one in _ids_of(landed, each)}
    return Look(files, left, Registered({}).adding(ids | known.keys()))


def _ids_of(landed: Landed, file: LandedFile) -> Iterable[str]:
    return landed.replaced_by(file) or [file.id]


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
        found = look(landed, table)
        new = found.left[:_FILES_A_COMMIT]
        landed.check([each for each in new if each.id not in checked])
        checked.update(each.id for each in new)
        if new:
            noted = found.noted.adding(one for each in new for one in _ids_of(landed, each))
            noted = noted.naming(_newest(landed, found.files, noted, lambda lane: not lane.newest))
            table.add_files(
                [each.url for each in new],
                snapshot_properties={REGISTERED: noted.to_json()},
                check_duplicate_files=False,
            )
        return len(new), len(found.left) > len(new)

    total, has_more = 0, True
    while has_more:
        added, has_more = catalog.commit(TABLE, add)
        total += added
    return total


def _newest(
    landed: Landed, files: Iterable[LandedFile], noted: Registered, is_asked: Callable[[LaneRegistered], bool]
) -> dict[str, str]:
    """Return what files with the highest numbers of their lanes call themselves."""
    last = {
        each.lane: each
        for each in files
        if (lane := noted.lanes.get(each.lane)) and is_asked(lane) and each.sequence == lane.last
    }
    footers = landed.footers(list(last.values()))
    return {name: footer.micro_batch_id for name, footer in zip(last, footers, strict=True)}


def _require_same(newest: Mapping[str, str], noted: Registered) -> None:
    """Refuse a bucket in which somebody has begun a lane again: its numbers would never be loaded."""
    for name, found in newest.items():
        expected = noted.lanes[name].newest
        if expected and found != expected:
            raise _another(
                f"{name}/{noted.lanes[name].last:012d}", f"it calls itself `{found}`, not `{expected}`"
            )


def _require_there(files: Iterable[LandedFile], noted: Registered | None) -> None:
    """Refuse a bucket in which only others than the newest of a lane are there: the same, in the making."""
    last: dict[str, int] = {}
    for each in files:
        last[each.lane] = max(each.sequence, last.get(each.lane, 0))
    for name, lane in noted.lanes.items() if noted else ():
        if last.get(name, lane.last) < lane.last:
            raise _another(f"{name}/{lane.last:012d}", "there is none")


def _require_unchanged(files: Iterable[LandedFile], known: Mapping[str, int]) -> None:
    """Refuse a bucket in which an object has another size than the one that is registered."""
    for each in files:
        size_bytes = known.get(each.id)
        if None not in {size_bytes, each.size_bytes} and size_bytes != each.size_bytes:
            raise _another(each.id, f"it has {each.size_bytes:,} bytes, not {size_bytes:,}")


def _another(file_id: str, why: str) -> MicroBatchCorruptError:
    return MicroBatchCorruptError(
        f"micro-batch `{file_id}` is another than the one that was registered: {why}",
        hint="restore it from a version or a copy of the bucket; to begin again, use another DATA_URL and "
        "another database in CATALOG_URI",
    )
