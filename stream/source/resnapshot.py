"""The collection is read again beside the stream; then a truncate marker removes what is older.

Needed when changes were lost, or when another collection took the place of this one. What is to be done is
durable before the stream goes on from a newer position, and forgotten once the truncate marker has landed: a
worker that is killed at any moment resumes it.
"""

import threading
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from stream.core.cluster_time import upgraded
from stream.core.normalise import truncate_marker
from stream.core.position import ClusterTime, Position
from stream.core.schema import Row
from stream.core.state import State
from stream.errors import AnalyticsError, MicroBatchCorruptError, StepFailedError
from stream.landing.lane_writer import LaneWriter
from stream.logs import Logger
from stream.stop import StopSignal

_KEY = "resnapshot.json"
_OLD_KEY = "rescan.json"  # as older versions called it

ReadCollection = Callable[[int, Callable[[], bool], bool], bool]
"""Lands every document of the collection, none older than a cluster time; gives whether all has landed.

Called with the cluster time, with what tells that it must leave, and with whether to leave loading to others.
What an earlier call with the same cluster time has landed is not read again. Raises AnalyticsError.
"""


def cannot_resnapshot(_marker: int, _must_leave: Callable[[], bool], _is_landing_only: bool) -> bool:  # noqa: FBT001 - as it is called
    """Raise: the default reader, for a process that has none."""
    raise StepFailedError(
        "the collection must be read again, which this process cannot do",
        hint="run `claude-analytics stream`, which can",
    )


class ResnapshotState(State):
    """A resnapshot under way.

    Attributes:
        truncate_marker: Everything that is older is replaced by what is read.
        position: Where the stream goes on meanwhile; None if it simply does.
    """

    truncate_marker: Annotated[ClusterTime, Field(validation_alias="time", serialization_alias="time")]
    position: Position | None = None
    schema_version: int = 2

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:  # noqa: ARG003 - they had none
        """Return the fields as this version writes them: older ones had other names and another packing."""
        for name in ("truncate_marker", "floor"):
            if name in fields:
                fields["time"] = upgraded(fields.pop(name))
        return {"time": fields["time"], "position": fields["position"]}


class ResnapshotStore:
    """Keeps the state of a resnapshot beside the lane's files."""

    def __init__(self, lane: LaneWriter) -> None:
        self._lane = lane

    def save(self, state: ResnapshotState) -> None:
        """Make it durable that a resnapshot is under way.

        One with a later truncate marker stays: in a bucket, a worker that was replaced and wakes up comes
        here too.
        """
        known = self._saved()
        if known is None or known.truncate_marker <= state.truncate_marker:
            self._lane.state.put(_KEY, state.to_json())

    def forget(self) -> None:
        """Say that it has been done."""
        self._lane.state.delete(_KEY)
        self._lane.state.delete(_OLD_KEY)

    def load(self) -> ResnapshotState | None:
        """Return the resnapshot under way, and bring the lane's position up to it.

        Raises:
            MicroBatchCorruptError: The file cannot be read.
        """
        state = self._saved()
        if state is None:
            return None
        footer = self._lane.newest_footer()
        if footer is not None and (footer.truncate_marker or 0) >= state.truncate_marker:
            self.forget()  # its truncate marker has landed, and then the worker was killed
            return None
        current, position = self._lane.position(), state.position
        if position is not None and (current is None or current.cluster_time < position.cluster_time):
            self._lane.save_position(position, behind=self._lane.newest())
        return state

    def _saved(self) -> ResnapshotState | None:
        content = self._lane.state.get(_KEY) or self._lane.state.get(_OLD_KEY)
        if content is None:
            return None
        path = f"{self._lane.state.url}/{_KEY}"
        try:
            return ResnapshotState.from_json(content, what=f"`{path}`")
        except ValueError as error:
            raise MicroBatchCorruptError(
                f"cannot read `{path}`: {error}",
                hint="move it away and run `claude-analytics backfill`; rows of documents that were deleted "
                "while changes were lost may stay, and `claude-analytics verify` names them",
            ) from error


class Resnapshot:
    """A thread that reads everything, as soon as there is reason to; not more than one at a time.

    Args:
        store: Knows whether one is under way.
        read_collection: Reads and lands.
        stop: Ends it; its errors are reported through it.
        log: One line when it begins, one when all has been read.
        is_landing_only: Leave the loading to others.
    """

    def __init__(
        self,
        store: ResnapshotStore,
        read_collection: ReadCollection,
        *,
        stop: StopSignal,
        log: Logger,
        is_landing_only: bool = False,
    ) -> None:
        self._store = store
        self._read_collection = read_collection
        self._stop = stop
        self._log = log
        self._is_landing_only = is_landing_only
        self._lock = threading.Lock()
        self._marker: int | None = None
        self._is_read = False
        self._thread: threading.Thread | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether there is a truncate marker still to be taken."""
        return self._marker is not None

    def resume(self, marker: int) -> None:
        """Begin, or go on with what an earlier worker has begun."""
        with self._lock:
            self._marker = marker
            self._is_read = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="resnapshot", daemon=True)
                self._thread.start()

    def begin(self, marker: int) -> None:
        """Make it durable that everything older than a cluster time is to be read again, and begin."""
        self._store.save(ResnapshotState(truncate_marker=marker))
        self.resume(marker)

    def take_truncate_marker(self) -> Row | None:
        """Return the truncate marker, once, when all has been read and landed."""
        with self._lock:
            if self._marker is None or not self._is_read:
                return None
            marker, self._marker = self._marker, None
            return truncate_marker(marker)

    def land(self, marker: int) -> None:
        """Note that a truncate marker has landed: of a resnapshot, or of a drop, which makes one needless."""
        state = self._store.load()
        if state is not None and state.truncate_marker <= marker:
            self._store.forget()
        with self._lock:
            if self._marker is not None and self._marker <= marker:
                self._marker = None

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread to end after the stop signal."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            with self._lock:
                marker = self._marker
                if marker is None or self._is_read or self._stop.is_set:
                    self._thread = None
                    return
            self._log.warning("resnapshot_started", marker=marker)
            is_read = self._read(marker)
            with self._lock:
                self._is_read = is_read and marker == self._marker
            if is_read:
                self._log.info("resnapshot_read", marker=marker)

    def _read(self, marker: int) -> bool:
        try:
            return self._read_collection(
                marker, lambda: self._stop.is_set or self._marker != marker, self._is_landing_only
            )
        except AnalyticsError as error:
            self._stop.fail(error)
        except Exception as error:  # noqa: BLE001 - a thread must not die in silence
            self._stop.fail(
                StepFailedError(
                    f"cannot read the collection again: {type(error).__name__}: {error}",
                    hint="a defect of claude-analytics: please report it; starting again goes on from here",
                )
            )
        return False
