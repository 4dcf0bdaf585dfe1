"""Counts a folder of Claude Code logs, independently of everything else in this project.

Reads the JSON lines with the standard library only; shares no code with the generator of the sample, with
the stream or with the dbt models, so that agreement between them means something. Its rules:

- A line with a `uuid` counts once; the same uuid again (a fork, a resume) is a copied line.
- An API call is one `message.id` + `requestId`; of its lines the one with the largest usage counts.
  `<synthetic>` is no call. Calls that appear only inside `progress` lines are counted apart.
- Cache writes without a split are 5-minute writes. Fast mode multiplies. Where a model has such a tier, a
  request of more than 200,000 tokens of input pays twice for all input, and one and a half times for output.
- Lines added and removed are the `+` and `-` lines of `structuredPatch`; a created file adds its lines, an
  edit of a notebook those of the cell it writes (`notebook_lines`, which are among those added).
- A prompt is what a person typed: no tool result, command, notification, meta line, interrupt or summary.

    python tests/tools/count_sample.py                          # writes tests/data/sample_expectations.json
    python tests/tools/count_sample.py DIR                      # prints the counts of any folder of projects
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_SAMPLE = _HERE.parents[1] / "batch" / "sample" / "projects"
_KINDS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")

# Dollars per million tokens: input, output, 5-minute write, 1-hour write, read. The first name that a
# model's id begins with, counts.
_PRICES = {
    "claude-opus-5": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-8": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-7": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-6": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-5": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4": ("15", "75", "18.75", "30", "1.5"),
    "claude-sonnet-5": ("2", "10", "2.5", "4", "0.2"),
    "claude-sonnet-4": ("3", "15", "3.75", "6", "0.3"),
    "claude-haiku-4-5": ("1", "5", "1.25", "2", "0.1"),
}
_FAST = {"claude-opus-5": 2, "claude-opus-4-8": 2, "claude-opus-4-7": 6, "claude-opus-4-6": 6}
_LONG_CONTEXT = ("claude-sonnet-4-5", "claude-sonnet-4-2")
_LONG_CONTEXT_TOKENS = 200_000
_NOT_TYPED = ("<command-", "<local-command-", "<bash-", "<task-notification>", "[Request interrupted")


def read_lines(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read every JSON object with the path of its file, oldest start of a file first."""
    files = []
    for path in sorted(folder.rglob("*.jsonl")):
        objects = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        own = [each for each in objects if isinstance(each, dict)]
        files.append((_first_own_instant(own), path.relative_to(folder).as_posix(), own))
    for _, name, own in sorted(files, key=lambda file: file[:2]):
        for line in own:
            yield name, line


def _first_own_instant(lines: list[dict[str, Any]]) -> str:
    return next(
        (line["timestamp"] for line in lines if line.get("timestamp") and not line.get("forkedFrom")), ""
    )


def count(folder: Path) -> dict[str, Any]:
    """Count one folder of projects."""
    types: Counter[str] = Counter()
    projects: Counter[str] = Counter()
    sessions: set[str] = set()
    seen: set[str] = set()
    calls: dict[tuple[str, str], dict[str, Any]] = {}
    progress: dict[tuple[str, str], dict[str, Any]] = {}
    tools = _Tools()
    copied = prompts = 0
    for name, line in read_lines(folder):
        types[line["type"]] += 1
        projects[name.split("/")[0]] += 1
        if line.get("sessionId"):
            sessions.add(line["sessionId"])
        if line["type"] == "assistant":
            _keep_largest(calls, line)
        if line["type"] == "progress" and isinstance(line["data"].get("message"), dict):
            _keep_largest(progress, line["data"]["message"])
        if line.get("uuid") in seen:
            copied += 1
            continue
        if "uuid" in line:
            seen.add(line["uuid"])
        tools.add(line)
        prompts += _is_prompt(line)
    only_progress = {key: call for key, call in progress.items() if key not in calls}
    models = _by_model(calls)
    return {
        "lines": sum(types.values()),
        "lines_by_type": dict(sorted(types.items())),
        "copied_lines": copied,
        "projects": len(projects),
        "lines_by_project": dict(sorted(projects.items())),
        "conversations": len(sessions),
        "prompts": prompts,
        "api_calls": models,
        "cost_usd": f"{sum(Decimal(model['cost_usd']) for model in models.values()):.8f}",
        "progress_api_calls": _by_model(only_progress),
        "tools": tools.counts(),
        "lines_added": tools.lines_added,
        "lines_removed": tools.lines_removed,
        "notebook_lines": tools.notebook_lines,
    }


def _keep_largest(calls: dict[tuple[str, str], dict[str, Any]], line: dict[str, Any]) -> None:
    message = line["message"]
    if "usage" not in message or message["model"] == "<synthetic>":
        return
    usage = message["usage"]
    split = usage.get("cache_creation")
    writes = usage.get("cache_creation_input_tokens", 0)
    call = {
        "model": message["model"],
        "input": usage.get("input_tokens", 0),
        "output": usage.get("output_tokens", 0),
        "cache_write_5m": split["ephemeral_5m_input_tokens"] if split else writes,
        "cache_write_1h": split["ephemeral_1h_input_tokens"] if split else 0,
        "cache_read": usage.get("cache_read_input_tokens", 0),
        "is_fast": usage.get("speed") == "fast",
    }
    key = (message["id"], line.get("requestId", ""))
    if key not in calls or _size(call) > _size(calls[key]):
        calls[key] = call


def _size(call: dict[str, Any]) -> int:
    return sum(call[kind] for kind in _KINDS)


def _by_model(calls: dict[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    models: dict[str, Counter[str]] = defaultdict(Counter)
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for call in calls.values():
        models[call["model"]].update(calls=1, **{kind: call[kind] for kind in _KINDS})
        costs[call["model"]] += _cost(call)
    return {name: {**models[name], "cost_usd": f"{costs[name]:.8f}"} for name in sorted(models)}


def _cost(call: dict[str, Any]) -> Decimal:
    family = next(name for name in _PRICES if call["model"].startswith(name))
    costs = {kind: Decimal(price) * call[kind] for price, kind in zip(_PRICES[family], _KINDS, strict=True)}
    sent = _size(call) - call["output"]
    if call["model"].startswith(_LONG_CONTEXT) and sent > _LONG_CONTEXT_TOKENS:
        costs = {kind: cost * (Decimal("1.5") if kind == "output" else 2) for kind, cost in costs.items()}
    million = sum(costs.values(), Decimal())
    if call["is_fast"]:
        million *= _FAST[family]
    return million / 1_000_000


class _Tools:
    """Calls, results and errors by tool, and lines of files."""

    def __init__(self) -> None:
        self.lines_added = 0
        self.lines_removed = 0
        self.notebook_lines = 0
        self._names: dict[str, str] = {}
        self._is_error: dict[str, bool] = {}

    def add(self, line: dict[str, Any]) -> None:
        """Count what one line holds."""
        message = line.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else []:
            if block["type"] == "tool_use":
                self._names.setdefault(block["id"], block["name"])
            if block["type"] == "tool_result":
                self._is_error.setdefault(block["tool_use_id"], block.get("is_error") is True)
        result = line.get("toolUseResult")
        if isinstance(result, dict):
            self._add_file_lines(result)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the counts by tool; an answer may stand before its call."""
        counts = {name: {"calls": 0, "results": 0, "errors": 0} for name in sorted(set(self._names.values()))}
        for call_id, name in self._names.items():
            counts[name]["calls"] += 1
            counts[name]["results"] += call_id in self._is_error
            counts[name]["errors"] += self._is_error.get(call_id, False)
        return counts

    def _add_file_lines(self, result: dict[str, Any]) -> None:
        if result.get("type") == "create":
            self.lines_added += len(result["content"].splitlines())
        if "new_source" in result and result.get("edit_mode") != "delete" and not result.get("error"):
            cell = len(result["new_source"].splitlines())
            self.lines_added += cell
            self.notebook_lines += cell
        for hunk in result.get("structuredPatch") or []:
            self.lines_added += sum(each.startswith("+") for each in hunk["lines"])
            self.lines_removed += sum(each.startswith("-") for each in hunk["lines"])


def _is_prompt(line: dict[str, Any]) -> bool:
    if (
        line["type"] != "user"
        or line.get("isSidechain")
        or line.get("isMeta")
        or line.get("isCompactSummary")
    ):
        return False
    content = line["message"]["content"]
    if isinstance(content, list):
        if any(block["type"] == "tool_result" for block in content):
            return False
        content = "\n".join(block.get("text", "") for block in content)
    return not content.lstrip().startswith(_NOT_TYPED)


def main() -> None:
    """Write the expectations of the sample, or print the counts of another folder."""
    if sys.argv[1:]:
        print(json.dumps(count(Path(sys.argv[1])), indent=2))  # noqa: T201 - that is the command's output
    else:
        text = json.dumps(count(_SAMPLE), indent=2) + "\n"
        (_HERE.parent / "data" / "sample_expectations.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
