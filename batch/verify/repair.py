"""Writes the rows that differ, as the stream would: with versions, and tombstones for what is not there.

Each document is read as it is now, and lands with the cluster time of that reading as its version, so that a
running worker may go on beside: whatever changed later wins, and whatever is older loses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from batch.verify.keys import document_ids
from batch.verify.scan import SnapshotScan
from batch.verify.warehouse_side import WarehouseSide
from stream.clock import Clock
from stream.core.change_event import UndecodableEvent, decode_batch
from stream.core.normalise import DeadLetter, microseconds, normalise, undecodable
from stream.core.redact import Redactor
from stream.core.schema import Row, to_table
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.footer import footer_of
from stream.landing.places import AnyZone
from stream.settings import MongoSettings
from stream.source.client import Client

REPAIR_LANE = "repair"


@dataclass(frozen=True)
class Repaired:
    """What was written.

    Attributes:
        upserts: Rows of documents that are there.
        deletes: Tombstones of documents that are not.
        dead_letters: Documents that cannot have a row, and were put into the queue.
    """

    upserts: int = 0
    deletes: int = 0
    dead_letters: int = 0

    def __add__(self, other: "Repaired") -> "Repaired":
        """Add two up."""
        return Repaired(
            self.upserts + other.upserts,
            self.deletes + other.deletes,
            self.dead_letters + other.dead_letters,
        )


@dataclass(frozen=True)
class Repair:
    """Everything a repair needs.

    Attributes:
        side: The warehouse.
        redactor: Takes secrets out, as when the other rows were made.
    """

    client: Client
    mongo: MongoSettings
    landing: AnyZone
    dead_letters: DeadLetterStore
    side: WarehouseSide
    clock: Clock
    redactor: Redactor | None = None

    def run(self, keys: Sequence[str]) -> Repaired:
        """Land and load these documents as they are now.

        Doing it again changes nothing; killed in between, what has landed is loaded by whoever loads next.

        Args:
            keys: Canonical `_id`s, and texts that are none, which a row has by mistake.

        Raises:
            AlreadyRunningError: Another repair is going on.
            AnalyticsError: The landing zone or the warehouse cannot be used.
            PyMongoError: The source cannot.
        """
        known = self.side.versions(keys)
        # Not before: what changes from here on is newer than what is read.
        scan = SnapshotScan(self.client, self.mongo, {"_id": {"$in": document_ids(keys)}})
        found = [
            self._read(document, scan.cluster_time)
            for reply in scan.replies()
            for document in decode_batch(reply.batch)
        ]
        letters = [each for each in found if isinstance(each, DeadLetter)]
        rows = {each.id: each for each in found if isinstance(each, Row)}
        there = rows.keys() | {letter.document_id for letter in letters}
        rows |= {key: Row(key, "delete", scan.cluster_time) for key in keys if key not in there}
        # A row that a source with a clock ahead has left behind would win for ever.
        written = [
            row._replace(source_version=max(row.source_version, known.get(row.id, 0)))
            for row in sorted(rows.values(), key=lambda row: row.id)
        ]
        self._land(written, letters)
        self.side.load()
        deletes = sum(row.op == "delete" for row in written)
        return Repaired(len(written) - deletes, deletes, len(letters))

    def _read(self, document: dict[str, object] | UndecodableEvent, version: int) -> Row | DeadLetter:
        if isinstance(document, UndecodableEvent):
            return undecodable(document.raw, document.problem, redactor=self.redactor)
        now = microseconds(self.clock())
        return normalise(document, source_version=version, extracted_at=now, redactor=self.redactor)

    def _land(self, rows: Sequence[Row], letters: Sequence[DeadLetter]) -> None:
        lane = self.landing.lane(REPAIR_LANE)
        with lane.writing():
            self.dead_letters.remove_orphans(self.landing, REPAIR_LANE)
            newest = lane.newest()
            named = lane.new_name(newest.sequence + 1 if newest else 0)
            if letters:
                self.dead_letters.store(named, letters)
            table = to_table(rows)
            lane.land(
                named, table, footer_of(named.id, table, landed_at=self.clock(), dead_letters=len(letters))
            )
