"""Which range is whose, when several processes do one backfill from a bucket: claims with a lease.

    state/<lane>/claims/<range>-<attempt>.json     created by who reads the range, renewed while it does

A claim saves work, and decides nothing: of two processes that read one range, the fence lets one land it. A
claim that has not changed for a lease is void, by the clock of whoever watches it; then the next attempt's is
created, by one process.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from batch.backfill.ranges import Range
from stream.errors import StorageUnavailableError
from stream.landing.fenced import FencedLane
from stream.stop import StopSignal

_FOLDER = "claims"
_POLL_SECONDS = 0.5
_RENEWALS = 4
"""In a lease: a process may miss some, as when the store is slow, before others take its ranges."""


class SharedRanges:
    """Ranges that this process may read now, one by one; safe to use from all threads.

    Args:
        lane: Where they land.
        ranges: All of the plan.
        lease_seconds: How long a claim holds after it was renewed last.
        stop: Ends the waiting for others.
        on_landed: Called with how many ranges have landed, whoever landed them.
        monotonic: Gives seconds.
    """

    def __init__(
        self,
        lane: FencedLane,
        ranges: Sequence[Range],
        *,
        lease_seconds: float,
        stop: StopSignal,
        on_landed: Callable[[int], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lane = lane
        self._state = lane.state
        self._missing = {each.number: each for each in ranges}
        self._total = len(ranges)
        self._lease_seconds = lease_seconds
        self._stop = stop
        self._on_landed = on_landed
        self._monotonic = monotonic
        self._owner = secrets.token_hex(8).encode()
        self._lock = threading.Lock()
        self._mine: dict[int, str] = {}
        self._seen: dict[int, tuple[int, str, float]] = {}
        """By range: the newest attempt, what its claim was like, and since when it is so."""

    def take(self) -> Range | None:
        """Return a range, claimed; wait while others read all that is left. None once everything has landed.

        Raises:
            StorageRefusedError: The store does not let us.
        """
        while not self._stop.is_set:
            try:
                with self._lock:
                    self._look()
                    if not self._missing:
                        return None
                    taken = self._claim()
            except StorageUnavailableError:
                taken = None
            if taken is not None:
                return taken
            self._stop.wait(_POLL_SECONDS)
        return None

    def landed(self, number: int) -> None:
        """Note that a range has landed, whoever did it."""
        with self._lock:
            key = self._mine.pop(number, None)
            self._missing.pop(number, None)
        if key:
            self._state.delete(key)

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew this process's claims beside the block."""
        is_over = threading.Event()

        def renew() -> None:
            while not is_over.wait(self._lease_seconds / _RENEWALS):
                with self._lock:
                    keys = list(self._mine.values())
                for key in keys:
                    try:
                        self._state.put(key, self._owner)
                    except StorageUnavailableError:
                        break  # at worst another process reads the range as well

        thread = threading.Thread(target=renew, name="renew-claims", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _look(self) -> None:
        """List what has landed, and what is claimed."""
        numbers = self._lane.numbers()
        for number in numbers:
            self._missing.pop(number, None)
        self._on_landed(len(numbers))
        now = self._monotonic()
        for each in self._state.list_after(_FOLDER):
            number, attempt = map(int, each.key.rpartition("/")[2].removesuffix(".json").split("-"))
            known = self._seen.get(number)
            if known is None or attempt > known[0] or (attempt == known[0] and each.changed != known[1]):
                self._seen[number] = attempt, each.changed, now

    def _claim(self) -> Range | None:
        now = self._monotonic()
        for number, piece in self._missing.items():
            attempt, _, since = self._seen.get(number, (-1, "", 0.0))
            if number in self._mine or (attempt >= 0 and now - since < self._lease_seconds):
                continue
            key = f"{_FOLDER}/{number:08d}-{attempt + 1:04d}.json"
            if self._state.create(key, self._owner):
                self._mine[number] = key
                return piece
        return None
