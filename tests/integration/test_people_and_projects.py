"""What people did and what programs did, whose project it was, and what Claude Code itself counted.

All cases are conversations of one warehouse, built in two steps: the second is incremental.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson.objectid import ObjectId

from batch.transform.transform import BuildResult
from tests.support.marts import MARTS, MartsWarehouse

pytestmark = pytest.mark.integration

MORNING = datetime(2026, 3, 2, 10, tzinfo=UTC)
MODEL = "claude-opus-5"
CALL = {"input_tokens": 100_000, "output_tokens": 10_000}
CALL_USD = 0.75
"""100,000 tokens in at 5 dollars and 10,000 out at 25 dollars per million."""

FOLDERS = {
    # Two repositories that lie in one folder for worktrees have nothing to do with each other.
    "/home/ana/.claude-worktrees/shop/fix": "/home/ana/.claude-worktrees/shop",
    "/home/ana/.claude-worktrees/blog/fix": "/home/ana/.claude-worktrees/blog",
    "/Users/kim/git-worktrees/shop/fix/src": "/Users/kim/git-worktrees/shop",
    "/home/ana/worktrees/shop/fix": "/home/ana/worktrees/shop",
    "/home/ana/.cursor/worktrees/shop/a1b": "/home/ana/.cursor/worktrees/shop",
    "/home/ana/.codex/worktrees/4f2a/shop": "/home/ana/.codex/worktrees/shop",
    "/Users/kim/conductor/workspaces/shop/lisbon": "/Users/kim/conductor/workspaces/shop",
    # Within a repository they are its own.
    "/home/ana/code/shop/worktrees/fix": "/home/ana/code/shop",
    "/home/ana/code/shop/.wt/fix": "/home/ana/code/shop",
    "/home/ana/code/shop/.claude/worktree/fix": "/home/ana/code/shop",
    "/home/ana/code/shop/.claude/worktrees/fix": "/home/ana/code/shop",
    "/home/ana/code/shop-worktrees/fix": "/home/ana/code/shop",
    "C:\\Users\\kim\\git-worktrees\\shop\\fix": "C:/Users/kim/git-worktrees/shop",
    "/home/ana/worktrees": "/home/ana/worktrees",
    # An alias of its own, see `ALIASES`.
    "/srv/checkouts/17/src": "/home/ana/code/shop",
}
ALIASES = {"/srv/checkouts/17": "/home/ana/code/shop"}


class Logs:
    """Lines of conversations, each with an id of its own."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []

    def add(self, session: str, minute: float | None, kind: str, **fields: Any) -> None:
        """Add a line; one without a minute has no time, as `cost-state` has none."""
        number = len(self.documents)
        document = {
            "_id": ObjectId(f"{number:024x}"),
            "type": kind,
            "sessionId": session,
            "projectId": "project",
            "sourceFile": f"project/{session}.jsonl",
            "version": "2.1.330",
        }
        if minute is not None:
            document |= {"uuid": f"line-{number}", "timestamp": MORNING + timedelta(minutes=minute)}
        self.documents.append(document | fields)

    def say(self, session: str, minute: float, text: str, **fields: Any) -> None:
        """Add a user line."""
        self.add(session, minute, "user", message={"role": "user", "content": text}, **fields)

    def attach(self, session: str, minute: float, **attachment: Any) -> None:
        """Add an attachment."""
        self.add(session, minute, "attachment", attachment=attachment)

    def answer(self, session: str, minute: float, usage: dict[str, Any] | None = None) -> None:
        """Add an answer of the API."""
        name = f"{session}-{minute}"
        message = {
            "id": f"msg_{name}",
            "role": "assistant",
            "model": MODEL,
            "content": [],
            "stop_reason": "end_turn",
        }
        self.add(
            session, minute, "assistant", requestId=f"req_{name}", message=message | {"usage": usage or CALL}
        )

    def cost(self, session: str, start: float, end: float, **models: float) -> None:
        """Add Claude Code's own cost: a process from one minute to another, and dollars by model."""
        usage = {
            f"claude-{name.replace('_', '-')}": {"costUSD": cost, "inputTokens": 1, "outputTokens": 1}
            for name, cost in models.items()
        }
        self.add(
            session,
            None,
            "cost-state",
            totalCostUSD=sum(models.values()),
            startTime=int((MORNING + timedelta(minutes=start)).timestamp() * 1000),
            totalDuration=int((end - start) * 60_000),
            modelUsage=usage,
        )


def queued(logs: Logs) -> None:
    """Two prompts typed while the program worked, one of them a user line as well; and what is none."""
    logs.say("queued", 0, "Fix the cart")
    logs.attach("queued", 2, type="queued_command", commandMode="prompt", prompt="and the tests")
    blocks = [{"type": "text", "text": "then"}, {"type": "image"}, {"type": "text", "text": "commit"}]
    logs.attach("queued", 3, type="queued_command", commandMode="prompt", prompt=blocks)
    logs.say("queued", 3.1, "then\ncommit")
    logs.attach("queued", 4, type="queued_command", commandMode="task-notification", prompt="done")
    peer = {"kind": "peer"}
    logs.attach("queued", 5, type="queued_command", commandMode="prompt", prompt="from afar", origin=peer)
    logs.answer("queued", 6)


def automatic(logs: Logs) -> None:
    """A person at 0 and 21 minutes, programs in between."""
    logs.say("automatic", 0, "Watch the build")
    logs.answer("automatic", 1)
    logs.say("automatic", 5, "Continue.", promptSource="system")
    logs.say("automatic", 8, "Write the nightly report", promptSource="sdk")
    logs.add("automatic", 11, "system", subtype="scheduled_task_fire", content="nightly")
    logs.attach("automatic", 14, type="date_change", newDate="2026-03-03")
    logs.add("automatic", 17, "system", subtype="away_summary", content="The build is green.")
    logs.answer("automatic", 20)
    logs.say("automatic", 21, "From my phone", promptSource="sdk", origin={"kind": "human"})
    logs.answer("automatic", 22)


def costs(logs: Logs) -> None:
    """Three processes of one conversation: the second goes on from the first one's cost, the third not."""
    for minute in (1, 11, 21, 31):
        logs.answer("agreeing", minute)
    logs.cost("agreeing", 0, 5, opus_5=CALL_USD, haiku_4_5=0.02)
    logs.cost("agreeing", 5, 15, opus_5=2 * CALL_USD, haiku_4_5=0.02)
    logs.cost("agreeing", 20, 25, **{"opus_5[1m]": CALL_USD})
    logs.answer("differing", 1)
    logs.cost("differing", 0, 5, opus_5=3.0)
    # A form that nobody has seen is no reason to fail.
    logs.add("differing", None, "cost-state", modelUsage=[1], totalCostUSD="much")
    logs.add("differing", None, "cost-state", modelUsage={"claude-opus-5": {"costUSD": None}, "x": 3})


def news(logs: Logs) -> None:
    """What the next version of Claude Code may bring, and a tool of a server, which is nothing new."""
    logs.add("new", 0, "telepathy", version="2.2.0")
    logs.add("new", 1, "telepathy", version="2.3.0")
    logs.add("new", 2, "system", subtype="levitation", version="2.2.0")
    logs.add("new", 3, "attachment", attachment={"type": "scent"}, version="2.2.0")
    logs.answer(
        "new", 4, CALL | {"dream_tokens": 7, "server_tool_use": {"web_search_requests": 0, "oracles": 1}}
    )
    content = [
        {"type": "hologram"},
        {"type": "tool_use", "id": "t1", "name": "Teleport", "input": {}},
        {"type": "tool_use", "id": "t2", "name": "mcp__maps__route", "input": {}},
        {"type": "tool_use", "id": "t3", "name": "Workflow", "input": {}},
    ]
    logs.add("new", 5, "assistant", message={"role": "assistant", "content": content})


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, dbt_artifacts: Path
) -> tuple[MartsWarehouse, BuildResult]:
    """Return the marts of all cases, and what the second build of two said."""
    logs = Logs()
    for number, folder in enumerate(FOLDERS):
        logs.say(f"folder-{number}", 0, "Hello", cwd=folder)
    for case in (queued, automatic, costs, news):
        case(logs)
    warehouse = MartsWarehouse(tmp_path_factory.mktemp("people"), artifacts=dbt_artifacts)
    warehouse.use_aliases(ALIASES)
    warehouse.change(logs.documents[::2])
    warehouse.build_unchecked()
    warehouse.change(logs.documents[1::2])
    return warehouse, warehouse.build()


@pytest.fixture
def marts(built: tuple[MartsWarehouse, BuildResult]) -> MartsWarehouse:
    """Return the marts."""
    return built[0]


def test_incremental_is_a_full_refresh(marts: MartsWarehouse) -> None:
    """Prompts repeated across two loads, costs in three parts: every mart has the rows of a whole build."""
    found, expected = marts.marts(), marts.marts_of_full_refresh()
    assert [] == [mart for mart in MARTS if found[mart] != expected[mart]]


def test_queued_prompts_count_once(marts: MartsWarehouse) -> None:
    """Three things were asked: at first, and twice while the program was at work."""
    [counts] = marts.rows(
        "select prompt_count, turn_count from marts.dim_sessions where session_id = 'queued'"
    )
    assert (3, 1) == counts
    kinds = marts.rows(
        "select user_kind, content_length from marts.fct_messages "
        "where session_id = 'queued' and role = 'user' order by created_at"
    )
    # The user line counts for what it repeats.
    assert [
        ("prompt", len("Fix the cart")),
        ("prompt", len("and the tests")),
        ("prompt", len("then\ncommit")),
        ("automatic", len("from afar")),
    ] == kinds


def test_programs_neither_prompt_nor_work(marts: MartsWarehouse) -> None:
    """Of 22 minutes a person's work are the first and the last two; what came between bridges no pause."""
    [counts] = marts.rows(
        "select prompt_count, active_seconds, duration_seconds from marts.dim_sessions "
        "where session_id = 'automatic'"
    )
    assert (2, 180.0, 22 * 60.0) == counts
    kinds = marts.rows(
        "select user_kind, task_category is not null, turn_number from marts.fct_messages "
        "where session_id = 'automatic' and role = 'user' order by created_at"
    )
    assert [
        ("prompt", True, 1),
        ("automatic", False, 1),
        ("automatic", False, 1),
        ("prompt", True, 2),
    ] == kinds


def test_worktrees_belong_to_their_repository(marts: MartsWarehouse) -> None:
    """Each folder has the project of its own repository, and none that another repository has."""
    found = dict(
        marts.rows(
            "select working_folder, project_id from marts.dim_sessions where session_id like 'folder-%'"
        )
    )
    assert {folder.replace("\\", "/"): project for folder, project in FOLDERS.items()} == found


def test_another_alias_moves_the_conversation(marts: MartsWarehouse) -> None:
    """A changed setting counts for all that is there already; without it the folder is its own project."""
    query = "select project_id from marts.dim_sessions where working_folder = '/srv/checkouts/17/src'"
    marts.use_aliases({})
    marts.build_unchecked("+dim_sessions")
    assert [("/srv/checkouts/17/src",)] == marts.rows(query)
    marts.use_aliases(ALIASES)
    marts.build_unchecked()
    assert [("/home/ana/code/shop",)] == marts.rows(query)


def test_our_cost_beside_claude_codes_own(marts: MartsWarehouse) -> None:
    """Running costs add up over processes; calls after the last report and the program's own are apart."""
    rows = marts.rows(
        "select session_id, model_family, reported_cost_usd, cost_usd, difference_usd, agreement "
        "from marts.agg_cost_agreement order by all"
    )
    assert [
        ("agreeing", "claude-haiku-4-5", 0.02, 0, -0.02, "only_reported"),
        ("agreeing", "claude-opus-5", 3 * CALL_USD, 3 * CALL_USD, 0, "agrees"),
        ("differing", "claude-opus-5", 3.0, CALL_USD, CALL_USD - 3, "differs"),
    ] == rows


def test_unknown_kinds_are_named_with_their_version(marts: MartsWarehouse) -> None:
    """Each with its count and the version that wrote it first; nothing else is unknown."""
    rows = marts.rows(
        "select kind, name, occurrences, first_version from marts.agg_unknown_kinds order by all"
    )
    assert [
        ("block_type", "hologram", 1, "2.1.330"),
        ("line_subtype", "attachment/scent", 1, "2.2.0"),
        ("line_subtype", "system/levitation", 1, "2.2.0"),
        ("line_type", "telepathy", 2, "2.2.0"),
        ("tool", "Teleport", 1, "2.1.330"),
        ("usage_field", "dream_tokens", 1, "2.1.330"),
        ("usage_field", "server_tool_use.oracles", 1, "2.1.330"),
    ] == rows


def test_the_build_warns_and_succeeds(built: tuple[MartsWarehouse, BuildResult]) -> None:
    """Tools of no known sort are worth a look, and no reason to stop."""
    assert "assert_tools_are_sorted" in {node.name for node in built[1].warnings}
