"""A server with access control."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions


@contextmanager
def guarded_mongo(folder: Path, *, user: str, password: str) -> Iterator[EmbeddedMongo]:
    """Run a server in a folder that refuses everybody but one user, who may do everything."""
    key = folder / "key"
    key.write_text("c2VjcmV0IG9mIGEgdGVzdA==")
    key.chmod(0o600)
    options = MongodOptions(
        cache_size_gb=0.25, oplog_size_mb=64, extra_arguments=("--auth", "--keyFile", str(key))
    )
    with EmbeddedMongo(folder / "mongo", options=options) as mongo:
        with MongoClient[dict[str, Any]](mongo.uri) as client:
            client.admin.command("createUser", user, pwd=password, roles=["root"])
        yield mongo
