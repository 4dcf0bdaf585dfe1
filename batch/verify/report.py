"""What a verification has found. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from stream.core.cluster_time import instant_of
from stream.errors import AnalyticsError

Kind = Literal["missing", "extra", "different", "duplicate", "pending", "dead letter", "stale"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Missing: no row. Extra: no document. Different: the row says something else. Duplicate: several rows."""
REAL: tuple[Kind, ...] = KINDS[:4]
"""The others are explained: the change is under way, or the document was rejected and kept. Stale: it was,
and its row is of the last version that could have one."""


@dataclass
class Tally:
    """Counts findings, and keeps the first of each kind.

    Attributes:
        limit: How many `_id`s of each kind to keep.
        counts: Findings by kind.
        first: Canonical `_id`s by kind.
        mismatches: Those that nothing explains, all of them.
    """

    limit: int
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    first: dict[Kind, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    mismatches: dict[str, Kind] = field(default_factory=dict)

    def add(self, key: str, kind: Kind) -> None:
        """Count one `_id`."""
        self.counts[kind] += 1
        if kind in REAL:
            self.mismatches[key] = kind
        if len(self.first[kind]) < self.limit:
            self.first[kind].append(key)

    @property
    def real(self) -> int:
        """Findings that nothing explains."""
        return sum(self.counts[kind] for kind in REAL)


@dataclass(frozen=True)
class Verification:
    """The outcome.

    Attributes:
        namespace: Which collection.
        first_cluster_time: Of the first range.
        last_cluster_time: Of the last range, or of the last look at single documents.
        documents: Read from the collection.
        rows: Compared with them, in the warehouse.
        pieces: Pieces compared.
        ranges_in_all: Pieces there are.
        ranges_differing: Pieces with a finding at first sight.
        looked_again: `_id`s that were looked at once more, by themselves.
        counts: Findings by kind, after that.
        first: The first `_id`s of each kind, canonical.
        seconds: How long it took.
        size_bytes: BSON read, single documents apart.
        mismatches: Every `_id` with a finding that nothing explains, and its kind.
        blocked_by: Why no worker will bring what is under way; None if one will.
    """

    namespace: str
    first_cluster_time: int
    last_cluster_time: int
    documents: int
    rows: int
    pieces: int
    ranges_in_all: int
    ranges_differing: int
    looked_again: int
    counts: Mapping[Kind, int]
    first: Mapping[Kind, list[str]]
    seconds: float
    size_bytes: int
    mismatches: Mapping[str, Kind] = field(default_factory=dict)
    blocked_by: AnalyticsError | None = None

    @property
    def is_same(self) -> bool:
        """Whether nothing is found that is not explained, and what is under way can arrive."""
        return self.blocked_by is None and not any(self.counts[kind] for kind in REAL)

    @property
    def verdict(self) -> str:
        """One word for all of it."""
        if any(self.counts[kind] for kind in REAL):
            return "different"
        return "same" if self.blocked_by is None else "blocked"

    @property
    def at(self) -> tuple[datetime, datetime]:
        """The seconds of the first and the last cluster time."""
        return instant_of(self.first_cluster_time), instant_of(self.last_cluster_time)

    def to_json(self) -> dict[str, Any]:
        """Return a form that `json` can write."""
        first_at, last_at = self.at
        return {
            "verdict": self.verdict,
            "blocked_by": self.blocked_by.message if self.blocked_by else None,
            "namespace": self.namespace,
            "from": first_at.isoformat(),
            "to": last_at.isoformat(),
            "documents": self.documents,
            "rows": self.rows,
            "pieces": self.pieces,
            "ranges_in_all": self.ranges_in_all,
            "ranges_differing": self.ranges_differing,
            "looked_again": self.looked_again,
            "counts": {kind.replace(" ", "_"): count for kind, count in self.counts.items()},
            "first": {kind.replace(" ", "_"): keys for kind, keys in self.first.items()},
            "seconds": round(self.seconds, 3),
            "documents_per_second": round(self.documents / max(self.seconds, 0.001)),
            "size_bytes": self.size_bytes,
        }
