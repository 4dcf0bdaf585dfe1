"""Lost history, drops and replacements under `kill -9`: the worker killed in between."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.conftest import Arena
from tests.support.backfilling import reading_anew
from tests.support.equality import assert_manifest_is_sound, assert_same
from tests.support.forking import ForkServer
from tests.support.losing import LostHistory, losing_history

pytestmark = pytest.mark.chaos

RESNAPSHOT = {"STREAM_ON_HISTORY_LOST": "resnapshot"}


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LostHistory]:
    """Return a collection of whose changes some are lost."""
    with losing_history(tmp_path_factory.mktemp("lost")) as found:
        yield found


@pytest.mark.fault(
    4, "`kill -9` at each step of a resnapshot, twice", "resumed; the copy equals the collection"
)
@pytest.mark.parametrize(
    ("failpoint", "nth"),
    [
        ("resnapshot_saved", 1),
        ("position_saved", 1),
        ("planned", 1),
        ("file_renamed", 1),
        ("all_done", 1),
        ("file_renamed", 3),
        ("load_before_commit", 1),
    ],
    ids=lambda value: (
        {3: "of the truncate marker", 1: ""}.get(value, value) if isinstance(value, int) else value
    ),
)
def test_a_kill_while_everything_is_resnapshot(
    lost: LostHistory, scripts: ForkServer, tmp_path: Path, failpoint: str, nth: int
) -> None:
    """What has been read is not read again, what is gone is removed at the end, whatever came in between."""
    stream = lost.stream(tmp_path / "data")
    arena = Arena(stream.mongo, lost.collection, stream.folder, seed=1, scripts=scripts)
    arena.crash_at(failpoint, nth, settings=RESNAPSHOT)
    if failpoint in {"resnapshot_saved", "planned"}:
        arena.crash_at("file_renamed", 1, settings=RESNAPSHOT)

    reading_anew(stream).run(until_idle_seconds=0.5)

    assert 200 == assert_same(lost.collection, stream.warehouse)
    assert_manifest_is_sound(stream.warehouse)
    plans = list((stream.folder / "landing").glob("backfill-*/plan.json"))
    assert 1 == len(plans)
    assert not (stream.lane.folder / "resnapshot.json").exists()
    assert [] == list(stream.folder.rglob("*.inflight"))


@pytest.mark.fault(7, "drops, replacements and `kill -9` at random during live changes", "the copy is right")
def test_drops_and_replacements_and_kills(arena: Arena, seed: int) -> None:
    """Whatever happens to the collection as a whole, and whenever the worker dies: raw = collection."""
    chance = random.Random(seed)
    other = arena.collection.database["another"]
    arena.stream.take_position()
    with arena.writer.writing():
        for number in range(4):
            with arena.worker(settings=RESNAPSHOT) as process:
                time.sleep(chance.uniform(0.5, 1.5))
                if chance.random() < 0.5:
                    arena.collection.drop()
                else:
                    other.insert_many([{"_id": f"{number}-{each}", "type": "user"} for each in range(150)])
                    other.rename(arena.collection.name, dropTarget=True)
                time.sleep(chance.uniform(0.2, 1.5))
                assert process.poll() is None, process.communicate()
                process.kill()

    reading_anew(arena.stream).run(until_idle_seconds=0.5)

    assert_same(arena.collection, arena.stream.warehouse)
    assert_manifest_is_sound(arena.stream.warehouse)
