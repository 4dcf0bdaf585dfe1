"""Small logs written by hand: the lines of conversations, as Claude Code and programs like it write them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from bson.objectid import ObjectId

Document = dict[str, Any]

BEGIN = datetime(2026, 5, 4, 9, tzinfo=UTC)
_numbers = count(1)


def usage(tokens_in: int, tokens_out: int, **more: Any) -> dict[str, Any]:
    """Return what an answer used."""
    return {"input_tokens": tokens_in, "output_tokens": tokens_out, **more}


def call(tool: str, tool_id: str, **arguments: Any) -> dict[str, Any]:
    """Return the block of a tool call."""
    return {"type": "tool_use", "id": tool_id, "name": tool, "input": arguments}


def result(tool_id: str, *, is_error: bool = False) -> dict[str, Any]:
    """Return the block of a tool's result."""
    return {"type": "tool_result", "tool_use_id": tool_id, "content": "x", "is_error": is_error}


class Conversation:
    """Writes lines one second after the other; each gets a uuid, and the line before it as its parent.

    Attributes:
        session_id: Its name.
        lines: What was written.
    """

    def __init__(self, session_id: str, *, at: datetime = BEGIN, **fields: Any) -> None:
        self.session_id = session_id
        self.lines: list[Document] = []
        self._at = at
        self._fields = fields

    def write(self, kind: str, **fields: Any) -> Document:
        """Write a line; a field that is None is left out."""
        number = next(_numbers)
        self._at += timedelta(seconds=1)
        line = {
            "_id": ObjectId(f"{number:024x}"),
            "type": kind,
            "uuid": f"uuid-{number}",
            "parentUuid": self.lines[-1].get("uuid") if self.lines else None,
            "sessionId": self.session_id,
            "timestamp": self._at.isoformat(),
            "cwd": "/home/ana/shop",
            "projectId": "-home-ana-shop",
            "sourceFile": f"-home-ana-shop/{self.session_id}.jsonl",
            **self._fields,
            **fields,
        }
        self.lines.append({name: value for name, value in line.items() if value is not None})
        return self.lines[-1]

    def asks(self, text: str = "Go on", **fields: Any) -> Document:
        """Write what a person typed."""
        return self.write("user", message={"role": "user", "content": text}, **fields)

    def answers(
        self,
        used: dict[str, Any] | None,
        *blocks: dict[str, Any],
        id: str | None = "msg_X",  # noqa: A002 - the log's own name
        request: str | None = None,
        model: str = "claude-sonnet-5",
        **fields: Any,
    ) -> Document:
        """Write a line of an answer."""
        message = {"role": "assistant", "model": model, "content": list(blocks), "usage": used, "id": id}
        return self.write(
            "assistant",
            message={name: value for name, value in message.items() if value is not None},
            requestId=request,
            **fields,
        )

    def returns(self, *blocks: dict[str, Any], report: object = None, **fields: Any) -> Document:
        """Write the results of tools, with what the program reports beside them."""
        return self.write(
            "user", message={"role": "user", "content": list(blocks)}, toolUseResult=report, **fields
        )


def lines_of(*conversations: Conversation) -> Iterable[Document]:
    """Return all lines of some conversations."""
    return [line for conversation in conversations for line in conversation.lines]


def patch(path: str, added: int, removed: int) -> dict[str, Any]:
    """Return what the program reports of a changed file."""
    lines = ["-old"] * removed + ["+new"] * added
    return {"filePath": path, "structuredPatch": [{"lines": lines}]}
