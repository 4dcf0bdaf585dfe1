"""Up to where all is loaded, as the snapshots of `raw.documents` say; and how that is carried on."""

from batch.lake.catalog import newest_with
from batch.lake.config import CATALOG
from batch.lake.load import LANDED_SNAPSHOT, LakeLoader
from batch.lake.notes import LOAD_ID
from batch.lake.session import snapshot_properties

_OURS = "claude-analytics."


def loaded(loader: LakeLoader) -> dict[str, str]:
    """Return what the newest load says of itself; nothing before the first."""
    documents = loader.catalog.table("raw.documents")
    return dict(newest_with(documents, LOAD_ID) or {}) if documents else {}


def is_all_loaded(loader: LakeLoader) -> bool:
    """Whether all that is registered is loaded, too; the caller has the loader's lock."""
    return str(_landed_snapshot(loader)) == loaded(loader).get(LANDED_SNAPSHOT, "None")


def move_position(loader: LakeLoader) -> None:
    """Let the present snapshots say what is loaded: files were replaced, or older ones are about to go.

    Nothing is written but that; without a file of its own the snapshot has what the one before has.
    """
    done = {name: value for name, value in loaded(loader).items() if name.startswith(_OURS)}
    if not done:
        return
    moved = {LANDED_SNAPSHOT: str(_landed_snapshot(loader))}
    documents = f"{CATALOG}.raw.documents"
    with snapshot_properties(loader.spark.session(), done | moved):
        loader.spark.run(
            f"insert into {documents} select * from {documents} where false", doing="say what is loaded"
        )


def _landed_snapshot(loader: LakeLoader) -> int | None:
    landed = loader.catalog.table("raw.landed")
    snapshot = landed.current_snapshot() if landed else None
    return int(snapshot.snapshot_id) if snapshot else None
