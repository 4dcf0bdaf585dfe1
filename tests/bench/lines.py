"""Lines of real conversations and of the sample, as documents."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


def lines_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of all logs in a folder; those that are no object are left out."""
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_bytes().split(b"\n"):
            if line.startswith(b"{") and line.endswith(b"}"):
                yield orjson.loads(line)
