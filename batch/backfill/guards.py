"""What holds before a backfill begins: nobody else does it, the stream has a position, signals are minded."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from filelock import FileLock, Timeout

from stream.disk import disk_errors
from stream.errors import AlreadyRunningError
from stream.landing.zone import STREAM_LANE, LandingZone
from stream.settings import MongoSettings
from stream.source.change_stream import PIPELINE_VERSION, start_position
from stream.source.client import Client, fingerprint
from stream.stop import StopSignal

_LOCK_SECONDS = 0.2
_POSITION_POLL_SECONDS = 0.1


@contextmanager
def only_one(landing: LandingZone) -> Iterator[None]:
    """Be the only backfill on a landing zone.

    Raises:
        AlreadyRunningError: There is another one.
    """
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


def ensure_position(client: Client, settings: MongoSettings, landing: LandingZone) -> None:
    """Make sure that the stream has a position of this source; take the present if it has none.

    Raises:
        PositionMismatchError: It has one of another source.
        AnalyticsError: MongoDB cannot be used.
    """
    lane = landing.lane(STREAM_LANE)
    while True:
        try:
            with lane.writing():
                start_position(client, settings, lane, from_now=False, log=None)
        except AlreadyRunningError:
            # A worker runs; it takes one as soon as it has started.
            position = lane.position()
            if position is not None:
                position.require_source(fingerprint(client, settings, pipeline=PIPELINE_VERSION))
                return
            time.sleep(_POSITION_POLL_SECONDS)
        else:
            return


@contextmanager
def stopped_by_signals(stop: StopSignal) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the backfill in good order, once; a second one kills as usual.

    In a thread that is not the main one signals are the caller's business.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _frame: FrameType | None) -> None:
        stop.interrupt(number)
        for each in previous:
            signal.signal(each, signal.SIG_DFL)

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
