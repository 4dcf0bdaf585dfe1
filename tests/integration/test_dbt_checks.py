"""The checks of the dbt project find what they are for: on marts that were changed by hand."""

from pathlib import Path

import duckdb
import pytest

from tests.support.marts import MartsWarehouse

pytestmark = pytest.mark.integration

BREAK = """
    update marts.fct_api_calls set cost_usd = cost_usd + 1, output_tokens = -1
    where line_id = (select min(line_id) from marts.fct_api_calls);
    update marts.agg_daily_summary set messages = messages + 1;
    delete from marts.dim_date where date_key = (select min(date_key) + 1 from marts.dim_date);
    update marts.agg_tool_efficiency set error_rate = 1.5 where tool_name = 'Edit';
    update marts.dim_sessions set session_end = session_start - interval '1 hour', active_seconds = 9e9
    where session_id = (select min(session_id) from marts.dim_sessions);
    delete from marts.dim_tools where tool_name = 'Read';
    insert into staging.base_blocks select * from staging.base_blocks limit 1;
    insert into staging.base_tool_results select * replace (null as block_index)
    from staging.base_tool_results limit 1;
"""
EXPECTED = {
    "assert_active_time_within_wall_time",
    "assert_calendar_has_no_gaps",
    "assert_cost_is_the_sum_of_its_parts",
    "assert_marts_agree",
    "assert_rejections_are_no_failures",
    "relationships_fct_messages_date_key__date_key__ref_dim_date_",
    "relationships_fct_tool_calls_tool_key__tool_key__ref_dim_tools_",
    "key_base_blocks_line_id__block_index",
    "key_base_tool_results_line_id__block_index",
}


def test_broken_marts_are_found(sample_marts: MartsWarehouse, tmp_path: Path) -> None:
    """Sums, parts of a cost, the calendar, rates, times, references and keys."""
    broken = sample_marts.copied(tmp_path)
    with duckdb.connect(broken.path) as connection:
        connection.execute(BREAK)
    project = broken.project
    outcome = project.invoke(project.arguments("test", "--select", "test_type:data"))
    failed = {result.node.name for result in outcome.results if result.status.value == "fail"}
    assert set() == EXPECTED - failed
