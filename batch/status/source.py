"""What MongoDB says of a saved position, asked in passing: nobody waits long for a status."""

from pymongo.errors import PyMongoError

from stream.core.cluster_time import second_of
from stream.core.position import Position
from stream.settings import MongoSettings
from stream.source.client import connect, explained, read_oplog
from stream.source.majority import majority_lost, majority_of
from stream.source.namespace import require_collection

_PATIENCE_SECONDS = 1.0
_LAG_SECONDS = 10.0


def headroom_seconds(mongo: MongoSettings, position: Position) -> float | None:
    """Ask how long a position stays readable; None if the account may not see the oplog.

    Raises:
        AnalyticsError: It does not answer at once, or cannot be followed.
    """
    hurried = mongo.model_copy(update={"connect_timeout_seconds": _PATIENCE_SECONDS})
    with connect(hurried) as client:
        try:
            require_collection(client, mongo)
            majority = majority_of(client)
            if majority is not None and majority.lag_seconds > _LAG_SECONDS:
                raise majority_lost(mongo.namespace, majority)  # to read would take until one is back
            oplog = read_oplog(client)
        except PyMongoError as error:
            raise explained(error, doing=f"follow `{mongo.namespace}`") from error
    return oplog.headroom_seconds(second_of(position.cluster_time)) if oplog else None
