"""The marts of real logs, against ccusage and an independent count of tools and lines."""

import json
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

import pytest

from tests.support.marts import MartsWarehouse
from tests.support.paths import SHARED

pytestmark = pytest.mark.integration

REFERENCE = SHARED / "reference"
KINDS = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens")
TOKENS = (
    "sum(input_tokens)::bigint, sum(output_tokens)::bigint, "
    "sum(cache_write_5m_tokens + cache_write_1h_tokens)::bigint, sum(cache_read_tokens)::bigint"
)
CENT = 0.005


def reference(name: str) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads((REFERENCE / name).read_text())
    return counts


def test_tokens_are_equal_and_the_cost_to_the_cent(shared_marts: MartsWarehouse) -> None:
    """All four kinds, of all conversations."""
    totals = reference("ccusage-session.json")["totals"]
    [(*tokens, cost)] = shared_marts.rows(f"select {TOKENS}, sum(cost_usd) from marts.fct_api_calls")
    assert tokens == [totals[kind] for kind in KINDS]
    assert pytest.approx(totals["totalCost"], abs=CENT) == cost


def test_with_progress_lines_every_day_is_equal(shared_marts: MartsWarehouse) -> None:
    """The daily reference also counts sub-agents that only progress lines tell of."""
    expected = {
        day["date"]: ([day[kind] for kind in KINDS], pytest.approx(day["totalCost"], abs=CENT))
        for day in reference("ccusage-daily.json")["daily"]
    }
    days = shared_marts.rows(
        f"select date_key, {TOKENS}, sum(cost_usd) from (select * from marts.fct_api_calls "
        "union all select * from marts.fct_progress_api_calls) group by date_key"
    )
    assert expected == {str(day): (tokens, cost) for day, *tokens, cost in days}


def test_each_conversation_is_equal(shared_marts: MartsWarehouse) -> None:
    """The reference has an entry for each file; a sub-agent's belongs to its conversation."""
    owners = dict(
        shared_marts.rows(
            "select distinct regexp_extract(source_file, '([^/]+)[.]jsonl$', 1), session_id "
            "from raw.conversations where source_file not like '%/subagents/%' and message_raw is not null"
        )
    )
    expected: defaultdict[str, list[float]] = defaultdict(lambda: [0] * 5)
    for entry in reference("ccusage-session.json")["sessions"]:
        sums = expected[owners[entry["sessionId"]]]
        for place, kind in enumerate((*KINDS, "totalCost")):
            sums[place] += entry[kind]
    shared = {
        session
        for (session,) in shared_marts.rows("select distinct session_id from staging.base_line_copies")
    }
    found = {
        session: (tokens, cost)
        for session, *tokens, cost in shared_marts.rows(
            f"select session_id, {TOKENS}, sum(cost_usd) from marts.fct_api_calls group by session_id"
        )
        if session not in shared
    }
    assert {
        session: (sums[:4], pytest.approx(sums[4], abs=CENT))
        for session, sums in expected.items()
        if session not in shared
    } == found


def test_usage_windows_are_equal(shared_marts: MartsWarehouse) -> None:
    """All windows and gaps: begin, end, last call, calls, the four kinds of tokens, and the cost to the cent.

    A gap ends with a call. Ours begins with its first line, the reference's with the line it takes the usage
    from, which may be seconds later.
    """
    blocks = reference("ccusage-blocks.json")["blocks"]
    names = ("inputTokens", "outputTokens", "cacheCreationInputTokens", "cacheReadInputTokens")
    expected = [
        (
            instant(block["startTime"]),
            pytest.approx(instant(block["endTime"]), abs=5) if block["isGap"] else instant(block["endTime"]),
            block["isGap"],
            instant(block["actualEndTime"]) if block["actualEndTime"] else None,
            block["entries"],
            [block["tokenCounts"][name] for name in names],
            pytest.approx(block["costUSD"], abs=CENT),
        )
        for block in sorted(blocks, key=lambda block: (block["startTime"], not block["isGap"]))
    ]
    found = [
        (start, end, is_gap, last_call, calls, tokens, cost)
        for start, end, is_gap, last_call, calls, *tokens, cost in shared_marts.rows(
            "select epoch_ms(window_start) / 1000, epoch_ms(window_end) / 1000, is_gap, "
            "epoch_ms(last_call_at) / 1000, api_calls, input_tokens, output_tokens, "
            "cache_write_5m_tokens + cache_write_1h_tokens, cache_read_tokens, cost_usd "
            "from marts.agg_usage_windows order by window_start, is_gap desc"
        )
    ]
    assert [46, 39] == [sum(block[2] == is_gap for block in found) for is_gap in (False, True)]
    assert expected == found


def instant(text: str) -> float:
    """Return seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def test_nothing_in_real_logs_is_unknown(shared_marts: MartsWarehouse) -> None:
    """Every type, subtype, block, usage field and tool in the logs at hand has its place."""
    assert [] == shared_marts.rows("select kind, name from marts.agg_unknown_kinds order by all")


def test_tools_are_equal(shared_marts: MartsWarehouse) -> None:
    """Calls, results and errors of each tool."""
    tools = {
        tool: {"calls": calls, "results": results, "errors": errors}
        for tool, calls, results, errors in shared_marts.rows(
            "select tool_name, count(*), count(*) filter (has_result), count(*) filter (is_error) "
            "from marts.fct_tool_calls group by tool_name"
        )
    }
    assert tools == reference("logs-metrics.json")["tool"]


def test_lines_added_and_removed_are_equal(shared_marts: MartsWarehouse) -> None:
    """From patches, and from the content of new files; the reference knows no cells of notebooks."""
    metrics = reference("logs-metrics.json")
    [lines] = shared_marts.rows(
        "select sum(lines_added)::bigint, sum(lines_removed)::bigint from marts.fct_file_operations "
        "where operation_type <> 'notebook'"
    )
    assert (metrics["lines_added"], metrics["lines_removed"]) == lines


def test_kinds_of_user_lines_are_equal(shared_marts: MartsWarehouse) -> None:
    """The reference has other names for some, and does not count results of tools."""
    names = {"local_command": "local-command", "notification": "task-notification"}
    kinds = {
        names.get(kind, kind): count
        for kind, count in shared_marts.rows(
            "select user_kind, count(*) from marts.fct_messages "
            "where role = 'user' and user_kind <> 'tool_result' group by user_kind"
        )
    }
    assert kinds == reference("logs-metrics.json")["user_line_classes"]


def test_lines_of_each_type_are_equal(shared_marts: MartsWarehouse) -> None:
    """Each line counts once."""
    metrics = reference("logs-metrics.json")
    types = dict(
        shared_marts.rows("select line_type, count(*) from staging.stg_conversations group by line_type")
    )
    assert types == metrics["line_types"]
    assert [(metrics["sessions"],)] == shared_marts.rows("select count(*) from marts.dim_sessions")


def test_rejections_are_told_apart(shared_marts: MartsWarehouse) -> None:
    """A person's no is counted as such, and the frequent errors have their kind."""
    ours = Counter(
        dict(
            shared_marts.rows(
                "select error_category, count(*) from marts.fct_tool_calls "
                "where is_error group by error_category"
            )
        )
    )
    theirs = reference("logs-metrics.json")["error_categories"]
    names = {
        "rejected_by_user": "User rejected",
        "text_not_found": "Edit: string not found",
        "text_not_unique": "Edit: multiple matches",
        "file_not_read": "Edit: not read first",
        "permission_denied": "Permission needed/denied",
        "path_not_found": "File/path not found",
        "command_failed": "Non-zero exit",
    }
    assert {category: ours[category] for category in names} == {
        category: theirs[name] for category, name in names.items()
    }
