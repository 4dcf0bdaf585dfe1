"""The drill of the runbook: back up, lose the machine, restore elsewhere, prove that nothing is missing."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from stream.settings import MongoSettings
from tests.support.program import Program
from tests.support.streaming import StreamRunner, make_warehouse

pytestmark = pytest.mark.integration


def insert(collection: Collection[dict[str, Any]], *numbers: int) -> None:
    collection.insert_many(
        [{"type": "user", "sessionId": f"session-{number % 3}", "uuid": f"{number}"} for number in numbers]
    )


def test_a_backup_restored_elsewhere_is_whole(
    stream: StreamRunner, collection: Collection[dict[str, Any]], mongo: MongoSettings, tmp_path: Path
) -> None:
    """The stream goes on where the copy was made: what changed meanwhile, deletes too, is caught up."""
    stream.take_position()
    insert(collection, *range(20))
    stream.catch_up()
    backup = shutil.copytree(stream.folder, tmp_path / "backup", symlinks=True)
    insert(collection, *range(20, 25))
    collection.delete_one({"uuid": "7"})
    stream.catch_up()
    shutil.rmtree(stream.folder)

    restored = shutil.copytree(backup, tmp_path / "elsewhere" / "data", symlinks=True)
    program = Program.on(mongo, restored)
    program.done("stream", "--until-idle", "1")
    program.done("verify")

    with make_warehouse(restored).opened(timeout_seconds=30) as connection:
        assert [(24,)] == connection.execute("select count(*) from raw.conversations").fetchall()


def test_a_backup_of_the_landing_zone_is_enough(
    stream: StreamRunner, collection: Collection[dict[str, Any]], mongo: MongoSettings, tmp_path: Path
) -> None:
    """Without a warehouse in it, the next load makes one; the runbook's smallest backup."""
    stream.take_position()
    insert(collection, *range(10))
    stream.catch_up()
    collection.update_one({"uuid": "3"}, {"$set": {"note": "later"}})
    stream.catch_up()

    restored = tmp_path / "elsewhere"
    shutil.copytree(stream.folder / "landing", restored / "landing")
    program = Program.on(mongo, restored)
    program.done("load")
    program.done("verify")
