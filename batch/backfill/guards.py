"""What holds before a backfill begins: nobody else does it, and the stream has a position."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from filelock import FileLock, Timeout
from pymongo.errors import PyMongoError

from stream.core.position import Position
from stream.disk import disk_errors
from stream.errors import AlreadyRunningError
from stream.landing.fenced import FencedZone
from stream.landing.partitions import current_generation
from stream.landing.zone import STREAM_LANE, LandingZone
from stream.settings import MongoSettings
from stream.source.change_stream import PIPELINE_VERSION, start_position
from stream.source.client import Client, explained, fingerprint
from stream.source.majority import majority_of
from stream.source.timeline import require_timeline

_LOCK_SECONDS = 0.2
_POSITION_POLL_SECONDS = 0.1


@contextmanager
def only_one(landing: LandingZone | FencedZone) -> Iterator[None]:
    """Be the only backfill on a landing zone in a folder; in a bucket there may be any number.

    Raises:
        AlreadyRunningError: There is another one.
    """
    if isinstance(landing, FencedZone):
        yield
        return
    path = landing.root / "backfill.lock"
    with disk_errors(path):
        landing.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, mode=0o600)
        try:
            lock.acquire(timeout=_LOCK_SECONDS, poll_interval=0.02)
        except Timeout:  # an OSError to `disk_errors`
            raise AlreadyRunningError(
                f"another backfill already runs on `{landing.root}`",
                hint="let it finish, or stop it and run the same command again, which goes on from there",
            ) from None
    try:
        yield
    finally:
        lock.release()


def ensure_position(client: Client, settings: MongoSettings, landing: LandingZone | FencedZone) -> None:
    """Make sure that the stream has a position of this source; take the present if it has none.

    Raises:
        PositionMismatchError: It has one of another source.
        HistoryRewoundError: The source went back in time since.
        AnalyticsError: MongoDB cannot be used.
    """
    if (generation := current_generation(landing)) is not None:
        generation.start.require_source(fingerprint(client, settings, pipeline=PIPELINE_VERSION))
        return
    lane = landing.lane(STREAM_LANE)
    while True:
        try:
            with lane.writing():
                begun = start_position(client, settings, lane, from_now=False, log=None)
        except AlreadyRunningError:
            # A worker runs; it takes one as soon as it has started.
            position = lane.position()
            if position is not None:
                position.require_source(fingerprint(client, settings, pipeline=PIPELINE_VERSION))
                return
            time.sleep(_POSITION_POLL_SECONDS)
        else:
            _require_timeline(client, settings, begun)
            return


def anchor_position(client: Client, settings: MongoSettings, landing: LandingZone | FencedZone) -> None:
    """Let the stream's position rest on what has been read by now, so that a rewound source is noticed.

    While a worker runs, its position gets there by itself. Several workers' positions are left as they are.

    Raises:
        AnalyticsError: MongoDB or the landing zone cannot be used.
    """
    if current_generation(landing) is not None:
        return
    lane = landing.lane(STREAM_LANE)
    try:
        majority = majority_of(client)
    except PyMongoError as error:
        raise explained(error, doing=f"follow `{settings.namespace}`") from error
    with suppress(AlreadyRunningError), lane.writing():
        position = lane.position()
        if position is not None and majority is not None and majority.confirmed > position.cluster_time:
            lane.save_position(replace(position, anchor=majority.confirmed), behind=lane.newest())


def _require_timeline(client: Client, settings: MongoSettings, position: Position) -> None:
    try:
        require_timeline(client, settings.namespace, position)
    except PyMongoError as error:
        raise explained(error, doing=f"follow `{settings.namespace}`") from error
