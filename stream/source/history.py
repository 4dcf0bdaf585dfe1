"""Changes that have left the oplog unread: which ones, and the resnapshot that replaces them."""

from contextlib import suppress
from datetime import UTC, datetime

from pymongo.errors import PyMongoError

from stream.core.cluster_time import second_of
from stream.core.position import Position
from stream.errors import HistoryLostError, HistoryRewoundError
from stream.landing.landed_file import Failpoint
from stream.landing.lane_writer import LaneWriter
from stream.logs import Logger
from stream.settings import MongoSettings
from stream.source.change_stream import PIPELINE_VERSION, present_position
from stream.source.client import Client, fingerprint, read_oplog
from stream.source.resnapshot import ResnapshotState, ResnapshotStore

_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


def begin_resnapshot(
    client: Client,
    settings: MongoSettings,
    lane: LaneWriter,
    error: HistoryLostError | HistoryRewoundError,
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
        HistoryRewoundError: It is not wanted, or too early: the source's clock is still behind.
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
    if position.cluster_time <= lost.cluster_time:
        raise HistoryRewoundError(
            f"cannot replace the rows of `{settings.namespace}` yet: they are of changes up to "
            f"{lost.instant:{_INSTANT}}, and by the source's clock it is {position.instant:{_INSTANT}}",
            hint="newer changes could not win over them: correct the clocks of the set's members, or wait "
            "until they are past that time; or use another DATA_DIR",
        )
    # The server begins a new stream at the tick behind its newest operation: whatever was true at that one
    # is either true still, or the stream tells of the change.
    marker = position.cluster_time - 1
    ResnapshotStore(lane).save(ResnapshotState(truncate_marker=marker, position=position))
    at_failpoint("resnapshot_saved")
    lane.save_position(position, behind=lane.newest())
    return position


def _named(
    client: Client,
    settings: MongoSettings,
    position: Position,
    error: HistoryLostError | HistoryRewoundError,
) -> HistoryLostError | HistoryRewoundError:
    """Say between which instants changes are lost; it takes `find` on `local.oplog.rs` to know both."""
    if isinstance(error, HistoryRewoundError):
        return error
    oplog = None
    with suppress(PyMongoError):
        oplog = read_oplog(client)
    is_known = oplog is not None and oplog.first_second > second_of(position.cluster_time)
    until = (
        f"to {datetime.fromtimestamp(oplog.first_second, tz=UTC):{_INSTANT}}" if oplog and is_known else "on"
    )
    return HistoryLostError(
        f"cannot follow `{settings.namespace}`: changes from {position.instant:{_INSTANT}} {until} have left "
        f"the oplog unread: {error.message.partition(': ')[2]}",
        hint=error.hint,
    )
