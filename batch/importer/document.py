"""One line of a log → one document. Pure and total: never raises, knows no file, clock or database.

What MongoDB cannot store is changed by these rules, and by no others:

- an integer beyond 64 bits, or a number too large for a double, becomes its decimal text;
- half a surrogate pair becomes U+FFFD, as does U+0000 in a field's name (in a value it stays);
- an object or array nested deeper than MongoDB allows becomes its JSON text;
- a line's own `_id`, `projectId`, `sourceFile` or `ingestedAt` moves to `original_<name>`.

NaN and Infinity, which JSON lacks but some programs write, stay what they are. Of a field that occurs
twice in one object, the last one counts, as everywhere.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

MAX_NESTING = 179
"""Objects and arrays inside each other that MongoDB stores below a document's top level.

It allows 180 levels, and what the innermost one holds is a level of its own.
"""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_SECONDS = 2**32 - 1
_INT64 = range(-(2**63), 2**63)
_SAFE_DIGITS = 18
# orjson would turn an integer with more digits into a double without a word. Looking for them in a
# translated copy takes a tenth of the time of a regular expression.
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * (_SAFE_DIGITS + 1)
_ESCAPED_NUL = b"\\u0000"
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Unreadable:
    """A line that has no document.

    Attributes:
        reason: Why, in a few words and without the line's content.
    """

    reason: str


class _UnstorableError(Exception):
    """Says why no rule makes a value storable; never leaves this module."""


def parse(line: bytes) -> dict[str, Any] | Unreadable:
    """Read a line as a JSON object that MongoDB can store, but for its size.

    Args:
        line: UTF-8 without byte order mark; space around it does not matter.
    """
    try:
        value = orjson.loads(line)
        is_strict = _LONG_NUMBER not in line.translate(_DIGITS_TO_ZERO)
    except orjson.JSONDecodeError:
        is_strict = False
    try:
        if not is_strict:
            value = _parse_leniently(line)
        if not isinstance(value, dict):
            return Unreadable("not an object")
        is_deep = line.count(b"{") + line.count(b"[") > MAX_NESTING
        if is_strict and not is_deep and _ESCAPED_NUL not in line:
            return value
        return {_storable_key(key): _storable(item, 1) for key, item in value.items()}
    except _UnstorableError as error:
        return Unreadable(str(error))
    except RecursionError:
        return Unreadable("nested too deep")


def _parse_leniently(line: bytes) -> object:
    try:
        return json.loads(line.decode(), parse_int=_integer, parse_float=_float)
    except UnicodeDecodeError as error:
        raise _UnstorableError(f"not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise _UnstorableError(f"not JSON at column {error.pos + 1}: {error.msg.lower()}") from error


def _integer(digits: str) -> int | str:
    # The length first: Python refuses to convert thousands of digits.
    if len(digits) <= _SAFE_DIGITS:
        return int(digits)
    return int(digits) if len(digits) <= 2 * _SAFE_DIGITS and int(digits) in _INT64 else digits


def _float(digits: str) -> float | str:
    number = float(digits)
    return digits if math.isinf(number) else number


def _storable(value: object, level: int) -> object:
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, dict | list) and level > MAX_NESTING:
        return json.dumps(value)
    if isinstance(value, dict):
        items = {_storable_key(key): _storable(item, level + 1) for key, item in value.items()}
        if len(items) < len(value):
            raise _UnstorableError("two field names differ only in characters that MongoDB cannot store")
        return items
    if isinstance(value, list):
        return [_storable(item, level + 1) for item in value]
    return value


def _storable_key(key: str) -> str:
    return _storable_text(key).replace("\0", _REPLACEMENT)


def _storable_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def is_audit_line(line: bytes) -> bool:
    """Whether a line is of an audit log, which Claude Desktop and Cowork write beside a conversation's own.

    Such a line has the time of its audit, and spells its conversation otherwise.
    """
    if b'"_audit_timestamp"' not in line:
        return False
    parsed = parse(line.removeprefix(BYTE_ORDER_MARK).strip(b" \t\r\n"))
    return isinstance(parsed, dict) and "_audit_timestamp" in parsed and "sessionId" not in parsed


def seconds_of(line: Mapping[str, Any]) -> int | None:
    """Return the time of a line in whole seconds since 1970, None if it has none that an ObjectId can hold.

    Takes `timestamp`, else the one inside `snapshot`: an ISO 8601 string or epoch milliseconds.
    """
    seconds = _seconds(line.get("timestamp"))
    if seconds is None and isinstance(line.get("snapshot"), dict):
        return _seconds(line["snapshot"].get("timestamp"))
    return seconds


def _seconds(timestamp: object) -> int | None:
    if isinstance(timestamp, str):
        try:
            instant = datetime.fromisoformat(timestamp)
        except ValueError:
            return None
        seconds = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    elif isinstance(timestamp, int | float) and not isinstance(timestamp, bool) and math.isfinite(timestamp):
        seconds = timestamp / 1000
    else:
        return None
    return int(seconds) if 0 < seconds <= _MAX_SECONDS else None
