"""Turns a call of a story into what the tool was asked, what it answered and what it changed."""

from dataclasses import dataclass
from typing import Any

from sample_logs.answers import Place, answer_of
from sample_logs.screenplay import Step

REFUSED = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file "
    "edit, the new_string was NOT written to the file). STOP what you are doing and wait for the user."
)


@dataclass(frozen=True)
class Call:
    """One tool call and its answer.

    Attributes:
        name: The tool.
        input: What it is asked.
        content: Content of the tool_result block.
        result: The line's toolUseResult.
        is_error: Whether it failed or was refused.
        added: Lines that it added to files.
        removed: Lines that it removed from files.
        usual_seconds: How long such a call takes, from and to.
    """

    name: str
    input: dict[str, Any]
    content: Any
    result: Any
    is_error: bool
    added: int
    removed: int
    usual_seconds: tuple[float, float]


def perform(step: Step, place: Place) -> Call:
    """Turn a step of a story into a call with its answer."""
    name, _, argument = step.text.partition(" ")
    answer = "\n".join(step.marked("="))
    asked, content, result, seconds = answer_of(name)(step, argument, answer, place)
    added = removed = 0
    is_error = False
    if step.has("x"):
        reason = step.one("x")
        content = f"{REFUSED}\n\nthe user said:\n{reason}" if reason else REFUSED
        result, is_error = "User rejected tool use", True
        seconds = (4, 40)
    elif step.has("!"):
        content = "\n".join(step.marked("!"))
        result, is_error = f"Error: {content}", True
        if name in {"Edit", "MultiEdit", "Write", "Read", "NotebookEdit"}:
            content = f"<tool_use_error>{content}</tool_use_error>"
    elif isinstance(result, dict):
        added, removed = _count_lines(result)
    return Call(name, asked, content, result, is_error, added, removed, seconds)


def _count_lines(result: dict[str, Any]) -> tuple[int, int]:
    lines = [line for hunk in result.get("structuredPatch", []) for line in hunk["lines"]]
    if result.get("type") == "create":
        return len(result["content"].splitlines()), 0
    return sum(line[0] == "+" for line in lines), sum(line[0] == "-" for line in lines)
