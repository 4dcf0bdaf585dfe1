"""Lines of logs, to be imported."""

import json
from typing import Any

from pymongo.collection import Collection

TIMESTAMP = "2025-06-25T10:17:07.201Z"


def log_line(number: int, **fields: object) -> str:
    """Return a line of a log, with its end."""
    return json.dumps({"type": "user", "timestamp": TIMESTAMP, "n": number, **fields}) + "\n"


def numbers(collection: Collection[dict[str, Any]]) -> list[int]:
    """Return the numbers of the lines that have arrived, sorted."""
    return sorted(document["n"] for document in collection.find())
