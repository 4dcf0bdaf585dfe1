"""What stands under MONGO_DB and MONGO_COLLECTION: a collection, something else, or nothing yet."""

import difflib
from collections.abc import Iterator

from pymongo.errors import OperationFailure

from stream.errors import SourceUnsuitableError
from stream.settings import MongoSettings
from stream.source.client import Client, is_refused

_MAX_NEAR = 3
_NEAR_ENOUGH = 0.6
_INTERNAL = frozenset({"admin", "config", "local"})


def require_collection(client: Client, settings: MongoSettings) -> bool | None:
    """Check that it is no view and no time series; return whether it exists, None where that may not be seen.

    Raises:
        SourceUnsuitableError: It is something else than a collection.
        PyMongoError: The server does not answer.
    """
    kinds = _kinds(client, settings.database)
    if kinds is None:
        return None
    kind = kinds.get(settings.collection)
    if kind not in {None, "collection"}:
        raise SourceUnsuitableError(
            f"cannot follow `{settings.namespace}`: it is a {_NAMES.get(str(kind), kind)}, which has no "
            "changes of its own",
            hint="set MONGO_DB and MONGO_COLLECTION to the collection that holds the documents",
        )
    return kind is not None


_NAMES = {"timeseries": "time series"}


def names_near(client: Client, settings: MongoSettings) -> list[str]:
    """Return namespaces that exist and are called much alike, the likeliest first.

    Raises:
        PyMongoError: The server does not answer.
    """
    known = {name.casefold(): name for name in _namespaces(client, settings.database)}
    near = difflib.get_close_matches(settings.namespace.casefold(), known, n=_MAX_NEAR, cutoff=_NEAR_ENOUGH)
    return [known[name] for name in near]


def _namespaces(client: Client, wanted: str) -> Iterator[str]:
    try:
        databases = client.list_database_names()
    except OperationFailure as error:
        if not is_refused(error):
            raise
        databases = [wanted]
    for database in databases:
        is_near = (
            difflib.SequenceMatcher(None, database.casefold(), wanted.casefold()).ratio() >= _NEAR_ENOUGH
        )
        if database not in _INTERNAL and is_near:
            for name, kind in (_kinds(client, database) or {}).items():
                if kind == "collection" and not name.startswith("system."):
                    yield f"{database}.{name}"


def _kinds(client: Client, database: str) -> dict[str, str] | None:
    """Return the kind of everything in a database by name, as far as the account may see."""
    command = {"listCollections": 1, "nameOnly": True, "authorizedCollections": True}
    try:
        found = client[database].command(command | {"cursor": {"batchSize": 10_000}})["cursor"]["firstBatch"]
    except OperationFailure as error:
        # Nothing else: a refused login that is not raised here comes as a server that does not answer.
        if not is_refused(error):
            raise
        return None
    return {each["name"]: each.get("type", "collection") for each in found}
