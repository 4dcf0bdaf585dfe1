"""Small warehouses with marts made by hand, and publishers of them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from batch.publish.folder import ServingFolder
from batch.publish.publish import Publisher
from batch.publish.reader_group import ReaderGroup
from stream.clock import utc_now
from stream.core.schema import Row, to_table
from stream.landing.footer import footer_of
from stream.landing.zone import STREAM_LANE, Failpoint, LandingZone, Lane, no_failpoint
from stream.warehouse.warehouse import Warehouse

TIMEOUT_SECONDS = 30


class Shop:
    """A data folder: a landing zone, a warehouse whose marts say which build they are of, a serving folder.

    Every row of the marts of round n holds n; `fct_sales` has 100 + n rows, so that a mixture shows.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: int = 2,
        readers: ReaderGroup | None = None,
        at_failpoint: Failpoint = no_failpoint,
    ) -> None:
        self.folder = folder
        self.landing = LandingZone(folder / "landing", clock=utc_now)
        self.serving = ServingFolder(folder / "serving", readers=readers)
        self.warehouse = Warehouse(
            folder / "analytics.duckdb", landing=self.landing, clock=utc_now, threads=1
        )
        self.publisher = Publisher(
            warehouse=self.warehouse,
            serving=self.serving,
            landing=self.landing,
            dbt_target_dir=folder / "dbt" / "target",
            timezone="UTC",
            keep=keep,
            clock=utc_now,
            at_failpoint=at_failpoint,
        )

    def build(self, number: int, *, more: str = "") -> None:
        """Make the marts of one round.

        Args:
            number: Of the round.
            more: Further statements.
        """
        with self.warehouse.opened(timeout_seconds=TIMEOUT_SECONDS) as connection:
            connection.execute(
                f"""
                begin;
                create schema if not exists marts;
                create or replace table marts.fct_sales as
                select range as sale, {number}::bigint as build, range % 7 as item from range(100 + {number});
                create or replace table marts.dim_items as
                select range as item, {number}::bigint as build, 'item ' || range as name from range(7);
                {more}
                commit;
                """
            )

    def publish(self, number: int) -> Any:
        """Publish the marts as the build of a round."""
        return self.publisher.publish(f"build-{number:04}", timeout_seconds=TIMEOUT_SECONDS)

    @property
    def lane(self) -> Lane:
        """The lane of the stream."""
        return self.landing.lane(STREAM_LANE)

    def land(self, *rows: Row) -> None:
        """Land one micro-batch."""
        newest = self.lane.newest()
        micro_batch = self.lane.new_name(newest.sequence + 1 if newest else 0)
        table = to_table(rows)
        self.lane.land(micro_batch, table, footer_of(micro_batch.id, table, landed_at=utc_now()))

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the published views, as a reader would."""
        with duckdb.connect(self.serving.database, read_only=True) as connection:
            return connection.execute(query).fetchall()

    def seen_build(self) -> tuple[Any, ...]:
        """Return the round that a reader sees in the facts: lowest, highest, and how many rows."""
        return self.ask("select min(build), max(build), count(*) from marts.fct_sales")[0]


def message(
    number: int,
    *,
    version: int,
    raw: bytes = b'{"role": "user", "content": "hello"}',
    at: datetime | None = None,
    **fields: Any,
) -> Row:
    """Return the row of one line of a conversation, written now unless said otherwise."""
    microseconds = int((at or datetime.now(UTC)).timestamp() * 1_000_000)
    columns: dict[str, Any] = {
        "id": f"{number:024x}",
        "op": "upsert",
        "source_version": version,
        "type": "user",
        "session_id": "session-1",
        "project_id": "-home-ana-shop",
        "timestamp": microseconds,
        "ingested_at": microseconds,
        "extracted_at": microseconds,
        "message_role": "user",
        "message_raw": raw,
        "date": microseconds // 86_400_000_000,
        "uuid": f"uuid-{number}",
    }
    return Row(**columns | fields)
