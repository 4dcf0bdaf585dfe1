"""Merging landed files is killed between any two steps: readers and warehouses never notice."""

import signal
from pathlib import Path

import pytest

from tests.support.equality import assert_manifest_is_sound
from tests.support.forking import ForkServer
from tests.support.landing import delete, upsert
from tests.support.maintaining import DAY, HOUR, Yard, rows_of
from tests.support.patience import patience

pytestmark = pytest.mark.chaos


@pytest.mark.fault(
    1,
    "merging landed files, or removing the small ones, is killed between any two steps",
    "warehouses that had loaded all, some or none of it end with the same rows",
)
@pytest.mark.parametrize(
    ("failpoint", "nth"),
    [("file_written", 1), ("file_synced", 2), ("file_renamed", 1), ("file_renamed", 2), ("file_removed", 2)],
    ids=str,
)
def test_a_kill_at_a_failpoint(tmp_path: Path, scripts: ForkServer, failpoint: str, nth: int) -> None:
    """A warehouse that had loaded a part, one made anew, and the next merge all end right."""
    yard = Yard(tmp_path)
    for day in range(2):
        for version in range(10 + 100 * day, 60 + 100 * day, 10):
            yard.land(
                upsert("same", version, uuid=str(version)), upsert(version, version), delete(10, version + 1)
            )
            if version == 130:
                yard.warehouse("part").load(timeout_seconds=5)
        yard.now += DAY
    yard.land(upsert("last", 300))
    reference = yard.warehouse("reference")
    reference.load(timeout_seconds=5)
    expected = rows_of(reference)

    script = Path(__file__).with_name("crashing_compaction.py")
    crashed = scripts.start(script, str(yard.folder), yard.now.isoformat(), failpoint, str(nth))
    assert -signal.SIGKILL == crashed.wait(patience())

    def assert_all_right() -> None:
        for name in ("part", "reference"):
            warehouse = yard.warehouse(name)
            warehouse.load(timeout_seconds=5)
            assert expected == rows_of(warehouse)
            assert_manifest_is_sound(warehouse)
        rebuilt = yard.warehouse("rebuilt")
        rebuilt.rebuild(timeout_seconds=5)
        assert expected == rows_of(rebuilt)

    assert_all_right()
    yard.compaction.merge()
    yard.now += HOUR
    yard.compaction.remove_replaced()
    assert_all_right()
    assert ["4 merged", "9 merged", "10 plain"] == yard.files()
    assert [] == list(yard.folder.rglob("*.merging"))
    assert [] == list(yard.folder.glob(".compaction-*"))
