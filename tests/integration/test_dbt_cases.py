"""Logs of other programs than Claude Code itself, and odd ones: every number right, nothing blocked."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128

from batch.dashboards.questions import read_questions
from batch.dashboards.report.figures import gather
from batch.dashboards.report.page import render
from batch.runs import ops_tables
from batch.shipped import price_list, questions
from batch.transform.prices import model_family, read_terms
from batch.validate.checkpoint import Gate
from batch.validate.validate import Validation, validate
from tests.support.conversations import (
    Conversation,
    call,
    lines_of,
    patch,
    result,
    usage,
)
from tests.support.marts import MartsWarehouse

pytestmark = pytest.mark.integration

SEARCHES = 10 / 1000


def tool_ids_that_repeat_between_conversations() -> list[Conversation]:
    first, second = Conversation("interrupted"), Conversation("edited")
    first.answers(usage(1, 1), call("Bash", "call_0", command="make"), request="req_1")
    second.answers(usage(1, 1), call("Edit", "call_0", file_path="/a.py"), request="req_2")
    second.returns(result("call_0"), report=patch("/a.py", 1, 1))
    return [first, second]


def tool_ids_that_repeat_within() -> list[Conversation]:
    found = []
    for name in ("kimi-1", "kimi-2"):
        conversation = Conversation(name)
        for number in range(3):
            conversation.answers(
                usage(10 + number, 1),
                call("Bash", "functions.Bash:0", command=f"make {number}"),
                id="",
            )
            conversation.returns(result("functions.Bash:0", is_error=number == 1))
        found.append(conversation)
    # Both at once, in one answer, in lines of their own and in one line.
    twice = Conversation("twice")
    twice.answers(usage(9, 1), call("Bash", "call_0", command="a"), id="chat", request="req_9")
    twice.answers(usage(9, 2), call("Bash", "call_0", command="b"), id="chat", request="req_9")
    twice.answers(
        usage(9, 3),
        call("Bash", "call_1", command="c"),
        call("Bash", "call_1", command="c"),
        id="chat",
        request="req_9",
    )
    twice.returns(result("call_0"))
    twice.returns(result("call_0", is_error=True))
    twice.returns(result("call_1", is_error=True))
    twice.returns(result("call_1"))
    return [*found, twice]


def two_results_in_a_line() -> list[Conversation]:
    conversation = Conversation("two-results")
    conversation.answers(
        usage(1, 1),
        call("Bash", "toolu_1", command="ls"),
        call("Edit", "toolu_2", file_path="/b.py"),
        request="req_t",
    )
    conversation.returns(result("toolu_1"), result("toolu_2"), report=patch("/b.py", 2, 1))
    return [conversation]


def a_sub_agent_beside() -> list[Conversation]:
    conversation = Conversation("agents")
    conversation.answers(usage(1, 1), call("Task", "call_0"), id="a", request="r-a")
    conversation.answers(
        usage(2, 1), call("Bash", "call_0"), id="b", request="r-b", isSidechain=True, agentId="x"
    )
    conversation.returns(result("call_0", is_error=True), isSidechain=True, agentId="x")
    conversation.returns(result("call_0"))
    return [conversation]


def gateways_message_ids() -> list[Conversation]:
    found = []
    for message_id in ("ocgo", "", None):
        for half in (1, 2):
            conversation = Conversation(f"gateway-{message_id}-{half}")
            for number in range(3):
                conversation.asks()
                conversation.answers(usage(100 + number, 10 + number), id=message_id)
            found.append(conversation)
    return found


def streamed_answers_of_gateways() -> list[Conversation]:
    conversation = Conversation("streamed")
    for _ in range(2):
        conversation.asks()
        conversation.answers(usage(0, 0), {"type": "text", "text": "a"}, id="ocgo")
        conversation.answers(usage(50, 3), call("Bash", "call_0"), id="ocgo")
        last = conversation.lines[-1]["uuid"]
        # Its first tool is done before it has ended.
        conversation.returns(result("call_0"))
        conversation.answers(usage(50, 7), call("Read", "call_1"), id="ocgo", parentUuid=last)
        conversation.returns(result("call_1"))
    return [conversation]


def a_replayed_message() -> list[Conversation]:
    conversation = Conversation("replayed")
    conversation.answers(usage(10, 100), id="msg_X", request="req_a")
    conversation.answers(usage(10, 100), id="msg_X", request="req_b", isSidechain=True)
    # Another call, though its id is the same.
    conversation.answers(usage(11, 100), id="msg_X", request="req_c", isSidechain=True)
    return [conversation]


def forks_with_new_uuids() -> list[Conversation]:
    parent, fork = Conversation("sdk-parent"), Conversation("sdk-fork")
    parent.asks("One")
    parent.answers(usage(5, 5), call("Edit", "toolu_f", file_path="/f.py"), id="m", request="r-f")
    parent.returns(result("toolu_f"), report=patch("/f.py", 3, 0))
    parent.asks("Two")
    for line in parent.lines:
        source = {"sessionId": "sdk-parent", "messageUuid": line["uuid"]}
        again = {
            name: line[name]
            for name in ("timestamp", "message", "toolUseResult", "requestId")
            if name in line
        }
        fork.write(line["type"], forkedFrom=source, **again)
    fork.asks("Three")
    return [parent, fork]


def a_fork_with_the_only_result() -> list[Conversation]:
    parent, fork = Conversation("left"), Conversation("went-on")
    parent.asks("One")
    parent.answers(usage(5, 5), call("Write", "call_9", file_path="/g.py"), id="m", request="r-g")
    for line in parent.lines:
        fork.lines.append(
            line | {"_id": fork.write("user")["_id"], "sessionId": "went-on", "sourceFile": "p/went-on.jsonl"}
        )
        fork.lines.pop(-2)
    fork.returns(result("call_9"), report=patch("/g.py", 4, 0))
    return [parent, fork]


def uuids_that_repeat() -> list[Conversation]:
    first, second = Conversation("uuid-1"), Conversation("uuid-2")
    first.asks("One", uuid="same", timestamp="2026-05-04T10:00:00Z")
    second.asks("Two", uuid="same", timestamp="2026-05-04T11:00:00Z")
    # The same line again, that reports more.
    third = Conversation("uuid-3")
    for tokens in (1, 90, 5):
        third.answers(usage(7, tokens), id=None, uuid="again", timestamp="2026-05-04T12:00:00Z")
    return [first, second, third]


def notebooks() -> list[Conversation]:
    conversation = Conversation("notebook")
    for number, mode in enumerate(("replace", "insert", "delete", "failed")):
        tool_id = f"toolu_n{number}"
        arguments = {
            "notebook_path": "/n.ipynb",
            "new_source": "a\nb\nc",
            "edit_mode": mode.replace("failed", "replace"),
        }
        conversation.answers(
            usage(1, 1), call("NotebookEdit", tool_id, **arguments), id=f"n{number}", request="r"
        )
        conversation.returns(
            result(tool_id, is_error=mode == "failed"),
            report={"new_source": "a\nb\nc", "edit_mode": mode, "notebook_path": "/n.ipynb"},
        )
    return [conversation]


def renames() -> list[Conversation]:
    conversation = Conversation("renamed")
    conversation.asks("One")
    for title in ("First", "Second", "Third", "Fourth", "Last"):
        conversation.write("custom-title", customTitle=title, timestamp=None, uuid=None)
    return [conversation]


def unknown_tools() -> list[Conversation]:
    conversation = Conversation("new-tools")
    conversation.answers(usage(1, 1), call("Patch", "toolu_p"), call("Read", "toolu_q"), id="p", request="p")
    conversation.returns(result("toolu_p"), report=patch("/p.py", 5, 0))
    conversation.returns(result("toolu_q"), report=patch("/q.py", 5, 0))
    return [conversation]


def wrong_clocks() -> list[Conversation]:
    conversation = Conversation("clocks")
    for timestamp in (
        "1970-01-01T00:00:05Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2126-05-04T00:00:00Z",
        1_777_885_200,
        1_777_885_200_000,
    ):
        conversation.asks(timestamp=timestamp)
        conversation.answers(usage(1, 1), id=f"clock-{timestamp}", request="r", timestamp=timestamp)
    return [conversation]


def messages_of_no_role() -> list[Conversation]:
    conversation = Conversation("no-role", timestamp=None)
    conversation.write("odd", message={"role": "robot", "content": [call("Bash", "call_0")]}, timestamp=None)
    return [conversation]


def costs() -> list[Conversation]:
    at = datetime.fromisoformat
    conversation = Conversation("costs")
    conversation.answers(
        usage(
            2,
            491,
            cache_creation_input_tokens=7853,
            cache_creation={"ephemeral_1h_input_tokens": 7853},
            cache_read_input_tokens=226_584,
            iterations=[
                {"type": "message", "input_tokens": 2, "output_tokens": 491},
                {
                    "type": "advisor_message",
                    "model": "claude-opus-4-7",
                    "input_tokens": 159_419,
                    "output_tokens": 7805,
                },
            ],
        ),
        id="advised",
        request="r",
        model="claude-sonnet-4-6",
    )
    conversation.answers(
        usage(
            1_000_000,
            0,
            iterations=[
                {
                    "type": "fallback_message",
                    "model": "claude-opus-5",
                    "input_tokens": 1000,
                    "output_tokens": 100,
                },
                {
                    "type": "fallback_message",
                    "model": "claude-opus-5",
                    "input_tokens": 1000,
                    "output_tokens": 0,
                },
            ],
        ),
        id="fallen-back",
        request="r",
    )
    for name, model, used, timestamp in (
        ("long", "claude-sonnet-4-5", usage(300_000, 100_000), None),
        ("long-then", "claude-opus-4-6", usage(300_000, 100_000), at("2026-03-12T23:59:59Z")),
        ("long-now", "claude-opus-4-6", usage(300_000, 100_000), at("2026-03-13T00:00:00Z")),
        ("small-long", "claude-haiku-5-5", usage(100_001, 1_000_000), at("2026-10-07T00:00:00Z")),
        ("us", "claude-sonnet-5", usage(1_000_000, 0, inference_geo="us"), None),
        ("batch", "claude-sonnet-5", usage(1_000_000, 0, service_tier="batch"), None),
        ("both", "claude-sonnet-5", usage(1_000_000, 0, service_tier="batch", inference_geo="us"), None),
        ("searched", "claude-sonnet-5", usage(0, 0, server_tool_use={"web_search_requests": 3}), None),
    ):
        more = {"timestamp": timestamp.isoformat()} if timestamp else {}
        conversation.answers(used, id=name, request="r", model=model, **more)
    conversation.answers(usage(0, 0), call("WebSearch", "toolu_w", query="x"), id="web-tool", request="r")
    conversation.returns(result("toolu_w"), report={"query": "x", "searchCount": 2})
    return [conversation]


COSTS = {
    "advised": 1.1146842,
    "fallen-back": 2 + 0.0075,
    "long": 4.05,
    "long-then": 3 + 3.75,
    "long-now": 1.5 + 2.5,
    "small-long": 0.0500005 + 2.5,
    "us": 2.2,
    "batch": 1.0,
    "both": 1.1,
    "searched": 3 * SEARCHES,
    "web-tool": 2 * SEARCHES,
}


FAMILIES = {
    "claude-opus-4-6-v1[1m]": "claude-opus-4-6",
    "anthropic/claude-opus-4.6-fast": "claude-opus-4-6",
    "claude-opus-4-8-fast": "claude-opus-4-8",
    "claude-opus-5-thinking": "claude-opus-5",
    "claude-opus-4-5-thinking": "claude-opus-4-5",
    "claude-opus-4-5-20251101-thinking": "claude-opus-4-5",
    "anthropic--claude-4.5-sonnet": "claude-sonnet-4-5",
    "claude-4.5-opus-high-thinking": "claude-opus-4-5",
    "claude-4-sonnet": "claude-sonnet-4",
    "claude-3-5-sonnet-20241022": "claude-3-5-sonnet",
    "claude-3-5-sonnet-v2@20241022": "claude-3-5-sonnet",
    "anthropic/claude-3.7-sonnet:thinking": "claude-3-7-sonnet",
    "claude-sonnet-3.7": "claude-3-7-sonnet",
    "claude-3-opus-20240229": "claude-3-opus",
    "claude-3-haiku-20240307": "claude-3-haiku",
    "us.anthropic.claude-sonnet-4-20250514-v1:0": "claude-sonnet-4",
    "arn:aws:bedrock:us-east-1:1:profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5",
    "claude-sonnet-4@20250514": "claude-sonnet-4",
    "claude-fable-5-1": "claude-fable-5-1",
    "claude-haiku-4-5-latest": "claude-haiku-4-5",
}


def model_names() -> list[Conversation]:
    conversation = Conversation("models")
    for number, model in enumerate(FAMILIES):
        conversation.answers(
            usage(0, 1_000_000),
            id=f"model-{number}",
            request="r",
            model=model,
            timestamp="2026-10-09T00:00:00Z",
        )
    conversation.answers(usage(40, 2), id="other", request="r", model="gpt-9")
    return [conversation]


def numbers_of_mongodb() -> list[Conversation]:
    conversation = Conversation("decimals")
    used = usage(0, 0) | {
        "input_tokens": Decimal128("1200"),
        "output_tokens": Decimal128("34"),
        "cache_read_input_tokens": Decimal128("5"),
    }
    conversation.answers(used, id="decimal", request="r")
    for number, odd in enumerate(("many", -5, Decimal128("NaN"), {"a": 1}, True, 10**15)):
        conversation.answers(usage(1, 1) | {"output_tokens": odd}, id=f"odd-{number}", request="r")
    return [conversation]


CASES = (
    tool_ids_that_repeat_between_conversations,
    tool_ids_that_repeat_within,
    two_results_in_a_line,
    a_sub_agent_beside,
    gateways_message_ids,
    streamed_answers_of_gateways,
    a_replayed_message,
    forks_with_new_uuids,
    a_fork_with_the_only_result,
    uuids_that_repeat,
    notebooks,
    renames,
    unknown_tools,
    wrong_clocks,
    messages_of_no_role,
    costs,
    model_names,
    numbers_of_mongodb,
)


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory, dbt_artifacts: Path) -> MartsWarehouse:
    """Return the marts of all cases, built in one go with every check."""
    warehouse = MartsWarehouse(tmp_path_factory.mktemp("cases"), artifacts=dbt_artifacts)
    warehouse.change(lines_of(*(each for case in CASES for each in case())))
    warehouse.build()
    return warehouse


@pytest.fixture(scope="module")
def validation(marts: MartsWarehouse) -> Validation:
    """Return what the gate says of them."""
    gate = Gate(marts.path.parent / "gx", marts.path, 2, "1GB")
    return validate(marts.warehouse, gate, run_id="run-1", timeout_seconds=20)


def tools(marts: MartsWarehouse, *sessions: str) -> list[tuple[Any, ...]]:
    """Return name, status and lines of each tool call of some conversations, in order."""
    return marts.rows(
        "select tool_name, status, lines_added, lines_removed from marts.fct_tool_calls "
        f"where session_id in ({','.join('?' * len(sessions))}) "
        "order by session_id, created_at, line_id, file_path",
        sessions,
    )


def calls(marts: MartsWarehouse, *sessions: str) -> tuple[Any, ...]:
    """Return count, input and output tokens of the API calls of some conversations."""
    [found] = marts.rows(
        "select count(*), sum(input_tokens)::bigint, sum(output_tokens)::bigint from marts.fct_api_calls "
        f"where session_id in ({','.join('?' * len(sessions))})",
        sessions,
    )
    return found


def session(marts: MartsWarehouse, name: str, *columns: str) -> Sequence[Any]:
    """Return columns of one conversation."""
    [found] = marts.rows(f"select {', '.join(columns)} from marts.dim_sessions where session_id = ?", [name])
    return found


def test_a_call_gets_no_result_of_another_conversation(marts: MartsWarehouse) -> None:
    """Ids of tools that repeat between conversations are different calls."""
    assert [("Edit", "success", 1, 1), ("Bash", "no_result", 0, 0)] == tools(marts, "interrupted", "edited")


def test_each_call_counts_where_ids_repeat(marts: MartsWarehouse) -> None:
    """Within a conversation a result belongs to the call before it; within an answer they go in order."""
    statuses = [status for _, status, *_ in tools(marts, "kimi-1", "kimi-2")]
    assert ["success", "error", "success"] * 2 == statuses
    assert [
        "error",
        "error",
        "success",
        "success",
    ] == sorted(status for _, status, *_ in tools(marts, "twice"))
    assert (1, 9, 3) == calls(marts, "twice")


def test_a_report_belongs_to_the_call_on_its_file(marts: MartsWarehouse) -> None:
    """Not to the first result of its line."""
    assert [("Bash", "success", 0, 0), ("Edit", "success", 2, 1)] == sorted(tools(marts, "two-results"))


def test_a_sub_agents_result_is_its_own(marts: MartsWarehouse) -> None:
    """Though both use the same id at the same time."""
    assert [("Task", "success", 0, 0), ("Bash", "error", 0, 0)] == tools(marts, "agents")


@pytest.mark.parametrize("message_id", ["ocgo", "", None])
def test_constant_message_ids_fold_nothing(marts: MartsWarehouse, message_id: str | None) -> None:
    """Two conversations with three calls each: six calls."""
    assert (6, 606, 66) == calls(marts, f"gateway-{message_id}-1", f"gateway-{message_id}-2")


def test_lines_of_one_answer_fold_without_ids(marts: MartsWarehouse) -> None:
    """Also around the result of a tool that was done before the answer had ended."""
    assert (2, 100, 14) == calls(marts, "streamed")
    assert ["Bash", "Read", "Bash", "Read"] == [name for name, *_ in tools(marts, "streamed")]
    assert {"success"} == {status for _, status, *_ in tools(marts, "streamed")}


def test_a_replay_is_the_same_call(marts: MartsWarehouse) -> None:
    """A sub-agent's log repeats a message under another request id."""
    assert (2, 21, 200) == calls(marts, "replayed")


def test_a_fork_counts_what_is_its_own(marts: MartsWarehouse) -> None:
    """Whatever uuids its copies have: prompts, calls and edits stay with the conversation it came from."""
    columns = ("prompt_count", "api_call_count", "tool_call_count", "lines_added", "fork_parent_session_id")
    assert (2, 1, 1, 3, None) == session(marts, "sdk-parent", *columns)
    assert (1, 0, 0, 0, "sdk-parent") == session(marts, "sdk-fork", *columns)


def test_a_fork_may_hold_the_result(marts: MartsWarehouse) -> None:
    """Of a call that counts for the conversation it came from."""
    assert [("Write", "success", 4, 0)] == tools(marts, "left")
    assert [] == tools(marts, "went-on")


def test_a_uuid_alone_is_no_identity(marts: MartsWarehouse) -> None:
    """Two conversations with one uuid are two; a line that comes again counts once, as it reports most."""
    assert session(marts, "uuid-1", "prompt_count") == session(marts, "uuid-2", "prompt_count") == (1,)
    assert (1, 7, 90) == calls(marts, "uuid-3")


def test_cells_of_notebooks_are_lines(marts: MartsWarehouse) -> None:
    """A cell that was replaced or inserted; not one deleted, nor a failure."""
    assert [3, 3, 0, 0] == [added for _, _, added, _ in tools(marts, "notebook")]


def test_the_last_title_is_in_force(marts: MartsWarehouse) -> None:
    """Though titles have no time."""
    assert ("Last", "custom") == session(marts, "renamed", "title", "title_source")


def test_a_new_tool_may_change_files(marts: MartsWarehouse) -> None:
    """One that reads changes none, whatever stands beside its result."""
    operations = marts.rows(
        "select operation_type, lines_added from marts.fct_file_operations "
        "where session_id = 'new-tools' order by 1"
    )
    assert [("edit", 5), ("read", 0)] == operations


def test_a_wrong_clock_counts_for_its_day(marts: MartsWarehouse) -> None:
    """Seconds and milliseconds are told apart by their size."""
    days = marts.rows(
        "select date_key::varchar, count(*) from marts.fct_api_calls "
        "where session_id = 'clocks' group by 1 order by 1"
    )
    assert [
        ("0001-01-01", 1),
        ("1970-01-01", 1),
        ("2026-05-04", 2),
        ("2126-05-04", 1),
        ("9999-12-31", 1),
    ] == days


def test_a_report_is_not_stretched_by_a_wrong_clock(marts: MartsWarehouse) -> None:
    """Its days end with the last one that can be right; no token of the others is lost."""
    with marts.warehouse.opened(timeout_seconds=20) as connection:
        ops_tables.prepare(connection)
        found = gather(connection, read_questions(questions()), now=datetime(2026, 11, 1, tzinfo=UTC))
    assert ("2026-03-12", "2026-10-09") == (str(found.first_day), str(found.last_day))
    [(tokens,)] = marts.rows("select sum(total_tokens)::bigint from marts.fct_api_calls")
    assert tokens == sum(found.rows["headline"]["tokens"])
    assert render(found)


@pytest.mark.parametrize("name", COSTS)
def test_all_money_is_counted(marts: MartsWarehouse, name: str) -> None:
    """Other models within an answer, long contexts, regions, batches, searches."""
    found = marts.rows("select cost_usd from marts.fct_api_calls where message_id = ?", [name])
    assert [(pytest.approx(COSTS[name], abs=1e-9),)] == found


def test_a_cost_names_its_parts(marts: MartsWarehouse) -> None:
    """Each in a column of its own; tokens of other models are among all tokens."""
    columns = "input_cost_usd, geography_cost_usd, batch_cost_usd, cost_usd"
    both = marts.rows(f"select {columns} from marts.fct_api_calls where message_id = 'both'")
    assert [(2.0, pytest.approx(0.2), pytest.approx(-1.1), pytest.approx(1.1))] == both
    columns = "advisor_tokens, fallback_tokens, total_tokens, advisor_cost_usd"
    advised = marts.rows(f"select {columns} from marts.fct_api_calls where message_id = 'advised'")
    assert [(167_224, 0, 2 + 491 + 7853 + 226_584 + 167_224, pytest.approx(0.99222))] == advised
    fallen = marts.rows(
        "select fallback_tokens, fallback_cost_usd from marts.fct_api_calls where message_id = 'fallen-back'"
    )
    assert [(1100, pytest.approx(0.0075))] == fallen


def test_every_spelling_of_a_model_has_its_price(marts: MartsWarehouse) -> None:
    """Whatever providers, editors and clouds put around its name."""
    found = marts.rows(
        "select model, model_family, cost_usd is not null from marts.fct_api_calls "
        "where session_id = 'models' and model <> 'gpt-9'"
    )
    assert FAMILIES == {model: family for model, family, _ in found}
    assert {True} == {has_price for *_, has_price in found}
    fast = marts.rows("select model, cost_usd from marts.fct_api_calls where is_fast order by model")
    assert [("anthropic/claude-opus-4.6-fast", 150.0), ("claude-opus-4-8-fast", 50.0)] == fast


def test_every_total_says_what_has_no_price(marts: MartsWarehouse) -> None:
    """Calls, tokens and models."""
    columns = ("unpriced_call_count", "unpriced_tokens", "unpriced_models")
    assert (1, 42, "gpt-9") == session(marts, "models", *columns)
    for table in ("agg_daily_summary", "agg_branch_cost"):
        [found] = marts.rows(
            "select sum(unpriced_calls)::int, sum(unpriced_tokens)::int, max(unpriced_models) "
            f"from marts.{table}"
        )
        assert (1, 42, "gpt-9") == found
    for table in ("agg_daily_cost", "agg_hourly_activity", "dim_projects", "dim_models"):
        [found] = marts.rows(f"select sum(unpriced_calls)::int, sum(unpriced_tokens)::int from marts.{table}")
        assert (1, 42) == found


def test_numbers_of_any_kind_are_read(marts: MartsWarehouse) -> None:
    """What is no count is 0, and seen."""
    assert [(1200, 34, 5)] == marts.rows(
        "select input_tokens, output_tokens, cache_read_tokens from marts.fct_api_calls "
        "where message_id = 'decimal'"
    )
    odd = marts.rows("select sum(output_tokens)::int from marts.fct_api_calls where message_id like 'odd-%'")
    assert [(0,)] == odd


def test_nothing_is_blocked_and_everything_odd_is_named(validation: Validation) -> None:
    """Odd input warns, with the lines; only our own contradictions keep a build from being published."""
    assert () == validation.failures
    found = {finding.rule: finding for finding in validation.warnings}
    # The documents of the test are from some day.
    assert {
        "known_kinds",
        "readable_usage",
        "valid_timestamps",
    } == set(found) - {"fresh"}
    assert "6 rows break it" == found["readable_usage"].found
    assert all(example.startswith("_id=") for example in found["readable_usage"].examples)


def test_incremental_is_full_refresh(tmp_path: Path, dbt_artifacts: Path) -> None:
    """Also where nothing is unique: in any order of arrival, and with deletions."""
    warehouse = MartsWarehouse(tmp_path, artifacts=dbt_artifacts)
    lines = list(lines_of(*(each for case in CASES for each in case())))
    for part in (lines[::2], lines[1::2], lines[::5]):
        warehouse.change(part, deletes=[lines[3]["_id"], lines[40]["_id"]] if part is not lines else [])
        warehouse.build_unchecked()
    found, expected = warehouse.marts(), warehouse.marts_of_full_refresh()
    assert [] == [mart for mart in expected if found[mart] != expected[mart]]


def test_own_prices_and_terms(tmp_path: Path, dbt_artifacts: Path) -> None:
    """A new file of prices rebuilds what it changes; what was paid stands beside the list value."""
    conversation = Conversation("paying")
    for number, (day, model) in enumerate(
        (
            ("2026-03-10", "claude-sonnet-5"),
            ("2026-04-10", "claude-sonnet-5"),
            ("2026-04-20", "gpt-9"),
            ("2026-04-21", "unheard-of"),
        )
    ):
        conversation.answers(
            usage(1_000_000, 0), id=f"own-{number}", request="r", model=model, timestamp=f"{day}T12:00:00Z"
        )
    warehouse = MartsWarehouse(tmp_path, artifacts=dbt_artifacts)
    warehouse.change(conversation.lines)
    warehouse.build_unchecked()
    costs = "select cost_usd from marts.fct_api_calls order by created_at"
    months = (
        "select month_key::varchar, list_usd, paid_by_use_usd, subscription_usd, paid_usd, has_terms, "
        "unpriced_calls from marts.agg_monthly_cost order by 1"
    )
    assert [(2.0,), (2.0,), (None,), (None,)] == warehouse.rows(costs)
    assert [
        ("2026-03-01", 2.0, 2.0, 0.0, 2.0, False, 0),
        ("2026-04-01", 2.0, 2.0, 0.0, 2.0, False, 2),
    ] == warehouse.rows(months)
    file = tmp_path / "prices.toml"
    file.write_text(
        """
        prices = [
            {model = "claude-sonnet-5", from = 2026-04-01, input = 3, output = 9},
            {model = "gpt-9", input = 5, output = 9},
        ]
        discounts = [{share = 0.1}]
        subscriptions = [{name = "Team", usd_per_month = 30, from = 2026-04-16}]
        """
    )
    warehouse.change_project("terms", terms=read_terms(file, price_list()))
    warehouse.build()
    assert [(2.0,), (3.0,), (5.0,), (None,)] == warehouse.rows(costs)
    assert [
        ("2026-03-01", 2.0, 1.8, 0.0, 1.8, True, 0),
        ("2026-04-01", 8.0, 2.7, 15.0, 17.7, True, 1),
    ] == warehouse.rows(months)


def test_names_of_models_follow_one_rule(marts: MartsWarehouse) -> None:
    """A file of prices may spell a model as the logs do."""
    found = dict(marts.rows("select model, model_family from marts.dim_models"))
    assert {model: model_family(model) for model in found} == found
