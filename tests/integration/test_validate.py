"""The gate on real tables: what it finds, what it shows, what it leaves behind."""

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from batch.shipped import gx_project
from batch.validate.checkpoint import Gate
from batch.validate.validate import Finding, Validation, validate
from stream.clock import utc_now
from stream.errors import StepFailedError
from stream.landing.zone import LandingZone
from stream.warehouse.warehouse import Warehouse
from tests.support.marts import MartsWarehouse

pytestmark = pytest.mark.integration

Check = Callable[..., Validation]

BREAK_EVERYTHING = """
    alter table raw.conversations alter "type" drop not null;
    update raw.conversations set type = null where _id = (select min(_id) from raw.conversations);
    update raw.conversations set content_length = -1 where _id = (select max(_id) from raw.conversations);
    insert into raw.conversations select * from raw.conversations where type = 'summary' limit 1;
    update raw.conversations set extracted_at = now() - interval '9 days';
    insert into staging.base_lines select * from staging.base_lines where line_type = 'system' limit 1;
    update staging.base_lines set written_at = timestamptz '2010-01-01' where line_type = 'summary';
    update staging.base_lines set ingested_at = written_at - interval '2 days' where line_type = 'progress';
    update staging.base_lines set role = 'robot' where line_type = 'user';
    delete from staging.base_sessions where session_id = (select max(session_id) from marts.fct_messages);
    delete from marts.dim_sessions where session_id = (select max(session_id) from marts.fct_messages);
    update marts.fct_api_calls set cost_usd = cost_usd + 1, output_tokens = -1
    where line_id = (select min(line_id) from marts.fct_api_calls);
    update marts.fct_api_calls set model_family = 'unheard-of' where model = 'claude-opus-5';
    update marts.dim_models set unpriced_calls = 3 where model = 'claude-sonnet-5';
    delete from marts.dim_date where date_key = (select min(date_key) + 1 from marts.dim_date);
    update marts.agg_tool_efficiency set error_rate = 1.5 where tool_name = 'Edit';
    update marts.agg_daily_summary set lines_added = lines_added + 1, messages = messages + 1,
        tool_calls = tool_calls + 1, total_tokens = total_tokens + 1, active_seconds = active_seconds + 1;
"""
EXPECTED = {
    "bronze._id_unique",
    "bronze.content_length_in_bounds",
    "bronze.fresh",
    "bronze.known_types",
    "bronze.type_not_null",
    "silver.line_id_unique",
    "silver.ordered_timestamps",
    "silver.session_exists",
    "silver.project_id_not_null",
    "silver.valid_roles",
    "silver.valid_timestamps",
    "gold.active_time_adds_up",
    "gold.calls_add_up",
    "gold.cost_adds_up",
    "gold.cost_only_with_a_price",
    "gold.every_model_has_a_price",
    "gold.fct_messages_session_key_in_dim_sessions",
    "gold.fct_messages_date_key_in_dim_date",
    "gold.lines_add_up",
    "gold.messages_add_up",
    "gold.no_day_missing",
    "gold.rates_are_rates",
    "gold.tokens_add_up",
    "gold.tokens_not_negative",
    "gold.tool_calls_add_up",
    "gold.tools_mostly_work",
}


@pytest.fixture
def path(sample_marts: MartsWarehouse, tmp_path: Path) -> Path:
    """Return a copy of the sample's warehouse, as if imported just now, to be broken."""
    copy = tmp_path / "data" / "analytics.duckdb"
    copy.parent.mkdir()
    shutil.copy(sample_marts.path, copy)
    with duckdb.connect(copy) as connection:
        connection.execute("update raw.conversations set extracted_at = now()")
        connection.execute("update staging.base_lines set ingested_at = now()")
    return copy


@pytest.fixture
def check(path: Path) -> Check:
    """Return what validates that copy."""
    landing = LandingZone(path.parent / "landing", clock=utc_now)
    warehouse = Warehouse(path, landing=landing, clock=utc_now, threads=2)
    gate = Gate(gx_project(), path.parent / "gx", path, 2, "1GB")
    return lambda **options: validate(warehouse, gate, run_id="run-1", timeout_seconds=10, **options)


def by_rule(found: Validation) -> dict[str, Finding]:
    return {f"{finding.layer}.{finding.rule}": finding for finding in found.findings}


def test_the_sample_passes(check: Check, path: Path) -> None:
    """With one warning, about a type of line that nobody has seen before; the file is free afterwards."""
    found = check(least_documents=1_246, build_docs=True)
    findings = by_rule(found)
    assert {"bronze.known_types"} == findings.keys()
    assert () == found.failures
    unknown = findings["bronze.known_types"]
    assert ("warning", "1 row breaks it") == (unknown.severity, unknown.found)
    assert unknown.examples[0].startswith("type=canvas-snapshot documents=1 _id=")
    assert (52, 1_246) == (found.checked, found.documents)
    assert found.data_docs
    assert "gold_expectations" in found.data_docs.read_text(encoding="utf-8")
    with duckdb.connect(path) as connection:
        connection.execute("create table was_free as select 1")


def test_everything_broken_is_found(check: Check, path: Path) -> None:
    """Each rule that can break says how many rows break it, and shows some of them."""
    with duckdb.connect(path) as connection:
        connection.execute(BREAK_EVERYTHING)
    findings = by_rule(check())
    assert set() == EXPECTED - findings.keys()
    assert all(finding.examples for finding in findings.values())
    duplicate = findings["bronze._id_unique"]
    assert ("critical", "2 rows break it") == (duplicate.severity, duplicate.found)
    assert duplicate.examples[0].endswith("times=2")
    assert 6 == len(findings["gold.cost_adds_up"].examples) + 1
    assert findings["silver.valid_roles"].examples[0].endswith("line_type=user role=robot")


def test_fewer_documents_than_before(check: Check) -> None:
    """A warehouse that has lost most of its documents is not published."""
    (failure,) = check(layers=["bronze"], least_documents=2_000).failures
    assert ("volume", "there are 1,246 documents, fewer than 2,000") == (failure.rule, failure.found)


def test_layers_one_by_one(check: Check) -> None:
    """Only what was asked for is checked."""
    found = check(layers=["silver"])
    assert (("silver",), {"silver": 0}) == (found.layers, found.failed_by_layer())


def test_a_rule_that_cannot_be_checked_does_not_hold(check: Check, path: Path) -> None:
    """A missing table closes the gate, and the message is the database's."""
    with duckdb.connect(path) as connection:
        connection.execute("drop table marts.dim_tools")
    findings = by_rule(check(layers=["gold"]))
    assert {"gold.fct_tool_calls_tool_key_in_dim_tools", "gold.tool_calls_add_up"} == findings.keys()
    failure = findings["gold.tool_calls_add_up"]
    assert "dim_tools does not exist" in failure.found
    assert failure.fix.startswith("run `claude-analytics transform`")


def test_without_marts(check: Check, path: Path) -> None:
    """Before the first build there is nothing to check, which is told as such."""
    with duckdb.connect(path) as connection:
        connection.execute(
            "drop schema marts cascade; drop schema intermediate cascade; drop schema staging cascade"
        )
    with pytest.raises(StepFailedError, match="could not check anything") as caught:
        check(layers=["gold"])
    assert "run `claude-analytics transform` first" in caught.value.hint


def test_without_a_warehouse(check: Check, path: Path) -> None:
    """The message says what to run."""
    path.unlink()
    with pytest.raises(StepFailedError, match="there is no warehouse at"):
        check()
