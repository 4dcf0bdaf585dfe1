"""One log file while it is written: lines that point to the line before them."""

import json
from typing import Any

from sample_logs.chance import Chance, StoryClock
from sample_logs.dialect import Dialect

_ZERO_SEARCHES = {"web_search_requests": 0, "web_fetch_requests": 0}


class Transcript:
    """The lines of one file.

    Args:
        path: Where the file will be, relative to the folder of projects.
        session: Id of the conversation.
        agent: Id of the sub-agent whose file it is, if it is one's.
    """

    def __init__(
        self,
        path: str,
        *,
        session: str,
        place: dict[str, str],
        dialect: Dialect,
        chance: Chance,
        clock: StoryClock,
        slug: str,
        agent: str | None = None,
    ) -> None:
        self.path = path
        self.session = session
        self.place = place
        self.dialect = dialect
        self.chance = chance
        self.clock = clock
        self.slug = slug
        self.agent = agent
        self.lines: list[dict[str, Any]] = []
        self.last_uuid: str | None = None
        self.prompt_id = chance.uuid()
        self.is_sidechain = agent is not None

    def text(self) -> str:
        """Return the file's content."""
        return "".join(
            json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in self.lines
        )

    def loose(self, kind: str, **fields: Any) -> None:
        """Add a line that belongs to the conversation but to no message."""
        self.lines.append({"type": kind, **fields})

    def say(
        self,
        kind: str,
        body: dict[str, Any],
        *,
        tail: dict[str, Any] | None = None,
        extra: dict[str, Any] | None = None,
        earlier_ms: int = 0,
    ) -> str:
        """Add a line that points to the one before it.

        Args:
            kind: Its type.
            body: Its content, `message` first.
            tail: What follows its time.
            extra: What goes before its content.
            earlier_ms: How long before now it says it was written.

        Returns:
            Its uuid.
        """
        uuid = self.chance.uuid()
        head: dict[str, Any] = {"parentUuid": self.last_uuid, "isSidechain": self.is_sidechain}
        if self.dialect.is_newest and kind == "user":
            head["promptId"] = self.prompt_id
        if self.agent and not self.dialect.is_first:
            head["agentId"] = self.agent
        self.lines.append(
            self.dialect.envelope(
                head={**head, **(extra or {})},
                place={
                    "cwd": self.place["cwd"],
                    "sessionId": self.session,
                    "version": self.dialect.version,
                    "gitBranch": self.place["branch"],
                },
                slug=self.slug,
                body={"type": kind, **body},
                tail={"uuid": uuid, "timestamp": self.clock.text(earlier_ms), **(tail or {})},
            )
        )
        self.last_uuid = uuid
        return uuid

    def attach(self, attachment: dict[str, Any]) -> None:
        """Add what newer versions hand the model beside the prompt."""
        self.say("attachment", {"attachment": attachment})

    def usage(
        self, *, tokens_in: int, output: int, write_5m: int, write_1h: int, read: int, speed: str
    ) -> dict[str, Any]:
        """Write an API call's usage as this version does."""
        split = {"ephemeral_5m_input_tokens": write_5m, "ephemeral_1h_input_tokens": write_1h}
        made: dict[str, Any] = {
            "input_tokens": tokens_in,
            "cache_creation_input_tokens": write_5m + write_1h,
            "cache_read_input_tokens": read,
        }
        if self.dialect.is_newest:
            made |= {
                "output_tokens": output,
                "server_tool_use": _ZERO_SEARCHES,
                "service_tier": "standard",
                "cache_creation": split,
                "inference_geo": "",
                "iterations": [],
                "speed": speed,
            }
            return made
        if not self.dialect.is_first:
            made["cache_creation"] = split
        return {**made, "output_tokens": output, "service_tier": "standard"}
