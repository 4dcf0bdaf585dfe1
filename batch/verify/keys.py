"""From the canonical text of an `_id` back to the `_id`, as `stream.core.document_key` wrote it. Pure."""

import re
from collections.abc import Iterable
from contextlib import suppress

from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.objectid import ObjectId

from stream.core.change_event import decode_document
from stream.core.document_key import LEAST_INTEGER, MOST_INTEGER, document_key

_OBJECT_ID = re.compile("[0-9a-f]{24}")


def document_ids(keys: Iterable[str]) -> list[object]:
    """Return the `_id`s; a key that is none, as a damaged or older warehouse may have, names no document."""
    found: list[object] = []
    for key in keys:
        with suppress(ValueError):
            found.append(document_id(key))
    return found


def document_id(key: str) -> object:
    """Return the `_id` whose canonical text is `key`.

    Raises:
        ValueError: No `_id` has this text.
    """
    try:
        found = _read(key)
    except (ArithmeticError, BSONError, KeyError, ValueError) as error:
        raise ValueError(f"`{key}` is no canonical `_id`") from error
    if document_key(found) != key:
        raise ValueError(f"`{key}` is no canonical `_id`")
    return found


def _read(key: str) -> object:  # noqa: PLR0911 - a way for each prefix
    if _OBJECT_ID.fullmatch(key):
        return ObjectId(key)
    kind, _, text = key.partition(":")
    if kind == "s":
        return text
    if kind == "i" and LEAST_INTEGER <= int(text) <= MOST_INTEGER:
        return int(text)
    if kind == "d":
        return float(text)
    if kind == "n":
        return Decimal128(text)
    if kind == "b":
        subtype, _, content = text.partition(":")
        return Binary(bytes.fromhex(content), int(subtype, 16))
    if kind == "x":
        return decode_document(bytes.fromhex(text))[""]
    raise ValueError(key)
