"""Lakes of tests: landed files, Iceberg tables made of them, and what DuckDB makes of the same files."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg2
from pydantic import SecretStr

from batch.lake.catalog import Catalog
from batch.lake.clouds import table_url
from batch.lake.config import LakeConfig
from batch.lake.landed_files import LandedBucket, LandedFolder
from batch.lake.load import LakeLoader
from batch.lake.lock import loading_lock
from batch.lake.mirror import Mirror
from batch.lake.postgres_server import PostgresServer
from batch.lake.publish import LakePublisher
from batch.lake.purged import LakePurgeSide
from batch.lake.session import Spark
from batch.publish.folder import ServingFolder
from batch.purge.landed import LandedPurge
from batch.purge.letters import LetterPurge
from batch.purge.objects import ObjectsPurge
from batch.purge.purge import Purge
from batch.purge.side import LandedSide
from batch.purge.traces import StoredTraces, Traces, TraceSide
from stream.clock import utc_now
from stream.core.schema import Row
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedZone
from stream.landing.zone import STREAM_LANE, Failpoint, LandingZone, no_failpoint
from stream.storage.objects import ObjectStorage
from stream.storage.prefixed import Prefixed
from stream.warehouse.load import LoadResult
from tests.support.landing import land, land_in
from tests.support.objects import copy_landed
from tests.support.streaming import make_warehouse


class Killed(BaseException):
    """Raised at a failpoint, in place of a signal."""


class Lake:
    """One catalog and its tables, below a folder with a landing zone.

    Args:
        folder: Of both, or of what DuckDB makes of a bucket.
        catalog_uri: An empty database of PostgreSQL.
        bucket: URL of an empty place in a bucket, if landing zone and tables are there.
        session: Of Spark, if one runs already.
        master: Where Spark's tasks run, if none does.
        spark: More settings of it.
    """

    def __init__(
        self,
        folder: Path,
        catalog_uri: str,
        *,
        bucket: str | None = None,
        session: Any = None,
        master: str = "local[2]",
        spark: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.folder = folder
        self.uri = catalog_uri
        self.storage = ObjectStorage(bucket) if bucket else None
        self.config = LakeConfig(
            SecretStr(catalog_uri),
            table_url(f"{bucket or f'file://{folder}'}/tables"),
            master,
            driver_memory="1500m",
            spark=dict(spark),
        )
        self.spark = Spark(self.config)
        if session is not None:
            for name, value in self.config.catalog_settings().items():
                session.conf.set(name, value)
            self.spark._session = session
        self.catalog = Catalog(self.config)
        self.duckdb = make_warehouse(folder)

    def settings(self) -> dict[str, str]:
        """Return what the program is told to use a lake in a bucket; the keys to it are not among them."""
        assert self.storage is not None
        return {"DATA_URL": self.storage.url, "WAREHOUSE": "iceberg", "CATALOG_URI": self.uri}

    def loader(self, at_failpoint: Failpoint = no_failpoint) -> LakeLoader:
        """Return what loads."""
        return LakeLoader(
            spark=self.spark,
            catalog=self.catalog,
            landed=LandedBucket(FencedZone(self.storage, clock=utc_now))
            if self.storage
            else LandedFolder(LandingZone(self.folder / "landing", clock=utc_now)),
            lock=lambda seconds: loading_lock(self.config, timeout_seconds=seconds),
            clock=utc_now,
            at_failpoint=at_failpoint,
        )

    def land(self, rows: Sequence[Row], *, lane: str = STREAM_LANE) -> None:
        """Land rows as the next micro-batch of a lane."""
        if self.storage is None:
            land(self.folder, rows, lane=lane)
        else:
            land_in(FencedZone(self.storage, clock=utc_now).lane(lane), rows)

    def load(self) -> LoadResult:
        """Load into the lake, and into DuckDB."""
        if self.storage:
            copy_landed(self.storage, self.folder)
        self.duckdb.load(timeout_seconds=5)
        return self.loader().load(timeout_seconds=5)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask Spark."""
        return self.spark.rows(query, doing="look")

    def duckdb_rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask DuckDB."""
        with self.duckdb.opened(timeout_seconds=5) as connection:
            return connection.execute(query).fetchall()

    def assert_same_raw(self) -> None:
        """Compare `raw` of both, row for row and value for value."""
        everything = "select {} from raw.conversations order by _id"
        # In a bucket lane and number are the id of a micro-batch.
        cut = "regexp_replace(micro_batch_id, '-[0-9a-f]{8}$', '')"
        micro_batch = cut if self.storage else "micro_batch_id"
        theirs = everything.format(f"* replace ({micro_batch} as micro_batch_id)")
        assert plain(self.duckdb_rows(theirs)) == plain(self.rows(everything.format("*")))
        lines = (
            "select distinct load_id, session_id, source_file, uuid, message_id from raw.changed_lines "
            "order by 1, 2 nulls first, 3 nulls first, 4 nulls first, 5 nulls first"
        )
        assert self.duckdb_rows(lines) == self.rows(lines)
        loads = "select load_id, micro_batches, rows_upserted, rows_deleted, is_bulk from raw.loads"
        assert sorted(self.duckdb_rows(loads)) == sorted(self.rows(loads))
        manifest = (
            "select {}, lane, sequence, rows, upserts, deletes, dead_letters, "
            "first_cluster_time, last_cluster_time, load_id from raw.micro_batches order by micro_batch_id"
        )
        theirs = manifest.format(f"{micro_batch} as micro_batch_id")
        assert self.duckdb_rows(theirs) == self.rows(manifest.format("micro_batch_id"))

    def unnamed_files(self) -> set[str]:
        """Return the data files in the folder that no snapshot of a table names, relative to it."""
        folder = self.folder / "tables"
        named: set[str] = set()
        for name in self.catalog.every_name():
            table = self.catalog.table(name)
            if table is not None:
                named.update(table.inspect.all_files()["file_path"].to_pylist())
        written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}
        return written - {path.partition("/tables/")[2] for path in named}


def new_database(postgres: PostgresServer) -> str:
    """Make an empty database for a catalog; return its URL."""
    name = f"lake_{uuid.uuid4().hex}"
    with closing(psycopg2.connect(postgres.uri)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"create database {name}")
    return postgres.uri.removesuffix("postgres") + name


def publisher_of(lake: Lake, *, keep: int = 5, at_failpoint: Failpoint = no_failpoint) -> LakePublisher:
    """Return what publishes the marts of a lake."""
    chosen: list[Any] = []
    mirror = Mirror("tables", lake.catalog, lambda: chosen, list, 1_000_000, lake.folder, "500MB")
    return LakePublisher(
        warehouse=mirror,
        serving=ServingFolder(lake.folder / "serving"),
        landing=LandingZone(lake.folder / "landing", clock=utc_now),
        dbt_target_dir=lake.folder,
        timezone="UTC",
        keep=keep,
        clock=utc_now,
        at_failpoint=at_failpoint,
        catalog=lake.catalog,
        chosen=chosen,
    )


def purge_of(lake: Lake, build_marts: Callable[[], object], *, run_id: str = "20260103") -> Purge:
    """Return what purges a lake."""
    if lake.storage is None:
        zone = LandingZone(lake.folder / "landing", clock=utc_now)
        landed: LandedSide = LandedPurge(zone, "500MB")
        letters = DeadLetterStore(lake.folder / "dead_letter", clock=utc_now)
        stored: list[TraceSide] = []
    else:
        objects = FencedZone(lake.storage, clock=utc_now)
        landed = ObjectsPurge(objects)
        letters = DeadLetterStore(Prefixed(lake.storage, "dead_letter"), clock=utc_now)
        stored = [StoredTraces(objects.state)]
    return Purge(
        landed=landed,
        letters=LetterPurge(letters),
        side=LakePurgeSide(lake.loader(), lease_timeout_seconds=5),
        publisher=publisher_of(lake),
        traces=[Traces(lake.folder, (), ()), *stored],
        build_marts=build_marts,
        run_id=run_id,
        lease_timeout_seconds=5,
    )


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows whose instants are of one kind: Spark's have no time zone, and mean UTC here."""
    return [
        tuple(each.replace(tzinfo=None) if getattr(each, "tzinfo", None) else each for each in row)
        for row in rows
    ]
