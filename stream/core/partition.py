"""One worker's share of the changes: those of documents whose key has a certain hash. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEY = "$documentKey._id"


@dataclass(frozen=True)
class Partition:
    """Every change event belongs to one of `count` partitions, all changes of a document to the same.

    What is about no document (a drop, a rename) is seen by each, and acted on by the first.

    Attributes:
        number: From 0.
        count: How many there are.
        generation: How often the count was chosen; 0 for the one partition there is without any choice.
    """

    number: int = 0
    count: int = 1
    generation: int = 0

    @property
    def lane(self) -> str:
        """Name of its lane in the landing zone; unique for ever."""
        if not self.generation:
            return "stream"
        return f"stream-{self.generation:04d}-{self.number}-of-{self.count}"

    @property
    def stages(self) -> list[Mapping[str, Any]]:
        """Stages of the change stream's pipeline that leave its events; the server hashes.

        The hash is that of a hashed index, a signed 64-bit integer; keys that are equal numbers share one.
        """
        if self.count == 1:
            return []
        remainder = {"$mod": [{"$toHashedIndexKey": _KEY}, self.count]}
        is_ours = {"$in": [remainder, [self.number, self.number - self.count]]}
        return [{"$match": {"$or": [{"documentKey": {"$exists": False}}, {"$expr": is_ours}]}}]


WHOLE = Partition()
"""Every change event."""
