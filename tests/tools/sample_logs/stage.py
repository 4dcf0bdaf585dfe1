"""Plays all stories: one conversation after another, and what they leave behind."""

from collections.abc import Iterable

from sample_logs import margins
from sample_logs.chance import Chance, StoryClock
from sample_logs.dialect import Dialect
from sample_logs.player import Player
from sample_logs.screenplay import Story
from sample_logs.transcript import Transcript
from sample_logs.truth import Truth


def play_all(stories: Iterable[Story], projects: dict[str, str]) -> tuple[dict[str, str], Truth]:
    """Play every story.

    Args:
        stories: In the order told; a fork comes after what it forks.
        projects: The folder that each project lies in.

    Returns:
        The content of every file by its path, and what was counted on the way.
    """
    truth = Truth()
    files: list[Transcript] = []
    players: dict[str, Player] = {}
    for story in stories:
        heading = dict(story.heading)
        chance = Chance(story.key)
        cwd = projects[heading["project"]]
        if worktree := heading.get("worktree"):
            cwd += worktree
        encoded = "".join(sign if sign.isalnum() else "-" for sign in cwd)
        session = chance.uuid()
        log = Transcript(
            f"{encoded}/{session}.jsonl",
            session=session,
            place={"cwd": cwd, "branch": heading["branch"]},
            dialect=Dialect(heading["version"]),
            chance=chance,
            clock=StoryClock(heading["when"]),
            slug=chance.slug(),
        )
        files.append(log)
        player = players[story.key] = Player(log, heading, truth, files)
        truth.conversations.add(session)
        margins.open_conversation(player, players)
        player.play(story.steps)
        margins.close_conversation(player)
    truth.lines = sum(len(log.lines) for log in files)
    return {log.path: log.text() for log in files}, truth
