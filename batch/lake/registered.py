"""Which landed files are registered, in a few words, however many they are: a property of a snapshot.

Files of a lane are numbered. So a load lists what is behind the numbers that are known, and reads no manifest
of what came before. Pure.
"""

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

Run = tuple[int, int]
"""The first and the last of some numbers without a gap."""


@dataclass(frozen=True)
class LaneRegistered:
    """What is registered of one lane.

    Attributes:
        runs: Ascending, with gaps between them: ranges of a backfill do not land in order.
        newest: The micro-batch with the highest number, as its own footer names it, which names no other one;
            empty if nobody knows.
    """

    runs: tuple[Run, ...]
    newest: str = ""

    @property
    def last(self) -> int:
        """The highest number."""
        return self.runs[-1][1]

    @property
    def known_to(self) -> int:
        """The number up to which everything is registered; 0 if the first one is not."""
        first, last = self.runs[0]
        return 0 if first else last


@dataclass(frozen=True)
class Registered(Container[str]):
    """What is registered of all lanes; contains ids, by lane and number alone."""

    lanes: Mapping[str, LaneRegistered]

    @classmethod
    def from_json(cls, text: str) -> "Registered":
        """Read what `to_json` gave."""
        return cls(
            {
                lane: LaneRegistered(tuple((first, last) for first, last in runs), newest)
                for lane, (newest, runs) in json.loads(text).items()
            }
        )

    def to_json(self) -> str:
        """Return it as a text, some dozen characters for a lane."""
        return json.dumps(
            {lane: (known.newest, known.runs) for lane, known in self.lanes.items()}, separators=(",", ":")
        )

    def __contains__(self, file_id: object) -> bool:
        """Whether a file is registered.

        Args:
            file_id: `<lane>/<number>`, with whatever behind it.
        """
        lane, number = _place(str(file_id))
        known = self.lanes.get(lane)
        return known is not None and any(first <= number <= last for first, last in known.runs)

    def known_to(self) -> dict[str, int]:
        """Return for each lane the number up to which everything is registered."""
        return {lane: known.known_to for lane, known in self.lanes.items()}

    def adding(self, file_ids: Iterable[str]) -> "Registered":
        """Return what is registered with some files more; nobody knows the newest of lanes that got one."""
        lanes = dict(self.lanes)
        for lane, number in sorted(map(_place, file_ids)):
            known = lanes.get(lane, LaneRegistered(()))
            is_newer = not known.runs or number > known.last
            newest = "" if is_newer else known.newest
            lanes[lane] = LaneRegistered(_joined(known.runs, number), newest)
        return Registered(lanes)

    def naming(self, newest: Mapping[str, str]) -> "Registered":
        """Return the same with the newest of some lanes."""
        return Registered(
            {
                lane: replace(known, newest=newest.get(lane, known.newest))
                for lane, known in self.lanes.items()
            }
        )


def _joined(runs: tuple[Run, ...], number: int) -> tuple[Run, ...]:
    if runs and number == runs[-1][1] + 1:  # nearly always
        return (*runs[:-1], (runs[-1][0], number))
    joined: list[Run] = []
    for first, last in sorted([*runs, (number, number)]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def _place(file_id: str) -> tuple[str, int]:
    lane, _, stem = file_id.partition("/")
    return lane, int(stem.partition("-")[0])
