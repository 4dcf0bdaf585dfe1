"""Reads the stories: plain text files that tell conversations step by step.

A file holds conversations. Each opens with `=== <key>` and `name: value` lines, then come its steps, one a
line, told apart by the first sign; lines that begin with two spaces belong to the step above them.

    > what the person asks                    * Tool argument      a call, with its answer below it
    ~ what the model thinks                   ** Tool argument     another call of the same response
    - what the model says                     { … }                what the sub-agent of the call above does
    % directive argument                      # a remark, not played

Under a call: `= ` answer, `! ` error, `x ` the person refuses, `^` never answered, `| ` description,
`@@ 12` where a patch begins, then its `+`, `-` and ` ` lines, `& ` started in the background,
`t 12` seconds it took, `a ` the person's choice, `g ` what git did, `q ` prompt of a sub-agent.
"""

from dataclasses import dataclass, field
from pathlib import Path

_SIGNS = {">": "prompt", "~": "think", "-": "say", "*": "call", "**": "parallel", "%": "directive"}


@dataclass
class Step:
    """One step of a conversation.

    Attributes:
        kind: prompt, think, say, call, parallel or directive.
        text: What stands on its line after the sign.
        details: The lines below it, without their two spaces.
        inner: The steps of the sub-agent that a call starts.
    """

    kind: str
    text: str
    details: list[str] = field(default_factory=list)
    inner: list["Step"] = field(default_factory=list)

    @property
    def whole(self) -> str:
        """The text with the lines below it."""
        return "\n".join([self.text, *self.details])

    def marked(self, sign: str) -> list[str]:
        """Return the details that begin with a sign, without it."""
        return [line[len(sign) + 1 :] for line in self.details if line.split(" ", 1)[0] == sign]

    def one(self, sign: str, default: str = "") -> str:
        """Return the only detail that begins with a sign."""
        return next(iter(self.marked(sign)), default)

    def has(self, sign: str) -> bool:
        """Return whether a detail begins with a sign."""
        return any(line.split(" ", 1)[0] == sign for line in self.details)


@dataclass
class Story:
    """One conversation: its heading and its steps."""

    key: str
    heading: dict[str, str]
    steps: list[Step]


def read_stories(folder: Path) -> list[Story]:
    """Read every story of a folder, sorted by file name, in the order told."""
    return [
        story
        for path in sorted(folder.glob("*.story"))
        for story in _parse(path.read_text(encoding="utf-8").splitlines(), path.name)
    ]


def _parse(lines: list[str], name: str) -> list[Story]:
    stories: list[Story] = []
    stack: list[list[Step]] = []
    in_heading = False
    for number, line in enumerate(lines, start=1):
        if line.startswith("=== "):
            stories.append(Story(line[4:].strip(), {}, []))
            stack = [stories[-1].steps]
            in_heading = True
        elif in_heading and line:
            key, _, value = line.partition(": ")
            stories[-1].heading[key] = value
        elif not line or line.startswith("#"):
            in_heading = False
        elif line.startswith("  "):
            stack[-1][-1].details.append(line[2:])
        elif line == "{":
            stack.append(stack[-1][-1].inner)
        elif line == "}":
            stack.pop()
        else:
            sign, _, text = line.partition(" ")
            if sign not in _SIGNS:
                raise ValueError(f"{name}:{number}: no step begins with `{sign}`")
            stack[-1].append(Step(_SIGNS[sign], text))
    return stories
