"""Where the stream stands in the source: resume token, cluster time, and whose they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import json_util

from stream.core.cluster_time import cluster_time_of, instant_of, timestamp_of, upgraded
from stream.errors import PositionMismatchError

_TIMESTAMP_TYPE_HEX = "82"
_TIMESTAMP_HEX_DIGITS = 16


def cluster_time_of_token(token: Mapping[str, Any]) -> int | None:
    """Read the cluster time out of a resume token, None if the token has another form.

    A token's `_data` is a key string in hex: byte 0x82 announces a timestamp, 8 bytes of it follow
    (MongoDB server, `src/mongo/db/pipeline/resume_token.h` and `key_string.h`).
    """
    data = token.get("_data")
    if not isinstance(data, str) or not data.startswith(_TIMESTAMP_TYPE_HEX):
        return None
    try:
        packed = int(data[2 : 2 + _TIMESTAMP_HEX_DIGITS], 16)
    except ValueError:
        return None
    return cluster_time_of(packed >> 32, packed & 0xFFFF_FFFF)


@dataclass(frozen=True)
class Fingerprint:
    """What a position belongs to.

    Attributes:
        cluster_id: The replica set's or cluster's id; None where the account may not read it.
        set_name: Name of the replica set, empty behind a `mongos`.
        namespace: `<database>.<collection>`.
        pipeline: Version of the change stream's pipeline; tokens of different pipelines do not mix.
    """

    cluster_id: str | None
    set_name: str
    namespace: str
    pipeline: str

    def differences(self, other: "Fingerprint") -> list[str]:
        """Name what differs, empty if both are the same source; an unknown `cluster_id` matches any."""
        found = [
            f"{name} is `{getattr(other, name)}`, was `{getattr(self, name)}`"
            for name in ("set_name", "namespace", "pipeline")
            if getattr(self, name) != getattr(other, name)
        ]
        if self.cluster_id and other.cluster_id and self.cluster_id != other.cluster_id:
            found.append(f"cluster_id is `{other.cluster_id}`, was `{self.cluster_id}`")
        return found


@dataclass(frozen=True)
class Position:
    """A point in a change stream: everything before it is durable in the landing zone.

    Attributes:
        token: Resume token to continue after.
        cluster_time: Cluster time of the point, as `stream.core.cluster_time` packs it.
        fingerprint: The source it belongs to.
        is_beginning: Whether it is the tick behind the newest operation, where a stream begins that has read
            nothing yet: then no operation has its cluster time.
    """

    token: Mapping[str, Any]
    cluster_time: int
    fingerprint: Fingerprint
    is_beginning: bool = False

    @property
    def instant(self) -> datetime:
        """The second the position lies in, in UTC."""
        return instant_of(self.cluster_time)

    def require_source(self, fingerprint: Fingerprint) -> None:
        """Check that the position may be used with a source.

        Raises:
            PositionMismatchError: It belongs to another one.
        """
        differences = self.fingerprint.differences(fingerprint)
        if differences:
            raise PositionMismatchError(
                f"the saved position belongs to another source: {'; '.join(differences)}",
                hint="point MONGO_URI, MONGO_DB and MONGO_COLLECTION back to the old source, "
                "or use another DATA_DIR for the new one",
            )

    def to_json(self) -> dict[str, Any]:
        """Return a form that `json` can write."""
        time = timestamp_of(self.cluster_time)
        return {
            "token": json_util.dumps(self.token, json_options=json_util.CANONICAL_JSON_OPTIONS),
            "time": [time.time, time.inc],
            "is_beginning": self.is_beginning,
            "instant": self.instant.isoformat(),
            "fingerprint": vars(self.fingerprint),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Position":
        """Read what `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        is_new = "time" in data
        return cls(
            token=json_util.loads(data["token"]),
            cluster_time=cluster_time_of(*data["time"]) if is_new else upgraded(int(data["cluster_time"])),
            fingerprint=Fingerprint(**data["fingerprint"]),
            is_beginning=bool(data["is_beginning"]) if is_new else True,  # where nobody noted it: be lenient
        )
