"""Whether a majority of the members has what the primary has: only that can be read, and never be undone."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from stream.core.cluster_time import cluster_time_of
from stream.errors import AnalyticsError, MajorityLostError
from stream.logs import Logger
from stream.settings import MongoSettings
from stream.source.client import Client, explained
from stream.source.namespace import require_collection
from stream.stop import StopSignal

_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.2
_WATCH_SECONDS = 2.0


@dataclass(frozen=True)
class Majority:
    """How far a replica set has come.

    Attributes:
        newest: Cluster time of the primary's newest write.
        confirmed: Cluster time up to which a majority has all; 0 if the primary knows of none.
        lag_seconds: By how much the latter is behind, by the servers' clocks; then infinite.
    """

    newest: int
    confirmed: int
    lag_seconds: float


def majority_of(client: Client) -> Majority | None:
    """Ask the primary; None behind a `mongos`.

    A primary forgets what is confirmed when the members are changed, and knows again with the next write
    that a majority confirms: without one, never.

    Raises:
        PyMongoError: It does not answer.
    """
    write = client.admin.command("hello").get("lastWrite", {})
    if "opTime" not in write:
        return None
    newest = write["opTime"]["ts"]
    if "majorityOpTime" not in write:
        return Majority(cluster_time_of(newest.time, newest.inc), confirmed=0, lag_seconds=math.inf)
    confirmed = write["majorityOpTime"]["ts"]
    return Majority(
        cluster_time_of(newest.time, newest.inc),
        cluster_time_of(confirmed.time, confirmed.inc),
        max(0, newest.time - confirmed.time),
    )


def require_majority(
    client: Client,
    namespace: str,
    *,
    patience_seconds: float = _PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Check that what is written now is confirmed within seconds.

    Raises:
        MajorityLostError: It is not.
        AnalyticsError: The server does not answer.
    """
    try:
        _require_majority(client, namespace, patience_seconds, sleep)
    except PyMongoError as error:
        raise explained(error, doing=f"follow `{namespace}`") from error


def require_writable(client: Client, settings: MongoSettings) -> None:
    """Check that what is to be written goes into a collection, and will be confirmed.

    Raises:
        SourceUnsuitableError: It is a view or a time series.
        MajorityLostError: No majority confirms writes: one might wait for ever.
        AnalyticsError: The server does not answer.
    """
    try:
        require_collection(client, settings)
    except PyMongoError as error:
        raise explained(error, doing=f"write into `{settings.namespace}`") from error
    require_majority(client, settings.namespace)


def _require_majority(
    client: Client, namespace: str, patience_seconds: float, sleep: Callable[[float], None]
) -> None:
    first = majority_of(client)
    if first is None:
        return
    deadline = time.monotonic() + patience_seconds
    latest: Majority | None = first
    while latest is not None and latest.confirmed < first.newest:
        if time.monotonic() >= deadline:
            raise majority_lost(namespace, latest)
        sleep(_POLL_SECONDS)
        latest = majority_of(client)


class MajorityWatch:
    """A thread that says within seconds that no majority confirms what is written, and when one does again.

    Args:
        client: Asked every other second.
        namespace: For messages.
        is_awaited: Whether whoever reads is to end once everything is read: then it ends with the error.
        on_look: Told what was seen, each time.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        *,
        is_awaited: bool,
        stop: StopSignal,
        log: Logger,
        on_look: Callable[[Majority], None] = lambda _majority: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._is_awaited = is_awaited
        self._stop = stop
        self._on_look = on_look
        self._log = log
        self._monotonic = monotonic
        self._wanted: int | None = None
        self._wanted_since = 0.0
        self._is_reported = False
        self._thread = threading.Thread(target=self._run, name="watch-majority", daemon=True)

    def start(self) -> None:
        """Begin to watch; ends with the stop signal."""
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread to end after the stop signal."""
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stop.wait(_WATCH_SECONDS):
            try:
                found = majority_of(self._client)
            except PyMongoError:
                continue  # the change stream reports outages
            if found is None:
                return
            self.judge(found)

    def judge(self, majority: Majority) -> None:
        """Take a look into account; a write must be confirmed within some seconds."""
        self._on_look(majority)
        if self._wanted is not None and majority.confirmed >= self._wanted:
            self._wanted = None
            if self._is_reported:
                self._log.info("majority_is_back")
            self._is_reported = False
        if self._wanted is None and majority.confirmed < majority.newest:
            self._wanted, self._wanted_since = majority.newest, self._monotonic()
        if self._wanted is None or self._is_reported:
            return
        if self._monotonic() - self._wanted_since >= _PATIENCE_SECONDS:
            self._report(majority_lost(self._namespace, majority))

    def _report(self, error: AnalyticsError) -> None:
        self._is_reported = True
        if self._is_awaited:
            self._stop.fail(error)
        else:
            self._log.warning("majority_lost", problem=error.message, hint=error.hint)


def majority_lost(namespace: str, majority: Majority) -> MajorityLostError:
    """Return the error that says so."""
    which = f"the last {majority.lag_seconds:.0f} s" if majority.confirmed else "all"
    return MajorityLostError(
        f"cannot read the newest changes of `{namespace}`: no majority of the replica set's members confirms "
        f"writes, {which} of them wait",
        hint="bring the missing members back (`rs.status()` names them); an arbiter confirms nothing; what "
        "waits is read as soon as a majority has it",
    )
