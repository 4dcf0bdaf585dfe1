"""The sample logs that ship with the project: repeatable, true to the format, and counted twice."""

import filecmp
import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import DATA, ROOT
from tests.tools.count_sample import count, read_lines

SAMPLE = ROOT / "batch" / "sample" / "projects"


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with logs made again in `projects` and the counts of their maker in `truth.json`."""
    folder = tmp_path_factory.mktemp("sample")
    generator = [sys.executable, ROOT / "tests" / "tools" / "make_sample_logs.py"]
    subprocess.run(
        [*generator, "--output", folder / "projects", "--truth", folder / "truth.json"],
        check=True,
        cwd=folder,
    )
    return folder


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_making_the_sample_again_gives_the_same_bytes(regenerated: Path) -> None:
    """The generator knows no clock and no chance: the committed files are what it writes today."""
    projects = regenerated / "projects"
    assert _files(SAMPLE) == _files(projects)
    _, different, unreadable = filecmp.cmpfiles(SAMPLE, projects, _files(SAMPLE), shallow=False)
    assert ([], []) == (different, unreadable)


def test_the_generator_and_the_independent_count_agree(regenerated: Path) -> None:
    """What the generator knows that it wrote is what the counter finds in the files."""
    truth = json.loads((regenerated / "truth.json").read_text(encoding="utf-8"))
    counted = count(SAMPLE)
    for measure in ("api_calls", "progress_api_calls"):
        for model in counted[measure].values():
            del model["cost_usd"]
    assert truth == {name: counted[name] for name in truth}


def test_the_expectations_are_up_to_date() -> None:
    """`tests/data/sample_expectations.json` holds what the counter finds in the sample."""
    expected = json.loads((DATA / "sample_expectations.json").read_text(encoding="utf-8"))
    assert expected == count(SAMPLE)


def test_one_conversation_counted_by_hand(tmp_path: Path) -> None:
    """Thirteen lines, summed by a person: six assistant lines are five calls, priced as Haiku 4.5."""
    name = "bed79d31-01a9-4187-a0e1-83cc5d41fe72.jsonl"
    (tmp_path / "C--stocktake").mkdir()
    shutil.copy(SAMPLE / "C--Users-kim-source-stocktake" / name, tmp_path / "C--stocktake" / name)
    expected: dict[str, Any] = {
        "lines": 13,
        "lines_by_type": {"assistant": 6, "file-history-snapshot": 1, "summary": 1, "user": 5},
        "copied_lines": 0,
        "projects": 1,
        "lines_by_project": {"C--stocktake": 13},
        "conversations": 1,
        "prompts": 1,
        "api_calls": {
            "claude-haiku-4-5-20251001": {
                "calls": 5,
                "input": 3 + 9 + 7 + 4 + 8,
                "output": 173 + 160 + 447 + 171 + 92,
                "cache_write_5m": 7113 + 688 + 647 + 1110 + 312,
                "cache_write_1h": 0,
                "cache_read": 10788 + 17901 + 18589 + 19236 + 20346,
                "cost_usd": "0.02626950",
            }
        },
        "cost_usd": "0.02626950",
        "progress_api_calls": {},
        "tools": {
            "Bash": {"calls": 2, "results": 2, "errors": 1},
            "Edit": {"calls": 1, "results": 1, "errors": 0},
            "Read": {"calls": 1, "results": 1, "errors": 0},
        },
        "lines_added": 2,
        "lines_removed": 1,
        "notebook_lines": 0,
    }
    assert expected == count(tmp_path)


def test_the_counter_equals_the_reference_on_real_logs(shared_logs: Path) -> None:
    """Tokens, cost, tools, lines and prompts of real logs come out as other programs counted them.

    The reference knows no cells of notebooks.
    """
    reference = shared_logs.parents[1] / "reference"
    totals = json.loads((reference / "ccusage-session.json").read_text(encoding="utf-8"))["totals"]
    metrics = json.loads((reference / "logs-metrics.json").read_text(encoding="utf-8"))
    counted = count(shared_logs)
    models = counted["api_calls"].values()
    writes = sum(model["cache_write_5m"] + model["cache_write_1h"] for model in models)
    expected = {
        "input": totals["inputTokens"],
        "output": totals["outputTokens"],
        "cache_read": totals["cacheReadTokens"],
    }
    assert expected == {kind: sum(model[kind] for model in models) for kind in expected}
    assert totals["cacheCreationTokens"] == writes
    assert pytest.approx(float(counted["cost_usd"]), abs=0.005) == totals["totalCost"]
    assert metrics["tool"] == counted["tools"]
    assert (metrics["lines_added"], metrics["lines_removed"]) == (
        counted["lines_added"] - counted["notebook_lines"],
        counted["lines_removed"],
    )
    assert metrics["user_line_classes"]["prompt"] == counted["prompts"]


NAMED_LINES = list(read_lines(SAMPLE))
LINES = [line for _, line in NAMED_LINES]


def _message(line: dict[str, Any]) -> dict[str, Any]:
    return line.get("message") or {}


def _usage(line: dict[str, Any]) -> dict[str, Any]:
    usage: dict[str, Any] = _message(line).get("usage", {})
    return usage


def _blocks(kind: str) -> list[dict[str, Any]]:
    contents = [_message(line).get("content") for line in LINES]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return [block for block in blocks if block["type"] == kind]


def _said(text: str) -> list[dict[str, Any]]:
    return [line for line in LINES if text in json.dumps(_message(line), ensure_ascii=False)]


def _steps_back() -> list[tuple[str, str]]:
    timed = [(name, line["timestamp"]) for name, line in NAMED_LINES if "timestamp" in line]
    return [later for earlier, later in pairwise(timed) if earlier[0] == later[0] and later[1] < earlier[1]]


SHAPES = {
    "thinking": _blocks("thinking"),
    "images": _blocks("image"),
    "failed tools": [block for block in _blocks("tool_result") if block.get("is_error")],
    "rejections": _said("doesn't want to proceed"),
    "interruptions": _said("[Request interrupted by user for tool use]"),
    "slash commands": _said("<command-name>/review</command-name>"),
    "local command output": _said("<local-command-stdout>"),
    "shell input": _said("<bash-input>"),
    "task notifications": [line for line in LINES if (line.get("origin") or {}).get("kind")],
    "compact summaries": [line for line in LINES if line.get("isCompactSummary")],
    "compact failpoints": [line for line in LINES if line.get("subtype") == "compact_boundary"],
    "meta lines": [line for line in LINES if line.get("isMeta")],
    "synthetic answers": [line for line in LINES if _message(line).get("model") == "<synthetic>"],
    "fast mode": [line for line in LINES if _usage(line).get("speed") == "fast"],
    "answers without a stop reason": [
        line for line in LINES if line["type"] == "assistant" and line["message"]["stop_reason"] is None
    ],
    "200,000 tokens": [each for each in LINES if _usage(each).get("cache_read_input_tokens", 0) > 200_000],
    "inner sidechains": [each for each in LINES if each.get("isSidechain") and each["version"] == "1.0.128"],
    "files of sub-agents": [name for name, _ in NAMED_LINES if "/subagents/agent-" in name],
    "forks that name their origin": [line for line in LINES if line.get("forkedFrom")],
    "pull requests": [line for line in LINES if line["type"] == "pr-link"],
    "git operations": [line for line in LINES if "gitOperation" in json.dumps(line)],
    "skills": [line for line in LINES if line.get("attributionSkill")],
    "MCP servers": [line for line in LINES if line.get("attributionMcpServer")],
    "string results": [line for line in LINES if isinstance(line.get("toolUseResult"), str)],
    "array results": [line for line in LINES if isinstance(line.get("toolUseResult"), list)],
    "Windows paths": [line for line in LINES if str(line.get("cwd", "")).startswith("C:\\")],
    "worktrees": [line for line in LINES if "/.claude/worktrees/" in str(line.get("cwd"))],
    "unknown line types": [line for line in LINES if line["type"] == "canvas-snapshot"],
    "lines without a time": [line for line in LINES if "timestamp" not in line],
    "times out of order": _steps_back(),
    "Japanese": _said("グルテン不使用"),
    "Arabic": _said("توصيل مجاني"),
    "emoji": _said("🍱"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_sample_shows_every_shape(shape: str) -> None:
    """Whatever real logs hold, a newcomer's first import holds at least once."""
    assert SHAPES[shape]


def test_tools_that_wait_for_people_and_one_that_was_interrupted() -> None:
    """Plans and questions, approved and refused, are part of the sample; one command never came back."""
    tools = count(SAMPLE)["tools"]
    assert tools["AskUserQuestion"]["calls"] > 0
    assert 0 < tools["ExitPlanMode"]["errors"] < tools["ExitPlanMode"]["calls"]
    assert {"Task", "Agent", "Skill", "WebFetch", "MultiEdit", "NotebookEdit"} <= set(tools)
    assert tools["Bash"]["calls"] == tools["Bash"]["results"] + 1
