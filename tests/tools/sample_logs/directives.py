"""Everything in a log that is neither a prompt, nor a response, nor an answer of a tool."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sample_logs.dialect import MODELS
from sample_logs.screenplay import Step

if TYPE_CHECKING:
    from sample_logs.player import Player

_CAVEAT = (
    "<local-command-caveat>Caveat: what follows comes from commands that the user ran locally. "
    "Answer it only when asked to.</local-command-caveat>"
)

_WHITE_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"


def play(player: "Player", step: Step) -> None:
    """Play one directive."""
    name, _, argument = step.text.partition(" ")
    _DIRECTIVES[name](player, argument, step)


def _pause(player: "Player", argument: str, _: Step) -> None:
    player.clock.wait(float(argument) * 60)


def _user(player: "Player", text: str, **tail: Any) -> str:
    return player.log.say("user", {"message": {"role": "user", "content": text}}, tail=tail)


def _meta(player: "Player", text: str, **extra: Any) -> None:
    body = {"message": {"role": "user", "content": text}, "isMeta": True}
    player.log.say("user", body, tail=extra, earlier_ms=17)


def _command(player: "Player", argument: str, step: Step) -> None:
    """`% command /review 214` runs a slash command; the lines below are what it expands to."""
    player.clock.wait(player.chance.between(20, 80))
    name, _, arguments = argument.partition(" ")
    _user(
        player,
        f"<command-message>{name[1:]} is running…</command-message>\n"
        f"<command-name>{name}</command-name>\n<command-args>{arguments}</command-args>",
    )
    _meta(player, "\n".join(step.details))
    player.meter.see("\n".join(step.details))


def _local(player: "Player", argument: str, step: Step) -> None:
    """`% local /cost` runs a command that no model sees; the lines below are what it prints."""
    player.clock.wait(player.chance.between(15, 60))
    _meta(player, _CAVEAT)
    _user(
        player,
        f"<command-name>{argument}</command-name>\n"
        f"<command-message>{argument[1:]}</command-message>\n<command-args></command-args>",
    )
    _user(
        player,
        f"<local-command-stdout>{chr(10).join(step.details) or '(no content)'}</local-command-stdout>",
    )


def _shell(player: "Player", argument: str, step: Step) -> None:
    """`% shell git status` is typed by the person behind a `!`."""
    player.clock.wait(player.chance.between(15, 60))
    _user(player, f"<bash-input>{argument}</bash-input>")
    output = "\n".join(step.details)
    _user(player, f"<bash-stdout>{output}</bash-stdout><bash-stderr></bash-stderr>")
    player.meter.see(output)


def _interrupt(player: "Player", argument: str, _: Step) -> None:
    player.clock.wait(player.chance.between(1, 9))
    text = "[Request interrupted by user for tool use]" if argument else "[Request interrupted by user]"
    content = [{"type": "text", "text": text}]
    player.log.say("user", {"message": {"role": "user", "content": content}})


def _compact(player: "Player", argument: str, step: Step) -> None:
    log = player.log
    player.clock.wait(player.chance.between(30, 70))
    log.say(
        "system",
        {
            "subtype": "compact_boundary",
            "content": "Conversation compacted",
            "isMeta": False,
            "level": "info",
            "compactMetadata": {"trigger": argument, "preTokens": player.meter.context},
        },
    )
    player.meter.compact()
    text = (
        "This session is being continued from a previous conversation that ran out of context.\n"
        + "\n".join(step.details)
    )
    body = {"message": {"role": "user", "content": text}}
    log.say("user", body, tail={"isVisibleInTranscriptOnly": True, "isCompactSummary": True})
    player.meter.see(text)


def _synthetic(player: "Player", argument: str, _: Step) -> None:
    player.clock.wait(player.chance.between(8, 40))
    nothing = {"input_tokens": 0, "output_tokens": 0}
    message = {
        "id": player.chance.uuid(),
        "model": "<synthetic>",
        "role": "assistant",
        "stop_reason": "stop_sequence",
        "stop_sequence": "",
        "type": "message",
        "usage": {**nothing, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
        "content": [{"type": "text", "text": argument}],
    }
    player.log.say("assistant", {"message": message}, tail={"isApiErrorMessage": True})


def _queue(player: "Player", argument: str, _: Step) -> None:
    for operation in ("enqueue", "dequeue"):
        fields = {"content": argument} if operation == "enqueue" else {}
        instant = player.clock.text()
        player.log.loose(
            "queue-operation", operation=operation, timestamp=instant, sessionId=player.log.session, **fields
        )
        player.clock.wait(player.chance.between(4, 20))


def _pull_request(player: "Player", argument: str, _: Step) -> None:
    number, repository = argument.split()
    player.log.loose(
        "pr-link",
        sessionId=player.log.session,
        prNumber=int(number),
        prUrl=f"https://git.example.org/{repository}/pull/{number}",
        prRepository=repository,
        timestamp=player.clock.text(),
    )


def _notify(player: "Player", argument: str, step: Step) -> None:
    """`% notify <task id>` reports that work in the background has ended."""
    player.clock.wait(player.chance.between(20, 90))
    text = (
        f"<task-notification>\n<task-id>{argument}</task-id>\n<status>completed</status>\n"
        f"<summary>{chr(10).join(step.details)}</summary>\n</task-notification>"
    )
    _user(player, text, origin={"kind": "task-notification"})
    player.meter.see(text)


def _image(player: "Player", argument: str, _: Step) -> None:
    """`% image what is asked about it` asks with a picture."""
    source = {"type": "base64", "media_type": "image/png", "data": _WHITE_PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": f"[Image #1] {argument}"}]
    player.prompt(argument, content=content)


def _system(player: "Player", argument: str, _: Step) -> None:
    """`% system away_summary …`: a line of the program itself."""
    subtype, _found, content = argument.partition(" ")
    body: dict[str, Any] = {"content": content, "isMeta": False}
    if subtype == "stop_hook_summary":
        body = {
            "hookCount": 1,
            "hookInfos": [{"command": content, "durationMs": player.chance.whole(40, 900)}],
            "hookErrors": [],
            "preventedContinuation": False,
            "level": "suggestion",
        }
    named = {} if player.log.dialect.is_first else {"subtype": subtype}
    player.log.say("system", {**named, **body})


def _attachment(player: "Player", argument: str, _: Step) -> None:
    kind, _found, rest = argument.partition(" ")
    player.log.attach({"type": kind, **json.loads(rest or "{}")})


def _set_model(player: "Player", argument: str, _: Step) -> None:
    player.model = MODELS[argument]


def _set_branch(player: "Player", argument: str, _: Step) -> None:
    player.log.place["branch"] = argument


def _set_folder(player: "Player", argument: str, _: Step) -> None:
    player.log.place["cwd"] += argument


def _set_speed(player: "Player", argument: str, _: Step) -> None:
    player.speed = argument


def _mark(player: "Player", _: str, __: Step) -> None:
    """`% mark`: up to here a fork copies the conversation."""
    player.mark = len(player.log.lines)


def _mode(player: "Player", argument: str, _: Step) -> None:
    player.log.loose("mode", mode=argument, sessionId=player.log.session)


def _title(player: "Player", argument: str, _: Step) -> None:
    player.log.loose("custom-title", customTitle=argument, sessionId=player.log.session)


def _skill_ends(player: "Player", _: str, __: Step) -> None:
    player.skill = None


def _raw(player: "Player", argument: str, _: Step) -> None:
    """`% raw {…}`: a line that this version of the product has never heard of."""
    line = json.loads(argument)
    player.log.loose(line.pop("type"), sessionId=player.log.session, timestamp=player.clock.text(), **line)


def _echo(player: "Player", _: str, __: Step) -> None:
    """`% echo`: a side agent starts from a copy of the last response; it is still one API call."""
    if player.last_call is None:
        raise ValueError("nothing was said yet")
    message, request = player.last_call
    last = player.log.last_uuid
    player.log.is_sidechain = True
    player.log.say("assistant", {"message": message, "requestId": request})
    player.log.is_sidechain = False
    player.log.last_uuid = last


_DIRECTIVES: dict[str, Callable[["Player", str, Step], None]] = {
    "attachment": _attachment,
    "branch": _set_branch,
    "command": _command,
    "compact": _compact,
    "cwd": _set_folder,
    "echo": _echo,
    "image": _image,
    "interrupt": _interrupt,
    "local": _local,
    "mark": _mark,
    "mode": _mode,
    "model": _set_model,
    "notify": _notify,
    "pause": _pause,
    "pr": _pull_request,
    "queue": _queue,
    "raw": _raw,
    "shell": _shell,
    "skill-ends": _skill_ends,
    "speed": _set_speed,
    "synthetic": _synthetic,
    "system": _system,
    "title": _title,
}
