"""The verification as a whole: piece after piece, then once more what differed."""

import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pymongo.errors import PyMongoError

from batch.backfill.filters import Filters
from batch.backfill.plan import Plan
from batch.backfill.survey import make_plan, origin_of
from batch.verify.digest import Digester
from batch.verify.ranges import choose_sample, plan_ranges
from batch.verify.reading import RangeReader
from batch.verify.recheck import Recheck
from batch.verify.repair import Repair, Repaired
from batch.verify.report import Kind, Tally, Verification
from batch.verify.warehouse_side import WarehouseSide
from stream import sql
from stream.clock import Clock, utc_now
from stream.core.collection_event import InvalidationPolicy
from stream.core.redact import Redactor
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.partitions import StreamLanes
from stream.landing.places import AnyZone
from stream.settings import MongoSettings
from stream.source.change_stream import PIPELINE_VERSION
from stream.source.client import Client, connect, explained, fingerprint
from stream.source.majority import require_majority
from stream.source.timeline import require_timeline

OnProgress = Callable[[int, int], None]
"""Called with documents read, and about how many there are."""

_RANGE_SIZE_BYTES = 32_000_000
_SAMPLED_RANGE_SIZE_BYTES = 4_000_000
_RECHECK_SIZE = 5_000
_MAX_REAL = 20_000
"""After so many defects the others are reported as they look at first sight."""
_UNDECODABLE = "(an `_id` that cannot be decoded)"


@dataclass(frozen=True)
class RepairOutcome:
    """What a repair did.

    Attributes:
        written: What was landed and loaded.
        left: What a look at the same `_id`s finds afterwards.
    """

    written: Repaired
    left: Tally

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left that is not explained."""
        return self.left.real == 0

    def to_json(self) -> dict[str, Any]:
        """Return a form that `json` can write."""
        left = {kind.replace(" ", "_"): count for kind, count in self.left.counts.items()}
        return vars(self.written) | {"left": left}


@dataclass(frozen=True)
class Verifier:
    """Everything a verification needs, made by the command line. Only `repair` changes anything.

    Attributes:
        side: The warehouse.
        patience_seconds: How long to wait for changes that a running worker is about to load.
        limit: How many `_id`s of each kind to name.
        range_size_bytes: BSON in a piece, about; None chooses.
        redactor: What took secrets out when the rows were made.
        policy: What the worker does when the collection is dropped, renamed or replaced.
        clock: Dates what a repair lands.
    """

    mongo: MongoSettings
    landing: AnyZone
    dead_letters: DeadLetterStore
    side: WarehouseSide
    patience_seconds: float = 15.0
    limit: int = 10
    range_size_bytes: int | None = None
    redactor: Redactor | None = None
    policy: InvalidationPolicy = field(default_factory=InvalidationPolicy)
    clock: Clock = utc_now

    def run(
        self,
        *,
        since: datetime | None = None,
        fraction: float = 1.0,
        seed: int = 0,
        on_progress: OnProgress = lambda _done, _total: None,
    ) -> Verification:
        """Compare the collection with `raw.conversations`; the stream may be running.

        Each range is read at a cluster time of its own, as snapshots reach back five minutes only. The
        warehouse lock is held while a range is compared, never while MongoDB is read.

        Args:
            since: Only documents and rows from this instant on.
            fraction: Share of the pieces to compare.
            seed: Chooses which.
            on_progress: Called after each reply of the server.

        Raises:
            AnalyticsError: The source, the landing zone or the warehouse cannot be used.
        """
        filters = Filters(since=since)
        with (
            connect(self.mongo) as client,
            closing(Digester(self.redactor, digest=self.side.digest)) as digester,
        ):
            try:
                self._require_source(client)
                plan = self._plan(client, filters, is_sample=fraction < 1)
                share = min(1.0, fraction)
                expected = round(plan.documents * share)
                reader = RangeReader(
                    client,
                    self.mongo,
                    filters,
                    digester,
                    on_read=lambda done: on_progress(done, max(done, expected)),
                )
                look = self._recheck(client, digester)
                return self._compare(plan, reader, look, fraction=share, seed=seed)
            except PyMongoError as error:
                raise explained(error, doing=f"verify `{self.mongo.namespace}`") from error

    def repair(
        self, mismatches: Iterable[str], *, on_progress: OnProgress = lambda _done, _total: None
    ) -> "RepairOutcome":
        """Write what differs as the stream would, beside a running worker, and look at it again.

        Args:
            mismatches: Of a verification.
            on_progress: Called with `_id`s done, and how many there are.

        Raises:
            AlreadyRunningError: Another repair is going on.
            AnalyticsError: The source, the landing zone or the warehouse cannot be used.
        """
        keys = [key for key in mismatches if key != _UNDECODABLE]
        tally, total = Tally(self.limit), Repaired()
        with (
            connect(self.mongo) as client,
            closing(Digester(self.redactor, digest=self.side.digest)) as digester,
        ):
            try:
                self._require_source(client)
                repair = Repair(
                    client,
                    self.mongo,
                    self.landing,
                    self.dead_letters,
                    self.side,
                    self.clock,
                    self.redactor,
                )
                look = self._recheck(client, digester)
                for start in range(0, len(keys), _RECHECK_SIZE):
                    chunk = keys[start : start + _RECHECK_SIZE]
                    total += repair.run(chunk)
                    look.settle(chunk, tally)
                    on_progress(start + len(chunk), len(keys))
            except PyMongoError as error:
                raise explained(error, doing=f"repair `{self.mongo.namespace}`") from error
        return RepairOutcome(total, tally)

    def _require_source(self, client: Client) -> None:
        """Refuse to compare with another source than the one that has landed, or with one that lags."""
        source = fingerprint(client, self.mongo, pipeline=PIPELINE_VERSION)
        require_majority(client, self.mongo.namespace)
        position = StreamLanes(self.landing).position()
        if position is not None:
            position.require_source(source)
            require_timeline(client, self.mongo.namespace, position)

    def _plan(self, client: Client, filters: Filters, *, is_sample: bool) -> Plan:
        usual = _SAMPLED_RANGE_SIZE_BYTES if is_sample else _RANGE_SIZE_BYTES
        return make_plan(
            client,
            self.mongo,
            origin=origin_of(client, self.mongo),
            filters=filters,
            range_size_bytes=self.range_size_bytes or usual,
            plan_id="verify",
            created_at="",
        )

    def _recheck(self, client: Client, digester: Digester) -> Recheck:
        return Recheck(
            client,
            self.mongo,
            landing=self.landing,
            dead_letters=self.dead_letters,
            side=self.side,
            digester=digester,
            patience_seconds=self.patience_seconds,
            policy=self.policy,
        )

    def _compare(
        self, plan: Plan, reader: RangeReader, look: Recheck, *, fraction: float, seed: int
    ) -> Verification:
        began = time.monotonic()
        pieces = plan_ranges(plan.bounds)
        chosen = choose_sample(pieces, fraction, seed=seed)
        tally = Tally(self.limit)
        rows = differing = 0
        mismatches: dict[str, Kind] = {}
        with tempfile.TemporaryDirectory(prefix="claude-analytics-verify-") as folder:
            for number, piece in enumerate(chosen):
                digests = Path(folder) / f"{number}.parquet"
                reader.read(piece, digests)
                rows_of_range, found = self.side.compare(digests, _since(piece.predicate, plan.filters))
                digests.unlink()
                rows += rows_of_range
                differing += bool(found)
                mismatches |= found
                if len(mismatches) >= _RECHECK_SIZE:
                    _settle(mismatches, look, tally)
        _settle(mismatches, look, tally)
        self._settle_undecodable(reader.undecodable, tally)
        return Verification(
            namespace=self.mongo.namespace,
            first_cluster_time=reader.cluster_times[0],
            last_cluster_time=max(reader.cluster_times[-1], look.cluster_time),
            documents=reader.documents,
            rows=rows,
            pieces=len(chosen),
            ranges_in_all=len(pieces),
            ranges_differing=differing,
            looked_again=look.documents,
            counts=tally.counts,
            first=tally.first,
            mismatches=tally.mismatches,
            blocked_by=look.blocked_by,
            seconds=time.monotonic() - began,
            size_bytes=reader.size_bytes,
        )

    def _settle_undecodable(self, documents: int, tally: Tally) -> None:
        """Without an `_id`, all that can be asked is whether so many have been rejected."""
        if not documents:
            return
        letters = self.dead_letters.list(self.landing, with_discarded=True)
        rejected = sum(1 for letter in letters if letter.letter.document_id is None)
        for number in range(documents):
            tally.add(_UNDECODABLE, "dead letter" if number < rejected else "missing")


def _since(predicate: str, filters: Filters) -> str:
    if filters.since is None:
        return predicate
    return f"({predicate}) and coalesce(timestamp, ingested_at) >= {sql.literal(filters.since)}"


def _settle(mismatches: dict[str, Kind], look: Recheck, tally: Tally) -> None:
    """Judge what differed at first sight; nothing is left open."""
    keys = list(mismatches)
    while keys and tally.real < _MAX_REAL:
        look.settle(keys[:_RECHECK_SIZE], tally)
        keys = keys[_RECHECK_SIZE:]
    for key in keys:
        tally.add(key, mismatches[key])
    mismatches.clear()
