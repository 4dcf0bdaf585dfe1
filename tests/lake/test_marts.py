"""The marts in Iceberg are those of DuckDB: column for column, type for type, row for row."""

from typing import Any

import pytest
from bson.objectid import ObjectId
from hypothesis import HealthCheck, given, settings

from batch import shipped
from batch.lake.builds import tables_now, tag, tag_of
from tests.integration.test_dbt_cases import CASES
from tests.integration.test_dbt_oddities import lines as odd_lines
from tests.support.conversations import lines_of
from tests.support.lake_marts import BothMarts
from tests.support.laking import Lake
from tests.support.marts import documents_of
from tests.tools.compare_marts import arrivals

ODDITIES = 300


def oddities() -> list[dict[str, Any]]:
    """Return the same odd lines in every run: values of the wrong kind, ids that repeat, broken clocks."""
    drawn: list[dict[str, Any]] = []

    @settings(max_examples=ODDITIES, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(odd_lines)
    def draw(line: dict[str, Any]) -> None:
        drawn.append({"_id": ObjectId(f"{0xABC00000 + len(drawn):024x}")} | line)

    draw()
    return drawn


class Breaking:
    """A Spark session that fails at one statement, as if it were killed just before it."""

    def __init__(self, session: Any, beginning: str) -> None:
        self._session = session
        self._beginning = beginning

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def sql(self, statement: str) -> Any:
        """Run a statement, unless it is that one."""
        if statement.strip().removeprefix("/*").split("*/")[-1].strip().startswith(self._beginning):
            raise RuntimeError("killed")
        return self._session.sql(statement)


def test_marts_equal_those_of_duckdb(lake: Lake) -> None:
    """In a first build, with appends, updates, a fork, deletions, after a killed build, and built again."""
    both = BothMarts(lake, timezone="America/New_York")
    documents = documents_of(shipped.sample_logs())
    documents += [*lines_of(*(each for case in CASES for each in case())), *oddities()]
    first, second, third = arrivals(documents)
    both.change(first[0])
    checks = both.build_checked()
    assert [] == both.differences()
    assert checks > 130

    both.change(second[0], deletes=second[1])
    both.build_unchecked()
    assert [] == both.differences()
    assert [] == both.wholly_built()

    # Between the removal of old rows and the new ones.
    both.change(third[0], deletes=third[1])
    breaking = Breaking(lake.spark.session(), "insert into staging.base_blocks")
    with pytest.raises(RuntimeError, match="killed"):
        both.dbt("run", session=breaking)
    both.build_unchecked()
    assert [] == both.differences()
    assert [] == both.wholly_built()

    # A build that is published outlives a full refresh: of a mart of either kind.
    published = tables_now(lake.catalog, "marts")
    tag(lake.catalog, "published", published)
    both.dbt("run", "--full-refresh", "--select", "fct_active_hours", "dim_tools")
    assert [] == both.differences()
    assert ["fct_active_hours"] == both.wholly_built()
    for each in published:
        table = lake.catalog.table(f"marts.{each.name}")
        assert table is not None
        assert str(table.metadata.table_uuid) == each.table_uuid
        assert table.refs()[tag_of("published")].snapshot_id == each.snapshot_id

    assert both.unit_tests() > 20


DAMAGE = (
    "update staging.base_lines set written_at = timestamptz '2010-01-01' where line_type = 'summary'",
    "update staging.base_lines set ingested_at = written_at - interval '2 days' where line_type = 'progress'",
    "update staging.base_lines set role = 'robot' where line_type = 'user'",
    "update staging.base_lines set unreadable_counts = 1 where line_type = 'assistant'",
    "update marts.fct_messages set line_id = 'nowhere' where content_length > 100",
    "delete from marts.dim_sessions where message_count > 3",
    "update marts.dim_models set unpriced_calls = 3, unpriced_tokens = total_tokens where total_tokens > 0",
    "update marts.agg_tool_efficiency set error_rate = 0.9, total_calls = 99 where tool_name = 'Edit'",
)


def test_every_check_finds_the_same_in_spark(lake: Lake) -> None:
    """Each rule of Great Expectations is asked in Spark, too, and counts the same rows, also after damage."""
    both = BothMarts(lake)
    both.change([*documents_of(shipped.sample_logs()), *oddities()])
    both.build_unchecked()
    ours, theirs = both.findings()
    assert ours == theirs

    for statement in DAMAGE:
        both.damage(statement)

    ours, theirs = both.findings()
    assert ours == theirs
    assert len(DAMAGE) <= len(ours)
