"""The documents of a conversation in MongoDB."""

from pymongo.errors import PyMongoError

from batch.purge.target import Target
from stream.settings import MongoSettings
from stream.source.client import connect, explained
from stream.source.majority import require_writable


def count_documents(settings: MongoSettings, target: Target) -> int:
    """Count its documents in the collection.

    Raises:
        AnalyticsError: MongoDB cannot be used.
    """
    with connect(settings) as client:
        try:
            return client[settings.database][settings.collection].count_documents(target.query)
        except PyMongoError as error:
            raise explained(error, doing=f"read `{settings.namespace}`") from error


def delete_documents(settings: MongoSettings, target: Target) -> int:
    """Delete its documents from the collection; give how many.

    Raises:
        AnalyticsError: MongoDB cannot be used, or the account may not delete; some may be gone.
    """
    with connect(settings) as client:
        require_writable(client, settings)
        try:
            return client[settings.database][settings.collection].delete_many(target.query).deleted_count
        except PyMongoError as error:
            raise explained(error, doing=f"delete from `{settings.namespace}`") from error
