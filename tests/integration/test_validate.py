"""The gate on real tables: what it finds, what it shows, what it leaves behind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import Engine, event

from batch.validate.checkpoint import Gate
from batch.validate.suites import SUITES
from batch.validate.validate import Finding, Validation, validate
from stream.clock import utc_now
from stream.errors import StepFailedError
from stream.landing.zone import LandingZone
from stream.warehouse.warehouse import Warehouse
from tests.support.marts import MartsWarehouse

pytestmark = pytest.mark.integration

Check = Callable[..., Validation]

BREAK_EVERYTHING = """
    update raw.conversations set content_length = -1 where _id = (select max(_id) from raw.conversations);
    update raw.conversations set extracted_at = now() - interval '9 days';
    update staging.base_lines set written_at = timestamptz '2010-01-01' where line_type = 'summary';
    update staging.base_lines set ingested_at = written_at - interval '2 days' where line_type = 'progress';
    update staging.base_lines set role = 'robot' where line_type = 'user';
    update staging.base_lines set unreadable_counts = 1 where line_type = 'assistant';
    delete from marts.dim_sessions where session_id = (select max(session_id) from marts.fct_messages);
    update marts.fct_messages set line_id = 'nowhere'
    where line_id = (select min(line_id) from marts.fct_messages);
    insert into raw.loads select max(load_id) + 1, now() - interval '2 days', 1, 1, 0, false from raw.loads;
    insert into marts.agg_cost_agreement (session_id, model_family, agreement, reported_cost_usd, cost_usd)
    values ('s', 'claude-opus-5', 'differs', 2, 1);
    update marts.dim_models set unpriced_calls = 3, unpriced_tokens = total_tokens
    where total_tokens = (select max(total_tokens) from marts.dim_models);
    update marts.agg_tool_efficiency set error_rate = 0.9, total_calls = 99 where tool_name = 'Edit';
"""
EXPECTED = {
    f"{suite.layer}.{rule.name}": rule.severity
    for suite in SUITES
    for rule in suite.rules
    if rule.name != "volume"
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
    gate = Gate(path.parent / "gx", path, 2, "1GB")
    return lambda **options: validate(warehouse, gate, run_id="run-1", timeout_seconds=10, **options)


def by_rule(found: Validation) -> dict[str, Finding]:
    return {f"{finding.layer}.{finding.rule}": finding for finding in found.findings}


def test_the_sample_passes(check: Check, path: Path) -> None:
    """With one warning, about a type of line that nobody has seen before; the file is free afterwards."""
    found = check(least_documents=1_246, build_docs=True)
    findings = by_rule(found)
    assert {"gold.known_kinds"} == findings.keys()
    assert () == found.failures
    unknown = findings["gold.known_kinds"]
    assert ("warning", "1 row breaks it") == (unknown.severity, unknown.found)
    assert unknown.examples[0].startswith("kind=line_type name=canvas-snapshot occurrences=1 ")
    assert (15, 1_246) == (found.checked, found.documents)
    assert found.data_docs
    assert "gold_expectations" in found.data_docs.read_text(encoding="utf-8")
    with duckdb.connect(path) as connection:
        connection.execute("create table was_free as select 1")


def test_each_rule_is_asked_once(check: Check, path: Path) -> None:
    """Great Expectations of itself would ask for some rows, too, which no result holds; its type stays."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        check()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    queries = [rule.query for suite in SUITES for rule in suite.rules if rule.query]
    assert dict.fromkeys(queries, 1) == {
        query: sum(query in statement for statement in asked) for query in queries
    }
    results = [
        result
        for file in (path.parent / "gx" / "uncommitted" / "validations").rglob("*.json")
        for result in json.loads(file.read_text(encoding="utf-8"))["results"]
        if "unexpected_rows_query" in result["expectation_config"]["kwargs"]
    ]
    assert len(queries) == len(results)
    assert {"unexpected_rows_expectation"} == {result["expectation_config"]["type"] for result in results}
    assert all({"observed_value"} == result["result"].keys() for result in results)


def test_everything_broken_is_found(check: Check, path: Path) -> None:
    """Each rule says how many rows break it, and shows some of them."""
    with duckdb.connect(path) as connection:
        connection.execute(BREAK_EVERYTHING)
    findings = by_rule(check())
    assert EXPECTED == {name: finding.severity for name, finding in findings.items()}
    assert all(finding.examples for finding in findings.values())
    assert "1 row breaks it" == findings["gold.messages_of_raw"].found
    assert findings["gold.nothing_beyond_raw"].examples[0].startswith("_id=nowhere ")
    assert findings["silver.valid_roles"].examples[0].endswith("line_type=user role=robot")


def test_what_comes_while_marts_are_built(check: Check, path: Path) -> None:
    """Documents of loads that no build has seen yet are not missing, nor is what they deleted."""
    with duckdb.connect(path) as connection:
        connection.execute(
            """
            insert into raw.loads select max(load_id) + 1, now(), 1, 1, 1, false from raw.loads;
            insert into raw.micro_batches select * replace ('new' as micro_batch_id, load_id + 1 as load_id)
            from raw.micro_batches limit 1;
            create table newer as select * replace (_id || 'x' as _id, 'new' as micro_batch_id)
            from raw.conversations where message_role = 'user' limit 5;
            delete from raw.conversations where _id = (select min(line_id) from marts.fct_messages);
            insert into raw.conversations select * from newer;
            drop table newer;
            """
        )
    assert () == check(layers=["gold"]).failures


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
        connection.execute("drop table marts.dim_sessions")
    findings = by_rule(check(layers=["gold"]))
    assert {"gold.known_kinds", "gold.conversations_of_raw"} == findings.keys()
    failure = findings["gold.conversations_of_raw"]
    assert "dim_sessions does not exist" in failure.found
    assert failure.fix.startswith("run `claude-analytics transform`")


def test_without_marts(check: Check, path: Path) -> None:
    """Before the first build there is nothing to check, which is told as such."""
    with duckdb.connect(path) as connection:
        connection.execute(
            "drop schema marts cascade; drop schema intermediate cascade; drop schema staging cascade; "
            "drop table ops.model_inputs"
        )
    with pytest.raises(StepFailedError, match="not one rule could be checked") as caught:
        check(layers=["gold"])
    assert "run `claude-analytics transform` first" in caught.value.hint


def test_without_a_warehouse(check: Check, path: Path) -> None:
    """The message says what to run."""
    path.unlink()
    with pytest.raises(StepFailedError, match="there is no warehouse at"):
        check()
