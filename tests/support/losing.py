"""Makes history get lost for real: a mongod with a tiny oplog, and a stream that was away for too long."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection

from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from stream.core.cluster_time import cluster_time_of
from stream.source.client import read_oplog
from tests.support.streaming import StreamRunner, line, mongo_settings, wait_until

Documents = Collection[dict[str, Any]]

TINY = MongodOptions(cache_size_gb=0.25, oplog_size_mb=8, extra_arguments=("--syncdelay", "1"))
"""What has not been checkpointed yet stays in the oplog, so let that happen every second."""


class LostHistory:
    """A collection, and a data folder whose position has left the oplog.

    Of 200 documents that were loaded, 20 are gone since, 20 have changed, and 20 have come.

    Attributes:
        collection: As it is now; nobody writes to it.
    """

    def __init__(self, collection: Documents, uri: str, folder: Path) -> None:
        self.collection = collection
        self._settings = mongo_settings(collection, uri)
        self._template = folder / "template"

    def happen(self) -> None:
        """Let it come to this."""
        stream = StreamRunner(self._settings, self._template)
        stream.take_position()
        self.collection.insert_many([line(number) for number in range(200)])
        stream.catch_up()
        self.collection.delete_many({"_id": {"$lt": 20}})
        self.collection.update_many({"_id": {"$gte": 180}}, {"$set": {"uuid": "changed"}})
        self.collection.insert_many([line(number) for number in range(200, 220)])
        push_out(self.collection.database.client, stream)

    def stream(self, folder: Path) -> StreamRunner:
        """Return a stream in a copy of the data folder."""
        shutil.copytree(self._template, folder)
        return StreamRunner(self._settings, folder)

    def stream_of(self, name: str, folder: Path) -> StreamRunner:
        """Return a stream of another collection beside it, in a new data folder."""
        return StreamRunner(self._settings.model_copy(update={"collection": name}), folder)


def push_out(
    client: MongoClient[dict[str, Any]],
    stream: StreamRunner,
    *,
    after_each: Callable[[int], object] = lambda _cluster_time: None,
) -> None:
    """Write elsewhere until the position that a stream has now has left the oplog.

    Args:
        client: To the server of the oplog.
        stream: Whose position is meant.
        after_each: Called after each write, a quarter of the oplog, with the write's cluster time.
    """
    position = stream.lane.position()
    assert position is not None

    def has_left() -> bool:
        with client.start_session() as session:
            client["other"]["filler"].insert_one({"filler": os.urandom(2_000_000)}, session=session)
            written = session.operation_time
        assert written is not None
        after_each(cluster_time_of(written.time, written.inc))
        oplog = read_oplog(client)
        return oplog is not None and oplog.first_second > position.cluster_time >> 31

    wait_until(has_left)


@contextmanager
def losing_history(folder: Path) -> Iterator[LostHistory]:
    """Yield lost history, and the mongod it was lost on."""
    with (
        EmbeddedMongo(folder / "mongo", options=TINY) as mongo,
        MongoClient[dict[str, Any]](mongo.uri, tz_aware=True) as client,
    ):
        lost = LostHistory(client["lost"]["conversations"], mongo.uri, folder)
        lost.happen()
        yield lost
