"""What the server says about a collection before it is read: which one it is, how much, and where to cut."""

from collections.abc import Iterator
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from batch.backfill.filters import Filters
from batch.backfill.plan import Origin, Plan
from batch.backfill.ranges import Bound, documents_per_range
from stream.core.change_event import CODEC_OPTIONS
from stream.errors import BackfillMismatchError, SourceUnsuitableError
from stream.settings import MongoSettings
from stream.source.client import Client, explained, fingerprint, is_refused
from stream.source.namespace import require_collection

PIPELINE = "backfill"
"""In the place of a change stream's pipeline in the fingerprint of a source."""

_NAMESPACE_NOT_FOUND = 26
_SAMPLE_SIZE = 100


def origin_of(client: Client, settings: MongoSettings) -> Origin:
    """Ask which collection it is.

    Raises:
        SourceUnsuitableError: It is a view or a time series.
        AnalyticsError: The source cannot be used.
    """
    source = fingerprint(client, settings, pipeline=PIPELINE)
    try:
        require_collection(client, settings)
        return Origin(source, _collection_id(client, settings))
    except PyMongoError as error:
        raise explained(error, doing=f"look at `{settings.namespace}`") from error


def _collection_id(client: Client, settings: MongoSettings) -> str | None:
    command = {
        "listCollections": 1,
        "filter": {"name": settings.collection},
        "nameOnly": False,
        "authorizedCollections": False,
    }
    try:
        found = client[settings.database].command(command)["cursor"]["firstBatch"]
    except OperationFailure as error:
        if not is_refused(error):
            raise
        return None
    if not found:
        return None
    kind = found[0].get("type", "collection")
    if kind != "collection":
        raise SourceUnsuitableError(
            f"cannot backfill `{settings.namespace}`: it is a {kind}",
            hint="set MONGO_DB and MONGO_COLLECTION to the collection that holds the documents",
        )
    return _hex(found[0].get("info", {}).get("uuid"))


def _hex(value: object) -> str | None:
    return value.hex() if isinstance(value, bytes) else None if value is None else str(value)


def require_origin(client: Client, settings: MongoSettings, expected: Origin) -> None:
    """Check that the collection has not been dropped since; to be asked after what was read of it.

    Raises:
        BackfillMismatchError: It has, so that what was read may be of another collection.
        PyMongoError: The server does not answer.
    """
    collection_id = _collection_id(client, settings)
    if expected.collection_id and collection_id != expected.collection_id:
        raise BackfillMismatchError(
            f"the collection `{settings.namespace}` has been dropped or replaced during the backfill",
            hint="once it is as it should be, begin again with `claude-analytics backfill --restart`",
        )


def make_plan(
    client: Client,
    settings: MongoSettings,
    *,
    origin: Origin,
    filters: Filters,
    range_size_bytes: int,
    plan_id: str,
    created_at: str,
    not_before: int | None = None,
) -> Plan:
    """Measure the collection and cut it into ranges; nothing is written.

    Raises:
        AnalyticsError: The source cannot be used.
    """
    try:
        documents, size_bytes = _measure(client, settings)
        per_range = documents_per_range(documents, size_bytes, range_size_bytes=range_size_bytes)
        bounds = list(_walk(client, settings, per_range))
        share = _share(client, settings, filters)
    except PyMongoError as error:
        raise explained(error, doing=f"survey `{settings.namespace}`") from error
    return Plan(
        id=plan_id,
        source=origin.source,
        collection_id=origin.collection_id,
        filters=filters,
        bounds=bounds,
        documents=round(documents * share),
        size_bytes=round(size_bytes * share),
        created_at=created_at,
        not_before=not_before,
    )


def _measure(client: Client, settings: MongoSettings) -> tuple[int, int]:
    """Return documents and bytes by the collection's own count; of all shards, if there are some."""
    collection = client[settings.database][settings.collection]
    try:
        stats = list(collection.aggregate([{"$collStats": {"storageStats": {}}}]))
    except OperationFailure as error:
        if error.code == _NAMESPACE_NOT_FOUND:
            return 0, 0
        if not is_refused(error):
            raise
        # `collStats` takes a privilege of its own; a count does not.
        return collection.estimated_document_count(), 0
    shards = [each["storageStats"] for each in stats]
    return sum(int(each["count"]) for each in shards), sum(int(each["size"]) for each in shards)


def _walk(client: Client, settings: MongoSettings, step: int) -> Iterator[Bound]:
    """Return every so-manieth `_id`, ascending as only the server can compare.

    It counts the keys of its index and reads no document, which takes a thirtieth of the time of a backfill;
    drawing documents by chance is quicker, but was found to leave half a collection in one range.
    """
    collection = client[settings.database][settings.collection].with_options(codec_options=CODEC_OPTIONS)
    bound: Bound | None = None
    while True:
        keys = collection.find({}, {"_id": 1}, hint=[("_id", 1)], sort=[("_id", 1)], skip=step, limit=1)
        if bound is not None:
            keys = keys.min([("_id", bound.document["_id"])])
        found = next(iter(keys), None)
        if found is None:
            return
        bound = Bound({"_id": found["_id"]})
        if bound.is_writable:
            yield bound


def _share(client: Client, settings: MongoSettings, filters: Filters) -> float:
    """Estimate which share of the documents the filters let pass."""
    if filters.is_everything:
        return 1.0
    pipeline: list[dict[str, Any]] = [
        {"$sample": {"size": _SAMPLE_SIZE}},
        {"$match": filters.to_query()},
        {"$count": "passed"},
    ]
    found = list(client[settings.database][settings.collection].aggregate(pipeline))
    return min(1.0, found[0]["passed"] / _SAMPLE_SIZE) if found else 0.0
