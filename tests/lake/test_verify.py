"""`verify` on Iceberg: every kind of difference is found, repaired, and nothing else is reported."""

from typing import Any

from pymongo.collection import Collection

from batch.lake.tables import DOCUMENTS as DOCUMENT_COLUMNS
from batch.lake.verified import LakeSide
from stream.settings import MongoSettings
from tests.support.laking import Lake
from tests.support.streaming import StreamRunner
from tests.support.verifying import verifier_of

DOCUMENTS: list[dict[str, Any]] = [
    {"_id": 1, "type": "user", "timestamp": "2026-01-03T10:00:00.123456Z", "message": {"content": "häß\\'"}},
    {"_id": "it's", "type": "user", "sessionId": "s", "uuid": "u"},
    {"_id": "b\\c", "type": "summary", "ingestedAt": None},
    {"_id": 2, "type": "assistant", "message": {"id": "m", "role": "assistant", "content": ""}},
    {"_id": 3, "type": "system"},
]


def test_differences_are_found_and_repaired(
    lake: Lake, mongo: MongoSettings, collection: Collection[dict[str, Any]]
) -> None:
    """A missing, an extra and a different row; afterwards 0, 0 and 0."""
    stream = StreamRunner(mongo, lake.folder)
    stream.take_position()
    collection.insert_many(DOCUMENTS)
    stream.catch_up()
    verifier = verifier_of(stream, side=LakeSide(lake.loader(), lease_timeout_seconds=10))
    lake.loader().load(timeout_seconds=5)
    whole = verifier.run()
    copied = ", ".join(f"`{name}`" for name in DOCUMENT_COLUMNS if name != "_id")
    extra = f"select 's:no', {copied} from lake.raw.documents where _id = 'i:2'"
    for statement in (
        "delete from lake.raw.documents where _id = 'i:1'",
        "update lake.raw.documents set type = 'other' where _id = 's:b\\\\c'",
        f"insert into lake.raw.documents (_id, {copied}) {extra}",
    ):
        lake.spark.run(statement, doing="damage it")

    found = verifier.run()
    outcome = verifier.repair(found.mismatches)

    assert whole.is_same
    assert (whole.documents, whole.rows) == (len(DOCUMENTS), len(DOCUMENTS))
    assert {
        "missing": 1,
        "extra": 1,
        "different": 1,
        "duplicate": 0,
    } == {kind: found.counts[kind] for kind in ("missing", "extra", "different", "duplicate")}
    assert outcome.is_whole
    assert verifier.run().is_same
