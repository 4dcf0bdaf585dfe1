"""What a backfill is going to do, durable before it begins; and which one is unfinished."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from batch.backfill.filters import Filters
from batch.backfill.ranges import Bound, Range, ranges_between
from stream.core.cluster_time import upgraded
from stream.core.position import Fingerprint
from stream.core.state import State
from stream.errors import BackfillMismatchError
from stream.landing.fenced import FencedZone
from stream.landing.zone import LandingZone

LANE_PREFIX = "backfill-"
_FIRST_WITH_LASTING_TIMES = 2
"""The version since which `not_before` is packed as `stream.core.cluster_time` does."""

_PLAN = "plan.json"
_FINISHED = "finished.json"
_ABANDONED = "abandoned.json"


@dataclass(frozen=True)
class Origin:
    """The very collection that is read.

    Attributes:
        source: Cluster and namespace.
        collection_id: UUID of the collection, another one after a drop; None where it may not be seen.
    """

    source: Fingerprint
    collection_id: str | None

    def differences(self, other: "Origin") -> list[str]:
        """Name what differs, empty if both are the same collection; what is unknown matches anything."""
        found = self.source.differences(other.source)
        if self.collection_id and other.collection_id and self.collection_id != other.collection_id:
            found.append(f"the collection's id is `{other.collection_id}`, was `{self.collection_id}`")
        return found


WrittenBound = Annotated[
    Bound,
    BeforeValidator(lambda bound: Bound.from_json(bound) if isinstance(bound, str) else bound),
    PlainSerializer(Bound.to_json),
]


class Plan(State):
    """One backfill: of what, and in which pieces.

    Attributes:
        id: Unique; names the lane.
        source: Cluster and namespace of the collection that is read.
        collection_id: Its UUID, as in `Origin`.
        filters: What is taken of it.
        bounds: Where ranges meet.
        documents: How many there are about.
        size_bytes: Their size as BSON, about.
        created_at: When it was made, ISO 8601.
        not_before: Cluster time that nothing read is older than, if it is to replace everything that is.
    """

    id: str
    source: Fingerprint
    collection_id: str | None
    filters: Filters
    bounds: Sequence[WrittenBound]
    documents: int
    size_bytes: int
    created_at: str
    not_before: int | None = None
    schema_version: int = _FIRST_WITH_LASTING_TIMES

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Return the fields as this version writes them."""
        not_before = fields.pop("floor", None)  # its name in the first ones
        not_before = fields.get("not_before", not_before)
        if version < _FIRST_WITH_LASTING_TIMES and not_before is not None:
            not_before = upgraded(not_before)
        return super().upgraded(fields, version) | {"not_before": not_before}

    @property
    def origin(self) -> Origin:
        """What is read."""
        return Origin(self.source, self.collection_id)

    @property
    def lane(self) -> str:
        """Name of its lane in the landing zone."""
        return f"{LANE_PREFIX}{self.id}"

    @property
    def ranges(self) -> list[Range]:
        """All ranges, ascending."""
        return ranges_between(self.bounds)

    def require(self, origin: Origin, filters: Filters) -> None:
        """Check that the plan may be continued.

        Raises:
            BackfillMismatchError: The collection is another one, or other documents are asked for.
        """
        differences = self.origin.differences(origin)
        if differences:
            raise BackfillMismatchError(
                f"the unfinished backfill `{self.id}` is of another collection: {'; '.join(differences)}",
                hint="point MONGO_URI, MONGO_DB and MONGO_COLLECTION back to it, use another DATA_DIR, or "
                "forget it with `claude-analytics backfill --restart`",
            )
        if self.filters != filters:
            raise BackfillMismatchError(
                f"the unfinished backfill `{self.id}` takes other documents: {_options(self.filters)}",
                hint="run it with the same options to finish it, or forget it with "
                "`claude-analytics backfill --restart`",
            )


def _options(filters: Filters) -> str:
    given = [f"--{name} {value}" for name, value in vars(filters).items() if value is not None]
    return f"`{' '.join(given)}`" if given else "all of them"


def has_ended(lane: Path) -> bool:
    """Whether the backfill of a lane's folder is finished or forgotten."""
    return any((lane / name).exists() for name in (_FINISHED, _ABANDONED))


class PlanStore:
    """The plans in a landing zone, each beside the state of its lane."""

    def __init__(self, landing: LandingZone | FencedZone) -> None:
        self._landing = landing
        self._state = landing.state
        self._is_shared = landing.is_shared

    def unfinished(self) -> Plan | None:
        """Return the newest plan that has neither been finished nor abandoned.

        Where several machines share the landing zone, the oldest: all of them carry out the same.

        Raises:
            BackfillMismatchError: It cannot be read.
        """
        for lane in self._lanes() if self._is_shared else reversed(self._lanes()):
            if not self._has_ended(lane) and (plan := self._read(lane)) is not None:
                return plan
        return None

    def has_finished(self, not_before: int) -> bool:
        """Whether everything has been read by a backfill with this not_before."""
        return any(
            plan.not_before == not_before
            for lane in self._lanes()
            if self._state.get(f"{lane}/{_FINISHED}") is not None and (plan := self._read(lane)) is not None
        )

    def save(self, plan: Plan) -> None:
        """Make a new plan durable."""
        self._state.put(f"{plan.lane}/{_PLAN}", plan.to_json(indent=1))

    def finish(self, plan: Plan, summary: Mapping[str, Any]) -> None:
        """Say that everything has been done."""
        self._state.put(f"{plan.lane}/{_FINISHED}", _written(summary))

    def abandon(self, *, at: str) -> int:
        """Forget every unfinished plan, even an unreadable one; what has landed stays. Give how many.

        Raises:
            AlreadyRunningError: A backfill writes the lane of one.
        """
        open_lanes = [
            lane
            for lane in self._lanes()
            if not self._has_ended(lane) and self._state.get(f"{lane}/{_PLAN}") is not None
        ]
        for lane in open_lanes:
            with self._landing.lane(lane).writing():  # the last to do so: clears away what was half-written
                pass
            self._state.put(f"{lane}/{_ABANDONED}", _written({"abandoned_at": at}))
        return len(open_lanes)

    def _lanes(self) -> list[str]:
        return [name for name in self._state.folders("") if name.startswith(LANE_PREFIX)]

    def _has_ended(self, lane: str) -> bool:
        return any(self._state.get(f"{lane}/{name}") is not None for name in (_FINISHED, _ABANDONED))

    def _read(self, lane: str) -> Plan | None:
        content = self._state.get(f"{lane}/{_PLAN}")
        try:
            return None if content is None else Plan.from_json(content, what=f"the plan of backfill `{lane}`")
        except ValueError as error:
            raise BackfillMismatchError(
                f"cannot read the plan `{self._state.url}/{lane}/{_PLAN}`: {error}",
                hint="forget it with `claude-analytics backfill --restart`; what has landed stays",
            ) from error


def _written(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False).encode()
