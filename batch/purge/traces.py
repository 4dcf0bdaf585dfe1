"""Files beside landing zone, warehouse and builds that may name a conversation: results, reports, notes."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from batch.purge.target import PURGED, Target
from stream.disk import disk_errors, write_durably
from stream.storage.storage import Storage

_TOLD = {"error", "hint", "details", "filters"}
"""Fields of journal and plans that may hold an id."""
_NOT_OURS = {"mongo"}
"""The source itself, where it is the embedded MongoDB."""
_SEARCHED = {".json", ".jsonl", ".html", ".log", ".sql", ".txt", ".csv", ".yml"}


class TraceSide(Protocol):
    """Some place where there may be traces."""

    def remove(self, target: Target) -> int:
        """Remove them; give the number of files that changed."""

    def left(self, target: Target) -> Sequence[object]:
        """Return what holds the id."""


@dataclass(frozen=True)
class Traces:
    """The files of one data folder.

    Attributes:
        made_anew: Files and folders that the next run makes again: they are removed as a whole.
        rewritten: Text files whose other content is needed: the id is taken out.
    """

    data_dir: Path
    made_anew: Sequence[Path]
    rewritten: Sequence[Path]

    def remove(self, target: Target) -> int:
        """Remove them, or the id from them; give the number of files that changed.

        Raises:
            LandingNotWritableError: One cannot be written.
        """
        changed = 0
        with disk_errors(self.data_dir):
            for path in self.made_anew:
                if path.is_dir():
                    changed += sum(each.is_file() for each in path.rglob("*"))
                    shutil.rmtree(path)
                elif path.exists():
                    changed += 1
                    path.unlink()
            for path in self.rewritten:
                before = path.read_text(encoding="utf-8") if path.exists() else ""
                after = _without(before, target, is_lines=path.suffix == ".jsonl")
                if after != before:
                    changed += 1
                    write_durably(path, after.encode())
        return changed

    def left(self, target: Target) -> list[Path]:
        """Search all text files of the data folder, of this program or not, but for the dead letters."""
        return [
            path
            for path in sorted(self.data_dir.rglob("*"))
            if path.suffix in _SEARCHED
            and path.relative_to(self.data_dir).parts[0] not in {*_NOT_OURS, "dead_letter"}
            and path.is_file()
            and re.search(target.pattern, path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        ]


@dataclass(frozen=True)
class StoredTraces:
    """Small objects in a bucket, those of backfills among them, whose other content is needed.

    Attributes:
        state: Keeps them, and nothing else.
    """

    state: Storage

    def remove(self, target: Target) -> int:
        """Take the id out of them; give the number of objects that changed."""
        changed = 0
        for key in self.left(target):
            before = (self.state.get(key) or b"").decode()
            after = _without(before, target, is_lines=False)
            if after != before:
                changed += 1
                self.state.put(key, after.encode())
        return changed

    def left(self, target: Target) -> list[str]:
        """Search all of them."""
        return [
            each.key
            for each in self.state.list_after("")
            if re.search(target.pattern, (self.state.get(each.key) or b"").decode(errors="replace"))
        ]


def _without(text: str, target: Target, *, is_lines: bool) -> str:
    """Take the id out of what JSON tells in its own words; everything else stays."""
    pieces = text.splitlines(keepends=True) if is_lines else [text]
    return "".join(
        _retold(each, target) if re.search(target.pattern, each, re.MULTILINE) else each for each in pieces
    )


def _retold(text: str, target: Target) -> str:
    try:
        document = json.loads(text)
    except ValueError:  # a line that was being written when the power went
        return ""
    for key in _TOLD & document.keys():
        document[key] = _purged(document[key], target)
    return json.dumps(document, ensure_ascii=False) + "\n"


def _purged(value: Any, target: Target) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, str):
        return re.sub(target.pattern, rf"\1{PURGED}\2", value)
    if isinstance(value, list):
        return [_purged(each, target) for each in value]
    if isinstance(value, dict):
        return {key: _purged(each, target) for key, each in value.items()}
    return value
