"""What the generator knows about the logs that it wrote; the independent count must come to the same."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from sample_logs.tokens import Usage
from sample_logs.tools import Call


@dataclass
class Truth:
    """Counts kept while the stories are played, before anything is written as JSON."""

    lines: int = 0
    copied_lines: int = 0
    prompts: int = 0
    conversations: set[str] = field(default_factory=set)
    calls: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    progress_calls: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    tools: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    lines_added: int = 0
    lines_removed: int = 0

    def count_api_call(self, model: str, usage: Usage) -> None:
        """Count one API call, however many lines it is written in."""
        self.calls[model].update(
            calls=1,
            input=usage.input,
            output=usage.output,
            cache_write_5m=usage.write_5m,
            cache_write_1h=usage.write_1h,
            cache_read=usage.read,
        )

    def count_tool_call(self, call: Call, *, is_answered: bool, tells_result: bool) -> None:
        """Count one tool call and what came of it; lines of files only where the log tells them."""
        self.tools[call.name].update(
            calls=1, results=int(is_answered), errors=int(is_answered and call.is_error)
        )
        if is_answered and tells_result and not call.is_error:
            self.lines_added += call.added + _cell_lines(call)
            self.lines_removed += call.removed

    @property
    def tool_calls(self) -> int:
        """Tool calls so far."""
        return sum(counts["calls"] for counts in self.tools.values())

    def count_progress(self, agent: "Truth") -> None:
        """Count the API calls of a sub-agent that only its caller's progress lines show."""
        for model, counts in agent.calls.items():
            self.progress_calls[model].update(counts)

    def as_json(self) -> dict[str, Any]:
        """Return the counts under the names that the independent count uses."""
        return {
            "lines": self.lines,
            "copied_lines": self.copied_lines,
            "conversations": len(self.conversations),
            "prompts": self.prompts,
            "api_calls": {model: dict(counts) for model, counts in sorted(self.calls.items())},
            "progress_api_calls": {
                model: dict(counts) for model, counts in sorted(self.progress_calls.items())
            },
            "tools": {name: dict(counts) for name, counts in sorted(self.tools.items())},
            "lines_added": self.lines_added,
            "lines_removed": self.lines_removed,
        }


def _cell_lines(call: Call) -> int:
    return len(call.result["new_source"].splitlines()) if call.name == "NotebookEdit" else 0
