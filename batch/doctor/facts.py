"""What the probes saw, without any judgement."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from batch.probe import LandingFacts, WarehouseFacts
from stream.errors import AnalyticsError
from stream.source.client import Oplog


@dataclass(frozen=True)
class Server:
    """What MongoDB says about itself.

    Attributes:
        version: E.g. `6.0.5`; empty where it may not be seen.
        set_name: Name of the replica set; None if it is part of none.
        is_sharded: Whether a `mongos` answered.
        skew_seconds: How far its clock is ahead of this machine's, by the middle of a round trip.
    """

    version: str
    set_name: str | None
    is_sharded: bool
    skew_seconds: float


@dataclass(frozen=True)
class SourceFacts:
    """What could be seen of the source.

    Attributes:
        namespace: Which collection.
        server: Who answered.
        documents: About how many there are; None if they may not be counted.
        majority_problem: Why documents cannot be read with read concern `majority`; None if they can.
        snapshot_problem: Why they cannot be read as of a cluster time; None if they can.
        stream_problem: Why a change stream cannot be opened; None if it can.
        resume_problem: Why the stream cannot continue from its saved position; None if it can, or has none.
        has_split_stage: Whether events above 16 MB can be split; None if that could not be found out.
        has_partitions: Whether a change stream can be filtered by the hash of the key; None likewise.
        has_images: Whether pre- and post-images are recorded; None likewise.
        oplog: Its reach; None likewise.
        collection_problem: Why the collection cannot be followed at all: it is a view, say; None if it can.
        is_missing: Whether there is no such collection.
        names_near: What is called much alike, if it is missing.
        confirmation_problem: Why new writes are not confirmed by a majority; None if they are.
        ignored_options: What MONGO_URI asks for and does not get.
    """

    namespace: str
    server: Server
    documents: int | None
    majority_problem: AnalyticsError | None
    snapshot_problem: AnalyticsError | None
    stream_problem: AnalyticsError | None
    resume_problem: AnalyticsError | None
    has_split_stage: bool | None
    has_images: bool | None
    oplog: Oplog | None
    collection_problem: AnalyticsError | None = None
    is_missing: bool = False
    names_near: tuple[str, ...] = ()
    confirmation_problem: AnalyticsError | None = None
    ignored_options: tuple[str, ...] = ()
    has_partitions: bool | None = None


@dataclass(frozen=True)
class Address:
    """A place where metrics are to be served.

    Attributes:
        setting: That chose it.
        host: Its address.
        port: Its port; 0 for none.
        problem: Why it cannot be had; None if it can.
    """

    setting: str
    host: str
    port: int
    problem: str | None = None


@dataclass(frozen=True)
class LocalFacts:
    """What could be seen on this machine.

    Attributes:
        now: By this machine's clock.
        data_dir: Folder of all files.
        unwritable: Where files must be written and cannot be.
        free_bytes: On the disk of `data_dir`.
        landing: The landing zone.
        checked: How many of its files were read wholly.
        corrupt: What is wrong with files that are damaged, or too new.
        warehouse: The DuckDB file.
        addresses: Of metrics.
    """

    now: datetime
    data_dir: Path
    unwritable: Path | None
    free_bytes: int
    landing: LandingFacts
    checked: int
    corrupt: tuple[AnalyticsError, ...]
    warehouse: WarehouseFacts
    addresses: tuple[Address, ...] = field(default_factory=tuple)
