"""Changes that have left the oplog unread: which ones, and the resnapshot that replaces them."""

from contextlib import suppress

from pymongo.errors import PyMongoError

from stream.core.position import Position, instant_of
from stream.errors import HistoryLostError
from stream.landing.zone import Failpoint, Lane
from stream.logs import Logger
from stream.settings import MongoSettings
from stream.source.change_stream import PIPELINE_VERSION, present_position
from stream.source.client import Client, fingerprint, read_oplog
from stream.source.resnapshot import ResnapshotState, ResnapshotStore

_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


def begin_resnapshot(
    client: Client,
    settings: MongoSettings,
    lane: Lane,
    error: HistoryLostError,
    *,
    is_wanted: bool,
    log: Logger,
    at_failpoint: Failpoint,
) -> Position:
    """Write the resnapshot's state first, then the present as the position.

    A crash between the two is repaired from the state: never a new position alone.

    Args:
        client: To the source.
        settings: Which collection.
        lane: Whose position is lost; the caller is its writer.
        error: What the server said.
        is_wanted: Whether to do it, rather than to say what is lost.
        log: Told what is lost.
        at_failpoint: Called between the two.

    Returns:
        The new position.

    Raises:
        HistoryLostError: It is not wanted; names the lost interval.
        PositionMismatchError: It is another source by now than the one whose changes were lost.
        AnalyticsError: The source cannot be used.
    """
    lost = lane.position()
    if lost is None or not is_wanted:
        raise (_named(client, settings, lost, error) if lost else error) from error
    log.warning(
        "history_lost",
        problem=_named(client, settings, lost, error).message,
        hint="the whole collection is read again, then deleted documents are removed; enlarge the oplog",
    )
    source = fingerprint(client, settings, pipeline=PIPELINE_VERSION)
    lost.require_source(source)
    position = present_position(client, settings, source)
    # The server begins a new stream at the tick behind its newest operation: whatever was true at that one
    # is either true still, or the stream tells of the change.
    marker = position.cluster_time - 1
    ResnapshotStore(lane).save(ResnapshotState(marker, position))
    at_failpoint("resnapshot_saved")
    lane.save_position(position, behind=lane.newest())
    return position


def _named(
    client: Client, settings: MongoSettings, position: Position, error: HistoryLostError
) -> HistoryLostError:
    """Say between which instants changes are lost; it takes `find` on `local.oplog.rs` to know both."""
    oplog = None
    with suppress(PyMongoError):
        oplog = read_oplog(client)
    until = f"to {instant_of(oplog.first_second << 32):{_INSTANT}}" if oplog else "on"
    return HistoryLostError(
        f"cannot follow `{settings.namespace}`: changes from {position.instant:{_INSTANT}} {until} have left "
        f"the oplog unread: {error.message.partition(': ')[2]}",
        hint=error.hint,
    )
