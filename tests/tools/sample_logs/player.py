"""Plays a story: every step becomes the lines that Claude Code would have written."""

import json
from typing import Any

from sample_logs import directives, margins
from sample_logs.answers import Place
from sample_logs.dialect import MODELS
from sample_logs.screenplay import Step
from sample_logs.tokens import Meter, Usage
from sample_logs.tools import Call, perform
from sample_logs.transcript import Transcript
from sample_logs.truth import Truth


class Player:
    """Plays one conversation into its file, and its sub-agents into theirs.

    Args:
        transcript: Where its lines go.
        heading: What the story's heading says.
        truth: Counts what is played.
        files: Gets the file of every sub-agent.
    """

    def __init__(
        self, transcript: Transcript, heading: dict[str, str], truth: Truth, files: list[Transcript]
    ) -> None:
        self.log = transcript
        self.heading = heading
        self.truth = truth
        self.files = files
        self.chance = transcript.chance
        self.clock = transcript.clock
        self.model = MODELS[heading["model"]]
        self.speed = "standard"
        self.skill: str | None = None
        self.mark = 0
        self.started_at = self.clock.now
        is_agent = transcript.agent is not None
        default_ttl = "5m" if is_agent or not transcript.dialect.is_newest else "1h"
        self.meter = Meter(
            self.chance,
            context=int(heading.get("context", "17400")),
            lifetime=default_ttl if is_agent else heading.get("ttl", default_ttl),
            scale=float(heading.get("scale", "24")),
        )
        self.last_call: tuple[dict[str, Any], str] | None = None

    @property
    def place(self) -> Place:
        """Where the conversation works now."""
        return Place(self.log.place["cwd"])

    def play(self, steps: list[Step]) -> None:
        """Play steps in order; thinking, text and calls that stand together are one response."""
        response: list[Step] = []
        for step in steps:
            opens = step.kind in {"think", "say", "call"}
            if response and not (
                step.kind == "parallel" or (opens and response[-1].kind in {"think", "say"})
            ):
                self._respond(response)
                response = []
            if opens or step.kind == "parallel":
                response.append(step)
            elif step.kind == "prompt":
                self.prompt(step.whole)
            else:
                directives.play(self, step)
        if response:
            self._respond(response)

    def prompt(self, text: str, *, content: list[dict[str, Any]] | None = None) -> None:
        """Let the person ask something."""
        self.clock.wait(self.chance.between(45, 420))
        if self.chance.happens(0.15):
            self.clock.wait(self.chance.between(300, 1500))
        self.log.prompt_id = self.chance.uuid()
        dialect = self.log.dialect
        tail: dict[str, Any] = {}
        if dialect.is_newest:
            tail["permissionMode"] = self.heading.get("permission", "default")
        elif dialect.is_second:
            tail |= {"thinkingMetadata": {"level": "none", "disabled": True, "triggers": []}, "todos": []}
        uuid = self.log.say("user", {"message": {"role": "user", "content": content or text}}, tail=tail)
        if not dialect.is_first:
            snapshot = {"messageId": uuid, "trackedFileBackups": {}, "timestamp": self.clock.text()}
            self.log.loose("file-history-snapshot", messageId=uuid, snapshot=snapshot, isSnapshotUpdate=False)
        self.heading["last"] = text
        self.started_at = self.clock.now
        self.meter.see(text)
        self.truth.prompts += 1

    def _respond(self, response: list[Step]) -> None:
        blocks: list[dict[str, Any]] = []
        calls: list[tuple[Step, Call, str]] = []
        for step in response:
            if step.kind == "think":
                signature = self.chance.signature()
                blocks.append({"type": "thinking", "thinking": step.whole, "signature": signature})
            elif step.kind == "say":
                blocks.append({"type": "text", "text": step.whole})
            else:
                call = perform(step, self.place)
                call_id = self.chance.token("toolu_01", 22)
                block = {"type": "tool_use", "id": call_id, "name": call.name, "input": call.input}
                if self.log.dialect.is_newest:
                    block["caller"] = {"type": "direct"}
                blocks.append(block)
                calls.append((step, call, call_id))
        assistant_uuids = self._write_response(blocks)
        for number, (step, call, call_id) in enumerate(calls):
            self._answer(step, call, call_id, assistant_uuids[call_id], is_parallel=number > 0)

    def _write_response(self, blocks: list[dict[str, Any]]) -> dict[str, str]:
        dialect = self.log.dialect
        output = 40 + sum(int(len(json.dumps(block)) / 1.3) for block in blocks)
        self.clock.wait(self.chance.between(1.4, 4) + output / 70)
        usage = self.meter.call(self.clock.now, output)
        if dialect.never_tells_why_it_stopped:
            usage = Usage(usage.input, self.chance.whole(1, 8), usage.write_5m, usage.write_1h, usage.read)
        self.truth.count_api_call(self.model, usage)
        stop = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
        message_id, request = self.chance.token("msg_01", 22), self.chance.token("req_011C", 20)
        uuids: dict[str, str] = {}
        for number, block in enumerate(blocks, start=1):
            is_last = number == len(blocks)
            is_partial = not dialect.is_newest and not is_last and not dialect.never_tells_why_it_stopped
            message: dict[str, Any] = {
                "model": self.model,
                "id": message_id,
                "type": "message",
                "role": "assistant",
                "content": [block],
                "stop_reason": None if is_partial or dialect.never_tells_why_it_stopped else stop,
                "stop_sequence": None,
            }
            if dialect.is_newest:
                message["stop_details"] = None
            message["usage"] = self.log.usage(
                tokens_in=usage.input,
                output=1 + number if is_partial else usage.output,
                write_5m=usage.write_5m,
                write_1h=usage.write_1h,
                read=usage.read,
                speed=self.speed,
            )
            body: dict[str, Any] = {"message": message, "requestId": request}
            if dialect.is_newest:
                body |= _attribution(block, self.skill)
            uuid = self.log.say("assistant", body)
            self.last_call = (message, request)
            if block["type"] == "tool_use":
                uuids[block["id"]] = uuid
            if not is_last:
                self.clock.wait(self.chance.between(0.3, 1.6))
        if stop == "end_turn":
            margins.end_turn(self)
        return uuids

    def _answer(self, step: Step, call: Call, call_id: str, asked_by: str, *, is_parallel: bool) -> None:
        is_answered = not step.has("^")
        old = self.log.dialect.is_first or self.log.dialect.is_second
        tells_result = old or call.is_error or not self.log.agent
        self.truth.count_tool_call(call, is_answered=is_answered, tells_result=tells_result)
        seconds = float(step.one("t", "0")) or self.chance.between(*call.usual_seconds)
        content, result = call.content, call.result
        if self.log.dialect.has_progress and call.name == "Bash" and seconds > 5:
            margins.bash_progress(self, call_id, seconds)
        self.clock.wait(seconds)
        if call.name in {"Agent", "Task"} and is_answered and not call.is_error:
            content, result = self._delegate(step, call, call_id)
        if not is_answered:
            return
        if isinstance(result, dict) and "durationMs" not in result and call.name == "WebFetch":
            result = {**result, "durationMs": round(seconds * 1000)}
        block: dict[str, Any] = {"tool_use_id": call_id, "type": "tool_result", "content": content}
        if call.is_error:
            block = {"type": "tool_result", "content": content, "is_error": True, "tool_use_id": call_id}
        elif call.name == "Bash":
            block["is_error"] = False
        tail: dict[str, Any] = {"toolUseResult": result} if tells_result else {}
        if not old:
            tail["sourceToolAssistantUUID"] = asked_by
        overtakes = is_parallel and call.name != "Agent" and self.chance.happens(0.7)
        self.log.say(
            "user",
            {"message": {"role": "user", "content": [block]}},
            tail=tail,
            earlier_ms=round(seconds * 1000) + self.chance.whole(2, 30) if overtakes else 0,
        )
        self.meter.see(json.dumps(content))
        if call.added + call.removed and not call.is_error:
            margins.file_changed(self, call.result["filePath"])
        if call.name == "Skill" and not call.is_error:
            self.skill = call.input["skill"]
            margins.skill_text(self, self.skill, call_id)

    def _delegate(self, step: Step, call: Call, call_id: str) -> tuple[Any, Any]:
        dialect = self.log.dialect
        agent = self.chance.hexadecimal(17 if dialect.is_newest else 8)
        started = self.clock.now
        child = _agent_player(self, step, agent)
        calls_before = child.truth.tool_calls
        steps = step.inner
        is_file_missing = step.one("p") == "only"
        if is_file_missing:
            self.files.remove(child.log)
            child.truth, calls_before = Truth(), 0
        child.say_task(call.input["prompt"])
        child.play(steps)
        if step.has("p"):
            margins.agent_progress(self, child, call_id)
        if is_file_missing:
            self.truth.count_progress(child.truth)
        text = steps[-1].whole
        milliseconds = round((self.clock.now - started).total_seconds() * 1000)
        content = [{"type": "text", "text": text}]
        result = {
            "status": "completed",
            "prompt": call.input["prompt"],
            "agentId": agent,
            "content": content,
            "totalDurationMs": milliseconds,
            "totalTokens": child.meter.context,
            "totalToolUseCount": child.truth.tool_calls - calls_before,
        }
        if dialect.is_newest:
            result["agentType"] = call.input["subagent_type"]
        return content, result

    def say_task(self, prompt: str) -> None:
        """Open a sub-agent's conversation with what it is asked."""
        self.log.say("user", {"message": {"role": "user", "content": prompt}})
        self.meter.see(prompt)


def _attribution(block: dict[str, Any], skill: str | None) -> dict[str, str]:
    made = {"attributionSkill": skill} if skill else {}
    if str(block.get("name", "")).startswith("mcp__"):
        made["attributionMcpServer"] = block["name"].split("__")[1]
    return made


def _agent_player(parent: Player, step: Step, agent: str) -> Player:
    log, dialect = parent.log, parent.log.dialect
    folder, _, name = log.path.rpartition("/")
    model = step.one("m") or parent.heading.get("agent-model", parent.heading["model"])
    heading = {"model": model, "context": "9800", "scale": parent.heading.get("scale", "24")}
    if dialect.is_first:
        inline = Transcript(
            log.path,
            session=log.session,
            place=log.place,
            dialect=dialect,
            chance=log.chance,
            clock=log.clock,
            slug=log.slug,
            agent=agent,
        )
        inline.lines = log.lines
        return Player(inline, heading, parent.truth, parent.files)
    path = (
        f"{folder}/agent-{agent}.jsonl"
        if dialect.is_second
        else f"{folder}/{name.removesuffix('.jsonl')}/subagents/agent-{agent}.jsonl"
    )
    own = Transcript(
        path,
        session=log.session,
        place=log.place,
        dialect=dialect,
        chance=log.chance,
        clock=log.clock,
        slug=log.slug,
        agent=agent,
    )
    parent.files.append(own)
    return Player(own, heading, parent.truth, parent.files)
