"""The collection is read anew beside the stream; once all of it has landed, a floor removes what is gone.

Needed when changes were lost, or when another collection took the place of this one. What is to be done is
durable before the stream goes on from a newer position, and forgotten once the floor has landed: a worker
that is killed at any moment takes it up again.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.core.normalise import floor as floor_row
from stream.core.position import Position
from stream.core.schema import Row
from stream.disk import disk_errors, write_durably
from stream.errors import AnalyticsError, MicroBatchCorruptError, StepFailedError
from stream.landing.micro_batch import read_footer
from stream.landing.zone import Lane
from stream.logs import Logger
from stream.stop import StopSignal

ReadEverything = Callable[[int, Callable[[], bool], bool], bool]
"""Lands every document of the collection, none older than a cluster time; gives whether all has landed.

Called with the cluster time, with what tells that it must leave, and with whether to leave loading to others.
What an earlier call with the same cluster time has landed is not read again. Raises AnalyticsError.
"""


def cannot_read_everything(_floor: int, _must_leave: Callable[[], bool], _is_landing_only: bool) -> bool:  # noqa: FBT001 - as it is called
    """Take the place of what reads everything where there is nothing that could."""
    raise StepFailedError(
        "the collection must be read anew, which this process cannot do",
        hint="run `claude-analytics stream`, which can",
    )


@dataclass(frozen=True)
class RescanState:
    """A rescan under way.

    Attributes:
        floor: Everything that is older is replaced by what is read.
        position: Where the stream goes on meanwhile; None if it simply does.
    """

    floor: int
    position: Position | None


class RescanStore:
    """Keeps the state of a rescan beside the lane's files."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._path: Path = lane.folder / "rescan.json"

    def save(self, state: RescanState) -> None:
        """Make it durable that a rescan is under way."""
        position = state.position.to_json() if state.position else None
        with disk_errors(self._path):
            write_durably(self._path, json.dumps({"floor": state.floor, "position": position}).encode())

    def forget(self) -> None:
        """Say that it has been done."""
        with disk_errors(self._path):
            self._path.unlink(missing_ok=True)

    def load(self) -> RescanState | None:
        """Give the rescan under way, and bring the lane's position up to it.

        Raises:
            MicroBatchCorruptError: The file cannot be read.
        """
        try:
            data: dict[str, Any] = json.loads(self._path.read_bytes())
            position = Position.from_json(data["position"]) if data["position"] else None
            state = RescanState(int(data["floor"]), position)
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise MicroBatchCorruptError(
                f"cannot read `{self._path}`: {error}",
                hint="move it away and run `claude-analytics backfill`; rows of documents that were deleted "
                "while changes were lost may stay, and `claude-analytics verify` names them",
            ) from error
        newest = self._lane.newest()
        if newest is not None and (read_footer(newest).floor or 0) >= state.floor:
            self.forget()  # its floor has landed, and then the worker was killed
            return None
        standing = self._lane.position()
        if position is not None and (standing is None or standing.cluster_time < position.cluster_time):
            self._lane.save_position(position, behind=newest)
        return state


class Rescan:
    """A thread that reads everything, as soon as there is reason to; not more than one at a time.

    Args:
        store: Knows whether one is under way.
        read_everything: Reads and lands.
        stop: Ends it; its errors are reported through it.
        log: One line when it begins, one when all has been read.
        is_landing_only: Leave the loading to others.
    """

    def __init__(
        self,
        store: RescanStore,
        read_everything: ReadEverything,
        *,
        stop: StopSignal,
        log: Logger,
        is_landing_only: bool = False,
    ) -> None:
        self._store = store
        self._read_everything = read_everything
        self._stop = stop
        self._log = log
        self._is_landing_only = is_landing_only
        self._lock = threading.Lock()
        self._floor: int | None = None
        self._is_read = False
        self._thread: threading.Thread | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether there is a floor still to be taken."""
        return self._floor is not None

    def resume(self, floor: int) -> None:
        """Begin, or go on with what an earlier worker has begun."""
        with self._lock:
            self._floor = floor
            self._is_read = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rescan", daemon=True)
                self._thread.start()

    def begin(self, floor: int) -> None:
        """Make it durable that everything older than a cluster time is to be read anew, and begin."""
        self._store.save(RescanState(floor, None))
        self.resume(floor)

    def take_floor(self) -> Row | None:
        """Give the floor, once, when all has been read and landed."""
        with self._lock:
            if self._floor is None or not self._is_read:
                return None
            floor, self._floor = self._floor, None
            return floor_row(floor)

    def land(self, floor: int) -> None:
        """Take note that a floor has landed: that of a rescan, or of a drop which makes one needless."""
        state = self._store.load()
        if state is not None and state.floor <= floor:
            self._store.forget()
        with self._lock:
            if self._floor is not None and self._floor <= floor:
                self._floor = None

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread to end after the stop signal."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            with self._lock:
                floor = self._floor
                if floor is None or self._is_read or self._stop.is_set:
                    self._thread = None
                    return
            self._log.warning("rescan_started", floor=floor)
            is_read = self._read(floor)
            with self._lock:
                self._is_read = is_read and floor == self._floor
            if is_read:
                self._log.info("rescan_read", floor=floor)

    def _read(self, floor: int) -> bool:
        try:
            return self._read_everything(
                floor, lambda: self._stop.is_set or self._floor != floor, self._is_landing_only
            )
        except AnalyticsError as error:
            self._stop.fail(error)
        except Exception as error:  # noqa: BLE001 - a thread must not die in silence
            self._stop.fail(
                StepFailedError(
                    f"cannot read the collection anew: {type(error).__name__}: {error}",
                    hint="a defect of claude-analytics: please report it; starting again goes on from here",
                )
            )
        return False
