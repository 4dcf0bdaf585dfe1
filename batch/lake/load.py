"""Loads what has landed into Iceberg, each micro-batch exactly once.

    1  landed files are registered in `raw.landed`, without a copy
    2  the lines that will change are noted in `raw.changed_lines`, under the id that the load will have
    3  one MERGE puts the last change of each document in place; its snapshot's summary says what it loaded
    4  the load and its micro-batches are noted in `raw.loads` and `raw.micro_batches`

A rebuild leaves out 2 and replaces all rows at 3 (`batch.lake.rebuild`).

A crash behind 1 or 2 leaves what the next load does again; one behind 3 leaves notes that it makes up for.
Versions decide which of two changes is the later, as in DuckDB (`stream.warehouse.load`): what is loaded
twice changes nothing. Two loaders at once wait for each other where the catalog is PostgreSQL; else Iceberg
refuses the second of two commits, and the version rule keeps a repeated one without effect.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from batch.lake.catalog import Catalog, Table, catalog_errors, newest_with
from batch.lake.config import CATALOG
from batch.lake.landed import look, register
from batch.lake.landed_changed import replace_rewritten
from batch.lake.landed_files import Landed, LandedFile
from batch.lake.merge import COMPARED, INCREMENT, NAMED_KEYS, MergeSql, marker_in
from batch.lake.notes import LOAD_ID, Noted, newest_noted, note_load
from batch.lake.rebuild import begin_again, has_begun_again
from batch.lake.session import Spark, snapshot_properties, spark_errors
from batch.lake.tables import SCHEMA_VERSION, VERSION_PROPERTY, statements
from stream.clock import Clock
from stream.errors import SchemaTooNewError, StepFailedError
from stream.landing.landed_file import Failpoint, no_failpoint
from stream.landing.retention import require_whole
from stream.warehouse.load import BULK_ROWS, LoadResult

LANDED_SNAPSHOT = "claude-analytics.landed-snapshot"
"""Property of the snapshot of a load: the snapshot of `raw.landed` up to which all is loaded."""
_LOADING = "load what has landed"


@dataclass(frozen=True)
class LakeLoader:
    """Everything a load needs, made by the command line.

    Attributes:
        lock: Of the right to load, for a number of seconds.
        at_failpoint: Tests crash the process there.
    """

    spark: Spark
    catalog: Catalog
    landed: Landed
    lock: Callable[[float], AbstractContextManager[None]]
    clock: Clock
    at_failpoint: Failpoint = no_failpoint

    def load(self, *, timeout_seconds: float) -> LoadResult:
        """Load everything that has landed and is not loaded yet. Doing it again changes nothing.

        Spark is started only if there is something to load.

        Args:
            timeout_seconds: How long to wait for another loader.

        Raises:
            WarehouseBusyError: It took longer.
            MicroBatchCorruptError: A landed file is damaged; nothing is loaded.
            LandingTrimmedError: Nothing was loaded yet, and what landed first has been removed.
            SchemaTooNewError: A newer version of this program made the tables.
            CatalogUnreachableError: The catalog does not answer.
            StorageUnavailableError: The storage of the tables does not answer, or that of what has landed.
            StorageRefusedError: It refuses.
            StepFailedError: Spark failed.
        """
        return self._load(timeout_seconds)

    def _load(self, timeout_seconds: float, *, is_incomplete: bool = False) -> LoadResult:
        while True:
            with self.lock(timeout_seconds), catalog_errors():
                found = self._load_with_executors(is_incomplete=is_incomplete)
            if found is not None:
                return found
            self.spark.wait_for_executors()

    def _load_with_executors(self, *, is_incomplete: bool) -> LoadResult | None:
        """Load, or return None if something is to be loaded and executors are not there yet."""
        self.prepare()
        documents = self._documents()
        done = newest_with(documents, LOAD_ID) or {}
        if done:
            note_load(self.catalog, self.landed, Noted.from_summary(done))
        elif not is_incomplete:
            require_whole(self.landed.state)
        if self.landed.rewritten():  # by a purge that was killed
            replace_rewritten(self.catalog, self.landed)
        register(self.catalog, self.landed)
        self.at_failpoint("files_registered")
        landed = self.catalog.table("raw.landed")
        newest = landed.current_snapshot() if landed else None
        if newest is None or str(newest.snapshot_id) == done.get(LANDED_SNAPSHOT):
            return LoadResult()
        if not self.spark.has_executors:
            return None
        since = done.get(LANDED_SNAPSHOT)
        if has_begun_again(landed, int(since) if since else None):
            return self._replace(landed, newest.snapshot_id)
        return self._merge(landed, newest.snapshot_id, done)

    def rebuild(self, *, timeout_seconds: float, is_incomplete: bool = False) -> LoadResult:
        """Make the tables of `raw` again from all that has landed. Raises as `load`.

        Readers see the old rows until the new ones are there. Killed before, the next `load` ends it.

        Args:
            timeout_seconds: How long to wait for another loader.
            is_incomplete: Do so also where landed files are there no more, and rows will be missing.

        Raises:
            LandingTrimmedError: They are, and that was not said; nothing has changed.
        """
        with self.lock(timeout_seconds), catalog_errors():
            self.prepare()
            begin_again(self.catalog, self.landed, is_incomplete=is_incomplete)
        self.at_failpoint("begun_again")
        return self._load(timeout_seconds, is_incomplete=is_incomplete)

    def pending(self) -> list[LandedFile]:
        """Return what has landed and is not loaded yet, in order.

        Raises:
            CatalogUnreachableError: The catalog does not answer.
        """
        with catalog_errors():
            documents, landed = self.catalog.table("raw.documents"), self.catalog.table("raw.landed")
            done = (newest_with(documents, LANDED_SNAPSHOT) or {}) if documents else {}
            if landed and done:
                return look(self.landed, landed, int(done[LANDED_SNAPSHOT])).left
        return self.landed.files()

    def prepare(self) -> None:
        """Make the tables that are missing.

        Raises:
            SchemaTooNewError: A newer version of this program made them.
        """
        documents = self.catalog.table("raw.documents")
        if documents is None or self.catalog.table("ops.published_builds") is None:
            for statement in statements(CATALOG):
                self.spark.run(statement, doing="make the tables of `raw`")
            documents = self._documents()
        SchemaTooNewError.require_known(
            "the table `raw.documents`",
            version=int(documents.properties.get(VERSION_PROPERTY, SCHEMA_VERSION)),
            known=SCHEMA_VERSION,
        )

    def _documents(self) -> Table:
        return self.catalog.commit("raw.documents", lambda table: table)

    def _merge(self, landed: Table, until: int, done: Mapping[str, str]) -> LoadResult:
        since = done.get(LANDED_SNAPSHOT)
        load_id = int(done.get(LOAD_ID, 0)) + 1
        self._view_increment(landed, int(since) if since else None, until)
        [(rows, least, greatest)] = self.spark.rows(
            f"select count(*), min(_id), max(_id) from {INCREMENT}", doing=_LOADING
        )
        sql = self._statements(load_id, (least or "", greatest or ""), rows)
        swept = self._number(sql.swept()) if sql.has_new_marker else 0
        is_bulk = rows >= BULK_ROWS or sql.has_new_marker
        self.spark.run(sql.staged(), doing=_LOADING)
        with self._compared(sql):
            [(upserted, deleted)] = self.spark.rows(sql.counts(), doing=_LOADING)
            if not is_bulk:
                self.spark.run(sql.changed_lines(), doing=_LOADING)
        self.at_failpoint("changes_noted")
        noted = Noted(
            load_id, self.clock(), since, until, int(upserted), int(deleted) + swept, is_bulk=is_bulk
        )
        return self._commit(noted, rows, sql.merge())

    def _replace(self, landed: Table, until: int) -> LoadResult:
        """Put everything that has landed in the place of all rows."""
        self._view_increment(landed, None, until)
        load_id = 1 + newest_noted(self.catalog)
        marker = self._number(marker_in(INCREMENT))
        sql = MergeSql(CATALOG, load_id, marker, has_new_marker=False, keys=("", ""))
        self.spark.run(sql.staged(), doing=_LOADING)
        rows = self._number(f"select count(*) from {INCREMENT}")
        upserted = self._number("select count_if(op = 'upsert') from staged")
        noted = Noted(load_id, self.clock(), None, until, upserted, 0, is_bulk=True)
        documents = self._documents().current_snapshot()
        replace = sql.replace_all(documents.snapshot_id if documents else None)
        return self._commit(noted, rows, replace)

    def _commit(self, noted: Noted, rows: int, statement: str) -> LoadResult:
        """Change `raw.documents` by one commit that says what it loads; note that."""
        summary = noted.to_summary() | {LANDED_SNAPSHOT: str(noted.until)}
        with spark_errors(_LOADING), snapshot_properties(self.spark.session(), summary):
            self.spark.run(statement, doing=_LOADING)
        self.at_failpoint("merged")
        micro_batches = note_load(self.catalog, self.landed, noted)
        return LoadResult(micro_batches, rows, noted.rows_upserted, noted.rows_deleted)

    @contextmanager
    def _compared(self, sql: MergeSql) -> Iterator[None]:
        self.spark.run(sql.compared(), doing=_LOADING)
        # The documents are read once for all that is asked of it.
        self.spark.run(f"cache table {COMPARED}", doing=_LOADING)
        try:
            yield
        finally:
            with suppress(StepFailedError):  # of a Spark that has gone
                self.spark.run(f"uncache table if exists {COMPARED}", doing=_LOADING)

    def _statements(self, load_id: int, keys: tuple[str, str], rows: int) -> MergeSql:
        known = self._number(marker_in(f"{CATALOG}.raw.documents"))
        landed = self._number(marker_in(INCREMENT))
        named: list[str] = []
        if rows <= NAMED_KEYS:
            found = self.spark.rows(f"select distinct _id from {INCREMENT}", doing="look at what has landed")
            named = [str(key) for (key,) in found]
        return MergeSql(
            CATALOG, load_id, max(known, landed), has_new_marker=landed > known, keys=keys, named_keys=named
        )

    def _view_increment(self, landed: Table, since: int | None, until: int) -> None:
        """Let `INCREMENT` be the rows that were registered after one snapshot and up to another."""
        session = self.spark.session()
        with spark_errors("read `raw.landed`"):
            reader = session.read.format("iceberg")
            if since is None or landed.snapshot_by_id(since) is None:
                # Nothing was loaded yet, or nobody knows how far: what is loaded again changes nothing.
                frame = reader.option("versionAsOf", until)
            else:
                frame = reader.option("start-snapshot-id", since).option("end-snapshot-id", until)
            rows = frame.table(f"{CATALOG}.raw.landed")
            rows.selectExpr("*", "_file as file", "_pos as pos").createOrReplaceTempView(INCREMENT)

    def _number(self, query: str) -> int:
        [(number,)] = self.spark.rows(query, doing="look at what has landed")
        return int(number)
