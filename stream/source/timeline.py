"""Whether the source still has the history that a position belongs to, or went back in time since.

A position carries the cluster time of an entry of the oplog: its own, or of an anchor. A restored snapshot, a
clone that went its own way, a rollback of what a majority had confirmed: each has an oplog that reaches over
that time without the entry. Resuming there would leave out what was undone, so it is refused.
"""

from typing import Any

from bson.timestamp import Timestamp
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from stream.core.cluster_time import instant_of, timestamp_of
from stream.core.position import Position
from stream.errors import HistoryRewoundError
from stream.source.client import Client, is_refused

_CUT_OFF_CODE = 136
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"
_HINT = (
    "if it was restored or replaced on purpose, run `claude-analytics stream --on-history-lost=resnapshot`: "
    "it reads the whole collection and then removes what is no longer there, with the old rows readable "
    "meanwhile; if not, point MONGO_URI back to the right set"
)


def require_timeline(client: Client, namespace: str, position: Position) -> None:
    """Check that the oplog has the newest entry that a position rests on.

    Not asked of a sharded cluster, nor without `find` on `local.oplog.rs`, nor of a beginning that an older
    version saved without an anchor. A position that the oplog no longer reaches back to is for the change
    stream to refuse.

    Raises:
        HistoryRewoundError: The source went back in time since.
        PyMongoError: The server does not answer.
    """
    if position.newest_operation is None or not position.fingerprint.set_name:
        return
    wanted = timestamp_of(position.newest_operation)
    try:
        # Local, as a new primary may not know yet that a majority has what it has.
        oplog: Any = client["local"].get_collection("oplog.rs", read_concern=ReadConcern("local"))
        found = _first(oplog.find({"ts": {"$gte": wanted}}, {"ts": 1}, sort=[("$natural", 1)], limit=1))
        if found is not None and found <= wanted:
            return
        oldest = _first(oplog.find({}, {"ts": 1}, sort=[("$natural", 1)], limit=1))
        newest = _first(oplog.find({}, {"ts": 1}, sort=[("$natural", -1)], limit=1))
    except OperationFailure as error:
        # Read where the oplog is being cut off: so is the change stream going to be, and says so.
        if error.code == _CUT_OFF_CODE or is_refused(error):
            return
        raise
    if oldest is None or newest is None or oldest > wanted:
        return
    reach = f"{oldest.as_datetime():{_INSTANT}} to {newest.as_datetime():{_INSTANT}}"
    where = "begins behind it" if found is None else "does not have it"
    raise HistoryRewoundError(
        f"cannot follow `{namespace}`: the source went back in time: what has landed reaches to "
        f"{instant_of(position.newest_operation):{_INSTANT}}, "
        + (
            f"its newest change is of {newest.as_datetime():{_INSTANT}}"
            if found is None
            else f"and its history of {reach} {where}"
        ),
        hint=_HINT,
    )


def _first(entries: Any) -> Timestamp | None:  # noqa: ANN401 - a cursor of entries
    entry = next(iter(entries), None)
    return None if entry is None else entry["ts"]
