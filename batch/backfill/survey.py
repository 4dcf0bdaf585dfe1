"""What the server says about a collection before it is read: which one it is, how much, and where to cut."""

from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from batch.backfill.filters import Filters
from batch.backfill.plan import Origin, Plan
from batch.backfill.ranges import Bound, Sample, choose_bounds, sample_size
from stream.change_event import CODEC_OPTIONS
from stream.errors import BackfillMismatchError, SourceUnsuitableError
from stream.mongo import Client, explained, fingerprint
from stream.settings import MongoSettings

PIPELINE = "backfill"
"""In the place of a change stream's pipeline in the fingerprint of a source."""

_UNKNOWN_EXPRESSION_CODES = frozenset({168, 31325})


def origin_of(client: Client, settings: MongoSettings) -> Origin:
    """Ask which collection it is.

    Raises:
        SourceUnsuitableError: It is a view or a time series.
        AnalyticsError: The source cannot be used.
    """
    source = fingerprint(client, settings, pipeline=PIPELINE)
    return Origin(source, _collection_id(client, settings))


def _collection_id(client: Client, settings: MongoSettings) -> str | None:
    command = {
        "listCollections": 1,
        "filter": {"name": settings.collection},
        "nameOnly": False,
        "authorizedCollections": False,
    }
    try:
        found = client[settings.database].command(command)["cursor"]["firstBatch"]
    except OperationFailure:
        return None
    except PyMongoError as error:
        raise explained(error, doing=f"look at `{settings.namespace}`") from error
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
        AnalyticsError: The source cannot be used.
    """
    collection_id = _collection_id(client, settings)
    if expected.collection_id and collection_id != expected.collection_id:
        raise BackfillMismatchError(
            f"the collection `{settings.namespace}` has been dropped or replaced during the backfill",
            hint="once it is as it should be, begin anew with `claude-analytics backfill --restart`",
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
) -> Plan:
    """Measure the collection and cut it into ranges; nothing is written.

    Raises:
        AnalyticsError: The source cannot be used.
    """
    doing = f"survey `{settings.namespace}`"
    try:
        documents, size_bytes = _measure(client, settings)
        wanted = sample_size(documents, size_bytes, range_size_bytes=range_size_bytes)
        samples = _draw(client, settings, wanted) if wanted > 0 else []
        bounds = choose_bounds(samples, size_bytes=size_bytes, range_size_bytes=range_size_bytes)
        share = _share(client, settings, filters, wanted)
    except PyMongoError as error:
        raise explained(error, doing=doing) from error
    return Plan(
        id=plan_id,
        origin=origin,
        filters=filters,
        bounds=bounds,
        documents=round(documents * share),
        size_bytes=round(size_bytes * share),
        created_at=created_at,
    )


def _measure(client: Client, settings: MongoSettings) -> tuple[int, int]:
    """Give documents and bytes by the collection's own count; of all shards, if there are some."""
    collection = client[settings.database][settings.collection]
    try:
        stats = list(collection.aggregate([{"$collStats": {"storageStats": {}}}]))
    except OperationFailure as error:
        if error.code == 26:  # noqa: PLR2004 - NamespaceNotFound: nothing there yet
            return 0, 0
        # `collStats` takes a privilege of its own; a count does not, and logs are about 2 kB a line.
        documents = collection.estimated_document_count()
        return documents, documents * 2000
    shards = [each["storageStats"] for each in stats]
    return sum(int(each["count"]) for each in shards), sum(int(each["size"]) for each in shards)


def _draw(client: Client, settings: MongoSettings, size: int) -> list[Sample]:
    """Draw documents by chance, in the order of `_id`: the server compares, as only it knows how."""
    collection = client[settings.database][settings.collection].with_options(codec_options=CODEC_OPTIONS)
    fields: dict[str, Any] = {"_id": 1, "size": {"$bsonSize": "$$ROOT"}}
    try:
        drawn = list(collection.aggregate(_sampled(size, fields)))
    except OperationFailure as error:
        if error.code not in _UNKNOWN_EXPRESSION_CODES:
            raise
        # Before MongoDB 4.4: without `$bsonSize` all count the same.
        drawn = list(collection.aggregate(_sampled(size, {"_id": 1})))
    return [Sample(Bound({"_id": each["_id"]}), each.get("size", 1)) for each in drawn]


def _sampled(size: int, fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"$sample": {"size": size}}, {"$project": fields}, {"$sort": {"_id": 1}}]


def _share(client: Client, settings: MongoSettings, filters: Filters, drawn: int) -> float:
    """Estimate which share of the documents the filters let pass."""
    if filters.is_everything:
        return 1.0
    size = max(drawn, 100)
    pipeline: list[dict[str, Any]] = [
        {"$sample": {"size": size}},
        {"$match": filters.to_query()},
        {"$count": "passed"},
    ]
    found = list(client[settings.database][settings.collection].aggregate(pipeline))
    return min(1.0, found[0]["passed"] / size) if found else 0.0
