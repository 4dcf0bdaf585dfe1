"""How far a backfill is: counted by the threads that read and load, told to whoever shows it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge

from stream.core.secret_rules import KINDS
from stream.metrics import WAYS

STATES = ("planned", "landed", "loaded")


class BackfillMetrics:
    """What a backfill tells about itself.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.documents = Counter(
            "claude_analytics_backfill_documents_total",
            "Documents that a backfill has made durable in the landing zone.",
            registry=registry,
        )
        self.ranges = Gauge(
            "claude_analytics_backfill_ranges",
            "Ranges of the running backfill by how far they are.",
            ["state"],
            registry=registry,
        )
        self.documents_decoded = Counter(
            "claude_analytics_backfill_documents_decoded_total",
            "Documents made into rows, by the way they took: compiled code, or Python for unusual ones "
            "(for all, without compiled code).",
            ["way"],
            registry=registry,
        )
        self.redactions = Counter(
            "claude_analytics_backfill_redactions_total",
            "Secrets taken out of documents before they became rows, by kind; none unless REDACT is set.",
            ["kind"],
            registry=registry,
        )
        for way in WAYS:
            self.documents_decoded.labels(way=way)
        for state in STATES:
            self.ranges.labels(state=state)
        for kind in KINDS:
            self.redactions.labels(kind=kind)

    def count_redaction(self, kind: str) -> None:
        """Count one secret that was taken out."""
        self.redactions.labels(kind=kind).inc()


@dataclass(frozen=True)
class BackfillProgress:
    """One look at a running backfill.

    Attributes:
        documents: Read in this run, those of ranges under way included.
        size_bytes: Their size as BSON.
        documents_expected: To be read in this run, as estimated by the plan.
        ranges: Ranges by state.
        is_read: Whether only loading is left.
    """

    documents: int
    size_bytes: int
    documents_expected: int
    ranges: Mapping[str, int]
    is_read: bool


class RangeTally:
    """Counts; safe to use from all threads.

    Args:
        metrics: Kept up to date.
        ranges: How many there are.
        landed: Numbers of those that have landed already.
        documents: In all ranges, as estimated by the plan.
    """

    def __init__(self, metrics: BackfillMetrics, *, ranges: int, landed: int, documents: int) -> None:
        self._lock = threading.Lock()
        self._metrics = metrics
        self._ranges = ranges
        self._landed = landed
        self._loaded = 0
        self._expected = documents * (ranges - landed) // ranges
        self._underway: dict[int, tuple[int, int]] = {}
        self.documents = 0
        self.compiled = 0
        self.dead_letters = 0
        self.size_bytes = 0
        self._publish()

    @property
    def landed(self) -> int:
        """Ranges that have landed, loaded ones included."""
        return self._landed

    def read(self, number: int, documents: int, size_bytes: int) -> None:
        """Say how much of a range has been read by now; zero if it begins again."""
        with self._lock:
            self._underway[number] = documents, size_bytes

    def land(self, number: int, *, dead_letters: int, compiled: int) -> None:
        """Say that a range has landed; so many of its documents had their rows made by compiled code."""
        with self._lock:
            documents, size_bytes = self._underway.pop(number, (0, 0))
            self.documents += documents
            self.size_bytes += size_bytes
            self.dead_letters += dead_letters
            self.compiled += compiled
            self._landed += 1
            self._metrics.documents.inc(documents)
            self._metrics.documents_decoded.labels(way="compiled").inc(compiled)
            self._metrics.documents_decoded.labels(way="python").inc(documents - compiled)
        self._publish()

    def found(self, landed: int) -> None:
        """Say how many ranges have landed in all, whoever landed them."""
        with self._lock:
            self._landed = max(self._landed, landed)
        self._publish()

    def load(self, landed: int) -> None:
        """Say that so many ranges, in all, are loaded."""
        with self._lock:
            self._loaded = max(self._loaded, landed)
        self._publish()

    def look(self) -> BackfillProgress:
        """Return the present state."""
        with self._lock:
            underway = list(self._underway.values())
            return BackfillProgress(
                documents=self.documents + sum(documents for documents, _ in underway),
                size_bytes=self.size_bytes + sum(size for _, size in underway),
                documents_expected=self._expected,
                ranges=self._states(),
                is_read=self._landed == self._ranges,
            )

    def _states(self) -> dict[str, int]:
        return {
            "planned": self._ranges - self._landed,
            "landed": self._landed - self._loaded,
            "loaded": self._loaded,
        }

    def _publish(self) -> None:
        with self._lock:
            for state, ranges in self._states().items():
                self._metrics.ranges.labels(state=state).set(ranges)
