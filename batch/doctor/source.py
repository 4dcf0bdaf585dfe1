"""Asks MongoDB what the stream will need of it; whatever it refuses becomes a fact."""

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, TypeVar

from pymongo.errors import OperationFailure, PyMongoError

from batch.backfill.scan import present_cluster_time
from batch.doctor.facts import Server, SourceFacts
from stream.clock import Clock
from stream.core.cluster_time import timestamp_of
from stream.core.partition import Partition
from stream.core.position import Position
from stream.core.split_event import SPLIT_STAGE
from stream.errors import AnalyticsError
from stream.settings import MongoSettings
from stream.source.change_stream import PIPELINE_VERSION, ChangeCursor
from stream.source.client import Client, explained, fingerprint, ignored_options, lacks_stage, read_oplog
from stream.source.majority import require_majority
from stream.source.namespace import names_near, require_collection
from stream.source.timeline import require_timeline

_PATIENCE_MS = 5_000
_NO_SUCH_EXPRESSION = 168

Value = TypeVar("Value")


def probe_source(
    client: Client, mongo: MongoSettings, position: Position | None, *, clock: Clock
) -> SourceFacts:
    """Look at the source; nothing is changed, and no document is read but one.

    Raises:
        SourceUnreachableError: It does not answer.
        AccessDeniedError: It refuses the credentials.
    """
    try:
        server = _server(client, clock)
    except PyMongoError as error:
        raise explained(error, doing=f"connect to MongoDB for `{mongo.namespace}`") from error
    doing = f"read `{mongo.namespace}`"
    unconfirmed = _problem(lambda: require_majority(client, mongo.namespace), doing)
    collection_problem = _problem(lambda: require_collection(client, mongo), doing)
    exists = None if collection_problem else _unless_refused(lambda: require_collection(client, mongo))
    return SourceFacts(
        namespace=mongo.namespace,
        server=server,
        documents=_unless_refused(client[mongo.database][mongo.collection].estimated_document_count),
        majority_problem=_problem(lambda: _find(client, mongo, {"level": "majority"}), doing),
        snapshot_problem=unconfirmed
        or _problem(lambda: _find_at_present(client, mongo), f"{doing} at a cluster time"),
        stream_problem=_problem(lambda: _watch(client, mongo, None), f"follow `{mongo.namespace}`"),
        resume_problem=_problem(lambda: _resume(client, mongo, position), "continue from the saved position"),
        has_split_stage=_has_stages(client, mongo, [SPLIT_STAGE]),
        has_partitions=_has_stages(client, mongo, Partition(0, 2, 1).stages),
        has_images=_unless_refused(lambda: _has_images(client, mongo)),
        oplog=_unless_refused(lambda: read_oplog(client)),
        collection_problem=collection_problem,
        is_missing=exists is False,
        names_near=tuple(_unless_refused(lambda: names_near(client, mongo)) or ()) if exists is False else (),
        confirmation_problem=unconfirmed,
        ignored_options=tuple(ignored_options(mongo)),
    )


def _server(client: Client, clock: Clock) -> Server:
    asked_at = clock()
    hello = client.admin.command("hello")
    answered_at = clock()
    local_time = hello["localTime"].replace(tzinfo=UTC)
    skew = (local_time - (asked_at + (answered_at - asked_at) / 2)).total_seconds()
    version = _unless_refused(lambda: str(client.admin.command("buildInfo")["version"]))
    return Server(version or "", hello.get("setName"), hello.get("msg") == "isdbgrid", skew)


def _unless_refused(ask: Callable[[], Value]) -> Value | None:
    try:
        return ask()
    except PyMongoError:
        return None


def _problem(ask: Callable[[], object], doing: str) -> AnalyticsError | None:
    try:
        ask()
    except PyMongoError as error:
        return explained(error, doing=doing)
    except AnalyticsError as error:
        return error
    return None


def _find(client: Client, mongo: MongoSettings, read_concern: dict[str, Any]) -> None:
    client[mongo.database].command(
        {
            "find": mongo.collection,
            "limit": 1,
            "projection": {"_id": 1},
            "readConcern": read_concern,
            "maxTimeMS": _PATIENCE_MS,
        }
    )


def _find_at_present(client: Client, mongo: MongoSettings) -> None:
    time = present_cluster_time(client)
    _find(client, mongo, {"level": "snapshot", "atClusterTime": timestamp_of(time)})


def _watch(client: Client, mongo: MongoSettings, position: Position | None) -> None:
    cursor = ChangeCursor(client, mongo, batch_size=1, token=position.token if position else None)
    try:
        if position:
            cursor.next_reply()  # only reading tells whether the oplog still reaches back so far
    finally:
        cursor.close()


def _resume(client: Client, mongo: MongoSettings, position: Position | None) -> None:
    if position is not None:
        position.require_source(fingerprint(client, mongo, pipeline=PIPELINE_VERSION))
        require_timeline(client, mongo.namespace, position)
        _watch(client, mongo, position)


def _has_stages(client: Client, mongo: MongoSettings, stages: list[Mapping[str, Any]]) -> bool | None:
    """Ask for stages of a change stream: their presence cannot be told from the version alone."""
    pipeline: list[Mapping[str, Any]] = [{"$changeStream": {}}, *stages]
    try:
        client[mongo.database][mongo.collection].aggregate(pipeline).close()
    except OperationFailure as error:
        return False if lacks_stage(error) or error.code == _NO_SUCH_EXPRESSION else None
    except PyMongoError:
        return None
    return True


def _has_images(client: Client, mongo: MongoSettings) -> bool:
    found = list(client[mongo.database].list_collections(filter={"name": mongo.collection}))
    options = found[0].get("options", {}) if found else {}
    return bool(options.get("changeStreamPreAndPostImages", {}).get("enabled", False))
