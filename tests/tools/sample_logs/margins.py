"""What Claude Code writes of itself around the messages: openings, closings, reports, backups."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sample_logs.player import Player


def open_conversation(player: "Player", players: dict[str, "Player"]) -> None:
    """Write what stands before the first prompt: hooks, modes, or the copied lines of a fork."""
    log, heading = player.log, player.heading
    if parent := heading.get("fork"):
        _copy(player, players[parent])
    elif log.dialect.is_newest:
        log.loose(
            "permission-mode", permissionMode=heading.get("permission", "default"), sessionId=log.session
        )
        log.attach(
            {
                "type": "skill_listing",
                "content": "- release-notes: writes the notes of a release\n- review: reviews a branch",
                "skillCount": 2,
                "isInitial": True,
            }
        )
    elif log.dialect.has_progress:
        log.say(
            "progress",
            {
                "data": {
                    "type": "hook_progress",
                    "hookEvent": "SessionStart",
                    "hookName": "SessionStart:startup",
                    "command": "./.claude/hooks/session-start.sh",
                },
                "parentToolUseID": log.session,
                "toolUseID": log.session,
            },
        )


def close_conversation(player: "Player") -> None:
    """Write what stands after the last response."""
    log, heading = player.log, player.heading
    if title := heading.get("title"):
        if log.dialect.is_newest:
            log.loose("ai-title", aiTitle=title, sessionId=log.session)
        else:
            log.loose("summary", summary=title, leafUuid=log.last_uuid)
    if log.dialect.is_newest:
        log.loose("last-prompt", lastPrompt=heading.get("last", "")[:200], sessionId=log.session)


def _copy(player: "Player", parent: "Player") -> None:
    log = player.log
    said = [line for line in parent.log.lines[: parent.mark] if "uuid" in line]
    for line in said:
        copied = {**line, "sessionId": log.session}
        if log.dialect.is_newest:
            copied["forkedFrom"] = {"sessionId": line["sessionId"], "messageUuid": line["uuid"]}
        log.lines.append(copied)
        player.meter.see(json.dumps(line.get("message", "")))
    log.last_uuid = said[-1]["uuid"]
    player.truth.copied_lines += len(said)


def _snapshot(player: "Player", path: str) -> None:
    backup = {
        "backupFileName": f"{player.chance.hexadecimal(16)}@v1",
        "version": 1,
        "backupTime": player.clock.text(),
    }
    snapshot = {
        "messageId": player.log.last_uuid,
        "trackedFileBackups": {path: backup},
        "timestamp": player.clock.text(),
    }
    player.log.loose(
        "file-history-snapshot", messageId=player.log.last_uuid, snapshot=snapshot, isSnapshotUpdate=True
    )


def bash_progress(player: "Player", call_id: str, seconds: float) -> None:
    """Write the reports of a command that takes long."""
    last = player.log.last_uuid
    for number, elapsed in enumerate((3, int(seconds) - 1)):
        data = {
            "type": "bash_progress",
            "output": "",
            "fullOutput": "",
            "elapsedTimeSeconds": elapsed,
            "totalLines": number,
        }
        player.log.say(
            "progress",
            {"data": data, "toolUseID": f"bash-progress-{number}", "parentToolUseID": call_id},
            earlier_ms=-1000 * elapsed,
        )
    player.log.last_uuid = last


def agent_progress(player: "Player", child: "Player", call_id: str) -> None:
    """Report in the caller's file what a sub-agent said, as versions up to 2.1.99 do."""
    last = player.log.last_uuid
    for line in child.log.lines:
        if "uuid" not in line:
            continue
        inner = {
            key: line[key] for key in ("type", "timestamp", "message", "requestId", "uuid") if key in line
        }
        data = {"message": inner, "type": "agent_progress", "prompt": "", "agentId": child.log.agent}
        player.log.say(
            "progress",
            {"data": data, "toolUseID": f"agent_{call_id[6:30]}", "parentToolUseID": call_id},
        )
    player.log.last_uuid = last


def end_turn(player: "Player") -> None:
    """Write what newer versions sometimes note when the model has finished."""
    if player.log.dialect.is_newest and not player.log.agent and player.chance.happens(0.6):
        milliseconds = round((player.clock.now - player.started_at).total_seconds() * 1000)
        player.log.say("system", {"subtype": "turn_duration", "durationMs": milliseconds, "isMeta": False})


def file_changed(player: "Player", path: str) -> None:
    """Write the backup that a changed file gets."""
    if not player.log.dialect.is_first and not player.log.agent and player.chance.happens(0.6):
        _snapshot(player, path)


def skill_text(player: "Player", skill: str, call_id: str) -> None:
    """Write what a skill hands the model."""
    text = (
        f"Base directory for this skill: {player.place.path('.claude/skills/' + skill)}\n\nFollow its steps."
    )
    content = [{"type": "text", "text": text}]
    body = {"message": {"role": "user", "content": content}, "isMeta": True}
    player.log.say("user", body, tail={"sourceToolUseID": call_id}, earlier_ms=1)
