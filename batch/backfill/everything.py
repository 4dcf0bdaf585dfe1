"""Reads the whole collection for a stream worker whose history is lost: a backfill that replaces all rows."""

import time
from collections.abc import Callable

from batch.backfill.backfill import Backfill
from batch.backfill.filters import Filters
from batch.backfill.plan import PlanStore
from stream.errors import AlreadyRunningError, AnalyticsError, BackfillMismatchError
from stream.landing.fenced import FencedZone
from stream.landing.zone import LandingZone
from stream.logs import Logger
from stream.stop import StopSignal

_RETRY_SECONDS = 2.0
_POLL_SECONDS = 0.1


class CollectionReader:
    """What a `stream.source.resnapshot.Resnapshot` calls; resumable at any moment, like any backfill.

    Args:
        backfill: Gives a new backfill, which loads as well unless it is told to only land.
        landing: Where it lands.
        log: Told what has to be waited for.
    """

    def __init__(
        self, backfill: Callable[[bool], Backfill], *, landing: LandingZone | FencedZone, log: Logger
    ) -> None:
        self._backfill = backfill
        self._landing = landing
        self._log = log

    def __call__(self, not_before: int, must_leave: Callable[[], bool], is_landing_only: bool) -> bool:  # noqa: FBT001 - as it is called
        """Land every document, none older than `not_before`; give whether all has landed.

        Another backfill is waited for; in a bucket it goes on beside. A collection that is dropped meanwhile
        is read from its beginning.

        Raises:
            AnalyticsError: What ended the backfill; the next call goes on from there.
        """
        while not must_leave():
            if PlanStore(self._landing).has_finished(not_before):
                return True
            stop = StopSignal()

            def leave(_progress: object, stop: StopSignal = stop) -> None:
                if must_leave():
                    stop.finish()

            try:
                self._backfill(is_landing_only).run(
                    Filters(), not_before=not_before, stop=stop, on_progress=leave
                )
            except (AlreadyRunningError, BackfillMismatchError) as error:
                self._wait(error, must_leave)
        return False

    def _wait(self, error: AnalyticsError, must_leave: Callable[[], bool]) -> None:
        self._log.warning("resnapshot_waits", problem=error.message, retry_in_seconds=_RETRY_SECONDS)
        until = time.monotonic() + _RETRY_SECONDS
        while time.monotonic() < until and not must_leave():
            time.sleep(_POLL_SECONDS)
