"""The collection as a whole is dropped, renamed or replaced: what that means for the copy. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stream.core.cluster_time import cluster_time_of
from stream.errors import CollectionInvalidatedError

OnDrop = Literal["delete", "keep", "stop"]
OnHistoryLost = Literal["stop", "resnapshot", "rebackfill"]
"""`rebackfill` is what `resnapshot` was called before; it means the same."""
Action = Literal["truncate", "keep", "resnapshot", "leave", "stop"]


@dataclass(frozen=True)
class InvalidatingEvent:
    """One such event.

    Attributes:
        operation: One of `INVALIDATING_OPERATIONS`.
        cluster_time: When it happened, as `stream.core.cluster_time` packs it.
        target: New name of the collection, if it was a rename.
        is_replacement: Whether another collection was renamed onto this one (`$out` does so as well). Then no
            change event tells what it holds.
        action: `truncate` removes all older rows, `keep` goes on as if nothing had happened, `resnapshot`
            replaces old rows once the new content has been read, `leave` has another partition's worker do
            so, `stop` leaves it to a person.
    """

    operation: str
    cluster_time: int
    target: str | None
    is_replacement: bool
    action: Action

    def error(self, namespace: str) -> CollectionInvalidatedError:
        """Say why the stream stops before this event, and which ways lead on."""
        target = f" to `{self.target}`" if self.target else ""
        if self.is_replacement:
            return CollectionInvalidatedError(
                f"the collection `{namespace}` has been replaced as a whole: `{self.operation}`{target}",
                hint="no change event tells what it holds now: go on with `claude-analytics stream "
                "--on-history-lost=resnapshot`, which reads it and then removes what is older",
            )
        return CollectionInvalidatedError(
            f"the collection `{namespace}` has been changed as a whole: `{self.operation}`{target}",
            hint="all changes before it have landed, and the rows are kept; go on with `claude-analytics "
            "stream --on-drop=delete`, which removes them, or with `--on-drop=keep`",
        )


@dataclass(frozen=True)
class InvalidationPolicy:
    """What to do about an invalidating event.

    Attributes:
        on_drop: `delete` removes the rows, `keep` leaves them, `stop` leaves it to a person.
        on_history_lost: Whether a collection may be read again, which a replaced one needs.
        is_first: Whether this worker acts on the event; each partition's sees it.
    """

    on_drop: OnDrop = "delete"
    on_history_lost: OnHistoryLost = "stop"
    is_first: bool = True

    def judge(self, event: Mapping[str, Any], namespace: str) -> InvalidatingEvent:
        """Say what an event with one of `INVALIDATING_OPERATIONS` brings about."""
        to = event.get("to")
        target = f"{to['db']}.{to['coll']}" if to else None
        is_replacement = target == namespace
        time = event["clusterTime"]
        return InvalidatingEvent(
            event["operationType"],
            cluster_time_of(time.time, time.inc),
            target,
            is_replacement,
            self._action(is_replacement=is_replacement),
        )

    def _action(self, *, is_replacement: bool) -> Action:
        if self.on_drop != "delete":
            return self.on_drop
        if is_replacement and self.on_history_lost == "stop":
            return "stop"
        if not self.is_first:
            return "leave"
        return "resnapshot" if is_replacement else "truncate"
