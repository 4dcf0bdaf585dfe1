"""Generated oddities thrown at whole builds: always publishable, always equal to a simple count in Python."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from bson.objectid import ObjectId
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from batch.validate.checkpoint import Gate
from batch.validate.validate import validate
from tests.support.marts import MartsWarehouse

pytestmark = pytest.mark.integration

EXAMPLES = int(os.environ.get("DBT_ODDITIES", "1"))
"""A build takes seconds. No failure is made simpler."""
KINDS = ("input_tokens", "output_tokens", "cache_read_input_tokens")
MOST = 10**10

# Of everything a few values, so that they repeat: the constant, empty, missing and wrong meet themselves.
ids = st.sampled_from(["a", "b", "", None, 7, "call_0", "msg_0123456789abcdefghij"])
texts = st.sampled_from(["a", "b", "", 'it\'s -- "odd" {{ x }} \\ | é', None])
clocks = st.sampled_from(
    [
        "2026-03-01T10:00:00Z",
        "2026-03-01T10:00:01.5Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1970-01-01T00:00:05Z",
        "2126-01-01T00:00:00Z",
        1_772_359_200,
        1_772_359_200_000,
        None,
    ]
)
counts = st.sampled_from([0, 1, 5, 10_000, MOST, MOST + 1, -3, "12", "many", None, True, [], {}])
tools = st.sampled_from(["Bash", "Edit", "Read", "NotebookEdit", "mcp__a__b", "mcp____", "", None, 5])
paths = st.sampled_from(["/a.py", "C:\\a.py", "", None, 3])
calls = st.fixed_dictionaries(
    {
        "type": st.just("tool_use"),
        "id": ids,
        "name": tools,
        "input": st.fixed_dictionaries({"file_path": paths}),
    }
)
results = st.fixed_dictionaries(
    {
        "type": st.just("tool_result"),
        "tool_use_id": ids,
        "is_error": st.sampled_from([True, False, None, "yes"]),
    }
)
blocks = st.lists(
    st.one_of(calls, results, st.sampled_from([None, 3, "x", {"type": "text", "text": "x"}, {}])), max_size=3
)
reports = st.one_of(
    st.none(),
    st.sampled_from(["Error", [], 7]),
    st.fixed_dictionaries({"filePath": paths, "structuredPatch": st.just([{"lines": ["+a", "-b", " c"]}])}),
    st.fixed_dictionaries({"searchCount": counts, "type": st.sampled_from(["create", 1]), "content": texts}),
)
messages = st.one_of(
    st.none(),
    texts,
    blocks,
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "robot", None]),
            "id": ids,
            "model": st.sampled_from(["claude-opus-5", "claude-opus-5[1m]", "gpt-9", "<synthetic>", None, 5]),
            "content": st.one_of(blocks, texts),
            "usage": st.one_of(
                st.fixed_dictionaries(dict.fromkeys(KINDS, counts)), st.sampled_from([None, "x", [1]])
            ),
        }
    ),
)
lines = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["user", "assistant", "system", "progress", "tool_use", "tool_result", "odd"]
        ),
        "uuid": st.sampled_from(["1", "2", None, *"abcdefghij"]),
        "sessionId": st.sampled_from(["s|1", "s", "1", None]),
        "projectId": st.sampled_from(["p", "p|s", None]),
        "sourceFile": st.sampled_from(["p/f.jsonl", "f", None]),
        "timestamp": clocks,
        "message": messages,
        "requestId": ids,
        "isSidechain": st.sampled_from([True, False, None, "no"]),
        "agentId": st.sampled_from(["x", None, 1]),
        "cwd": st.sampled_from(["/", "/a", "/a|b", None, 9]),
        "gitBranch": texts,
        "parentUuid": st.sampled_from(["1", "a", None]),
        "toolUseResult": reports,
        "forkedFrom": st.sampled_from([None, None, {"sessionId": "s", "messageUuid": "1"}, "s", {}]),
    }
)


@dataclass
class Count:
    """What a reader of the documents would count, with no more than a loop.

    Only what no identity decides: documents with a uuid of their own, in a conversation of their own.
    """

    messages: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))


def count_of(value: object) -> int:
    """Return a count as the logs write it; 0 if it is none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST else 0


def simple_count(documents: list[dict[str, Any]]) -> Count:
    """Count messages, and the tokens of answers that no other line can share."""
    found = Count()
    for document in documents:
        message = document.get("message")
        role = message.get("role") if isinstance(message, dict) else None
        role = role if isinstance(role, str) else document["type"]
        if message is None or role not in {"user", "assistant"} or document["type"] == "progress":
            continue
        found.messages += 1
        if role == "assistant" and isinstance(message, dict) and message.get("model") != "<synthetic>":
            usage = message.get("usage")
            for kind in KINDS:
                found.tokens[kind] += count_of(usage.get(kind)) if isinstance(usage, dict) else 0
    return found


def apart(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the same lines with uuids, conversations and requests of their own: then every line counts."""
    return [
        document
        | {
            "uuid": f"own-{number}",
            "sessionId": f"own-{number}",
            "requestId": f"own-{number}",
            "forkedFrom": None,
        }
        for number, document in enumerate(drawn)
    ]


def stored(drawn: list[dict[str, Any]], first: int) -> list[dict[str, Any]]:
    """Return documents without the fields that are None, each with an `_id`."""
    return [
        {"_id": ObjectId(f"{number:024x}")}
        | {name: value for name, value in document.items() if value is not None}
        for number, document in enumerate(drawn, start=first)
    ]


@settings(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(drawn=st.lists(lines, min_size=60, max_size=90))
def test_oddities_are_counted_and_block_nothing(
    drawn: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory, dbt_artifacts: Path
) -> None:
    """The same lines twice: with ids that repeat, and with none that do, which can be counted simply."""
    # The first example is the plainest one, of which nothing is odd.
    assume(any(line != drawn[0] for line in drawn))
    warehouse = MartsWarehouse(
        tmp_path_factory.mktemp("odd"), artifacts=dbt_artifacts, timezone="America/New_York"
    )
    tangled, own = stored(drawn, 1), stored(apart(drawn), 1001)
    warehouse.change(tangled[::2] + own)
    warehouse.build_unchecked()
    expected = simple_count(own)
    mine = "session_id like 'own-%'"
    assert [(expected.messages,)] == warehouse.rows(f"select count(*) from marts.fct_messages where {mine}")
    [tokens] = warehouse.rows(
        "select coalesce(sum(input_tokens), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint, "
        f"coalesce(sum(cache_read_tokens), 0)::bigint from marts.fct_api_calls where {mine}"
    )
    assert expected.tokens == dict(zip(KINDS, tokens, strict=True))
    # Nothing is lost where ids repeat: each line is there, once or as a copy.
    warehouse.change(tangled[1::2])
    warehouse.build()
    assert [(len(tangled) + len(own),)] == warehouse.rows("select count(*) from staging.base_lines")
    assert [(len(tangled) + len(own),)] == warehouse.rows(
        "select (select count(*) from staging.stg_conversations) "
        "+ (select count(*) from staging.base_line_copies where is_copy)"
    )
    gate = Gate(warehouse.path.parent / "gx", warehouse.path, 2, "1GB")
    assert () == validate(warehouse.warehouse, gate, run_id="odd", timeout_seconds=20).failures
    found, whole = warehouse.marts(), warehouse.marts_of_full_refresh()
    assert [] == [mart for mart in whole if found[mart] != whole[mart]]
