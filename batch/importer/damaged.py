"""Whole records inside a damaged line: two that share it, one spliced into another, one behind NULs."""

import json
import re
from collections.abc import Iterator
from typing import Any

_DECODER = json.JSONDecoder()
# No JSON string holds these characters as such: its quotes are escaped.
_START = re.compile(r'\{\s*"')
_IDENTITIES = frozenset({"sessionId", "leafUuid", "messageId"})
"""A log's record names its conversation, line or message; no object inside a record does."""


def whole_records(line: bytes) -> list[bytes]:
    """Find the records of a log that are whole, in order, each as it is written.

    Objects inside a torn record are none. Takes the time of one reading of the line, and of one more for each
    level of nesting at which a record was torn.

    Args:
        line: That is no JSON object as a whole; need not be UTF-8.
    """
    text = line.decode("utf-8", "surrogateescape")
    return [text[start:end].encode("utf-8", "surrogateescape") for start, end in _records(text)]


def _records(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    while found := _START.search(text, position):
        start = found.start()
        try:
            value, position = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        if _is_record(value):
            yield start, position


def _is_record(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    return (
        isinstance(value, dict) and isinstance(value.get("type"), str) and not _IDENTITIES.isdisjoint(value)
    )
