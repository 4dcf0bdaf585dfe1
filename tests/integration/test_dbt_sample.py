"""The marts of the sample logs, against counts that share no code with them."""

import io
import json
import re
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import duckdb
import pytest
from rich.console import Console

from batch.cli.printing.questions import print_answers
from batch.dashboards.questions import read_questions
from batch.shipped import questions
from tests.support.marts import MartsWarehouse
from tests.support.paths import DATA

pytestmark = pytest.mark.integration

CALLS = """
    select
        model, count(*), sum(input_tokens)::bigint, sum(output_tokens)::bigint,
        sum(cache_write_5m_tokens)::bigint, sum(cache_write_1h_tokens)::bigint,
        sum(cache_read_tokens)::bigint, sum(cost_usd)
    from marts.{table} group by model
"""


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    path = DATA / "sample_expectations.json"
    counts: dict[str, Any] = json.loads(path.read_text())
    return counts


def calls(marts: MartsWarehouse, table: str) -> dict[str, dict[str, Any]]:
    names = ("calls", "input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
    return {
        model: dict(zip(names, counts, strict=True)) | {"cost_usd": f"{Decimal(cost):.8f}"}
        for model, *counts, cost in marts.rows(CALLS.format(table=table))
    }


def test_tokens_and_cost_of_each_model(sample_marts: MartsWarehouse, expected: dict[str, Any]) -> None:
    """Calls, the four kinds of tokens and the cost are exact."""
    assert expected["api_calls"] == calls(sample_marts, "fct_api_calls")


def test_calls_of_progress_lines_are_apart(sample_marts: MartsWarehouse, expected: dict[str, Any]) -> None:
    """Sub-agents that only progress lines tell of are a measure of their own."""
    assert expected["progress_api_calls"] == calls(sample_marts, "fct_progress_api_calls")


def test_calls_results_and_errors_of_each_tool(
    sample_marts: MartsWarehouse, expected: dict[str, Any]
) -> None:
    """Every tool of the data is there, with the right counts."""
    tools = {
        tool: {"calls": count, "results": results, "errors": errors}
        for tool, count, results, errors in sample_marts.rows(
            "select tool_name, count(*), count(*) filter (has_result), count(*) filter (is_error) "
            "from marts.fct_tool_calls group by tool_name"
        )
    }
    assert expected["tools"] == tools


def test_lines_prompts_copies_and_conversations(
    sample_marts: MartsWarehouse, expected: dict[str, Any]
) -> None:
    """Lines of files, what people typed, what forks repeat, and who talked."""
    found = {
        "lines_added": sample_marts.rows("select sum(lines_added)::bigint from marts.fct_file_operations"),
        "lines_removed": sample_marts.rows(
            "select sum(lines_removed)::bigint from marts.fct_file_operations"
        ),
        "prompts": sample_marts.rows("select count(*) from marts.fct_messages where user_kind = 'prompt'"),
        "copied_lines": sample_marts.rows("select count(*) from staging.base_line_copies where is_copy"),
        "conversations": sample_marts.rows("select count(*) from marts.dim_sessions"),
    }
    assert {name: value for name, [(value,)] in found.items()} == {name: expected[name] for name in found}


def test_usage_windows_hold_every_call(sample_marts: MartsWarehouse) -> None:
    """Walked through call by call: the first one past a window's end opens the next, at its full hour."""
    calls = sample_marts.rows(
        "select created_at, total_tokens, cost_usd from marts.fct_api_calls "
        "where created_at is not null order by created_at"
    )
    windows: list[tuple[datetime, list[tuple[Any, ...]]]] = []
    for call in calls:
        if not windows or call[0] > windows[-1][0] + timedelta(hours=5):
            windows.append((call[0].replace(minute=0, second=0, microsecond=0), []))
        windows[-1][1].append(call)
    gaps = [
        (one[-1][0] + timedelta(hours=5), other[0][0])
        for (_, one), (_, other) in pairwise(windows)
        if other[0][0] - one[-1][0] > timedelta(hours=5)
    ]
    assert len(windows) > 20
    assert gaps == sample_marts.rows(
        "select window_start, window_end from marts.agg_usage_windows where is_gap order by window_start"
    )
    assert [
        (start, start + timedelta(hours=5), len(each), sum(call[1] for call in each), each is windows[-1][1])
        for start, each in windows
    ] == sample_marts.rows(
        "select window_start, window_end, api_calls, total_tokens, is_last "
        "from marts.agg_usage_windows where not is_gap order by window_start"
    )
    costs = sample_marts.rows(
        "select cost_usd from marts.agg_usage_windows where not is_gap order by window_start"
    )
    assert pytest.approx([sum(call[2] for call in each) for _, each in windows]) == [
        cost for (cost,) in costs
    ]


def test_weeks_hold_every_call(sample_marts: MartsWarehouse) -> None:
    """Weeks begin on Mondays unless said otherwise, and miss nothing."""
    weeks: Counter[Any] = Counter()
    for day, tokens in sample_marts.rows(
        "select date_key, total_tokens from marts.fct_api_calls where created_at is not null"
    ):
        weeks[day - timedelta(days=day.weekday())] += tokens
    found = sample_marts.rows("select week_start_date, total_tokens from marts.agg_usage_weeks")
    assert weeks == dict(found)


def test_worktrees_and_windows_folders_make_one_project_each(sample_marts: MartsWarehouse) -> None:
    """The shop has three folders of logs, two of them of worktrees."""
    projects = sample_marts.rows(
        "select project_id, project_name, total_folders from marts.dim_projects order by project_id"
    )
    assert [
        ("/home/ana/code/saffron-shop", "saffron-shop", 3),
        ("/home/ana/notebooks/demand-forecast", "demand-forecast", 1),
        ("/home/dev/work/harbor-infra", "harbor-infra", 1),
        ("/home/dev/work/tideline", "tideline", 1),
        ("C:/Users/kim/source/stocktake", "stocktake", 1),
    ] == projects


def test_forks_know_their_parents(sample_marts: MartsWarehouse) -> None:
    """A fork's own lines count for it, what it repeats counts for its parent."""
    forks = sample_marts.rows(
        "select forks.title, parents.title, forks.copied_line_count from marts.dim_sessions as forks "
        "inner join marts.dim_sessions as parents on forks.fork_parent_session_id = parents.session_id "
        "order by forks.title"
    )
    assert [
        ("Live view of the count", "Live view of the count", 15),
        ("Moon phase with the mean month", "Moon phase beside each day", 7),
        ("Split the cart module, part two", "Split the cart module", 49),
    ] == forks


def test_every_branch_with_a_pull_request_shows_it(sample_marts: MartsWarehouse) -> None:
    """No link is lost between the line that tells it and the branch."""
    (linked,) = sample_marts.rows("select count(distinct pull_request_url) from staging.stg_pull_requests")
    (shown,) = sample_marts.rows("select sum(pull_requests)::bigint from marts.agg_branch_cost")
    assert shown == linked


def test_the_first_look_tells_the_same(sample_marts: MartsWarehouse, expected: dict[str, Any]) -> None:
    """What `demo` ends with: questions of the dashboards, here what each model cost."""
    asked = {each.name: each for each in read_questions(questions())}
    output = io.StringIO()
    with duckdb.connect(sample_marts.path, read_only=True) as connection:
        print_answers(connection, [asked["spend_by_model"]], Console(file=output, width=200))
    shown = [re.split(r"  +", line.strip())[:3] for line in output.getvalue().splitlines()[2:]]
    costs = {
        model: (f"${Decimal(each['cost_usd']):,.2f}", f"{each['calls']:,}")
        for model, each in expected["api_calls"].items()
    }
    assert shown
    assert {model: costs[model] for model, *_ in shown} == {model: tuple(rest) for model, *rest in shown}
