"""Where the stream stands in the source: resume token, cluster time, and whose they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from bson import json_util
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    computed_field,
    model_validator,
)
from pydantic import dataclasses as checked

from stream.core.cluster_time import cluster_time_of, instant_of, timestamp_of, upgraded
from stream.core.exact_json import EXACT_JSON
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


def _read_token(value: object) -> Mapping[str, Any]:
    token = json_util.loads(value, json_options=EXACT_JSON) if isinstance(value, str) else value
    if not isinstance(token, Mapping):
        raise ValueError("a resume token is a document")  # noqa: TRY004 - which pydantic reports
    return token


def _write_token(token: Mapping[str, Any]) -> str:
    return json_util.dumps(token, json_options=EXACT_JSON)


def _write_time(cluster_time: int) -> tuple[int, int]:
    time = timestamp_of(cluster_time)
    return time.time, time.inc


Token = Annotated[Mapping[str, Any], PlainValidator(_read_token), PlainSerializer(_write_token)]
"""A resume token; in JSON the text of its Extended JSON."""

ClusterTime = Annotated[
    int,
    BeforeValidator(lambda value: cluster_time_of(*value) if isinstance(value, list) else value),
    PlainSerializer(_write_time),
]
"""As `stream.core.cluster_time` packs it; in JSON a list of the second and the count within it."""


@checked.dataclass(frozen=True, config=ConfigDict(validate_by_name=True, validate_by_alias=True))
class Position:
    """A point in a change stream: everything before it is durable in the landing zone.

    Attributes:
        token: Resume token to continue after.
        cluster_time: Cluster time of the point, as `stream.core.cluster_time` packs it.
        fingerprint: The source it belongs to.
        is_beginning: Whether it is the tick behind the newest operation, where a stream begins that has read
            nothing yet: then no operation has its cluster time.
        anchor: Cluster time of an operation that a majority has confirmed, and that what has landed may rest
            on: of the newest one when a stream begins, or when a backfill ends. None needs no other than the
            position's own.
    """

    token: Token
    cluster_time: Annotated[ClusterTime, Field(validation_alias="time", serialization_alias="time")]
    fingerprint: Fingerprint
    is_beginning: bool = False
    anchor: ClusterTime | None = None

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, fields: object) -> object:
        """Read what older versions wrote: another packing, and no note of whether it is a beginning."""
        if isinstance(fields, dict) and "time" not in fields and "cluster_time" in fields:
            old = {"cluster_time": upgraded(int(fields["cluster_time"])), "is_beginning": True}  # be lenient
            return fields | old
        return fields

    @computed_field  # type: ignore[prop-decorator]
    @property
    def instant(self) -> datetime:
        """The second the position lies in, in UTC."""
        return instant_of(self.cluster_time)

    @property
    def newest_operation(self) -> int | None:
        """The cluster time of the newest operation that is known to lie behind it; None if none is."""
        known = [self.anchor or 0, 0 if self.is_beginning else self.cluster_time]
        return max(known) or None

    def moved(self, token: Mapping[str, Any], cluster_time: int) -> "Position":
        """Return the position further on, with the anchor for as long as that is ahead."""
        anchor = self.anchor if self.anchor is not None and self.anchor > cluster_time else None
        return Position(token, cluster_time, self.fingerprint, anchor=anchor)

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
