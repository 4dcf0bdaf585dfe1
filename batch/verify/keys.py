"""From the canonical text of an `_id` back to the `_id`, as `normalise.document_key` wrote it. Pure."""

import re

from bson.binary import Binary
from bson.errors import BSONError
from bson.objectid import ObjectId

from stream.core.change_event import decode_document
from stream.core.normalise import document_key

_OBJECT_ID = re.compile("[0-9a-f]{24}")
_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**63 - 1


def document_id(key: str) -> object:
    """Give the `_id` whose canonical text is `key`.

    Raises:
        ValueError: No `_id` has this text.
    """
    try:
        found = _read(key)
    except (BSONError, KeyError, ValueError) as error:
        raise ValueError(f"`{key}` is no canonical `_id`") from error
    if document_key(found) != key:
        raise ValueError(f"`{key}` is no canonical `_id`")
    return found


def _read(key: str) -> object:
    if _OBJECT_ID.fullmatch(key):
        return ObjectId(key)
    kind, _, text = key.partition(":")
    if kind == "s":
        return text
    if kind == "i" and _LEAST_INTEGER <= int(text) <= _MOST_INTEGER:
        return int(text)
    if kind == "d":
        return float(text)
    if kind == "b":
        subtype, _, content = text.partition(":")
        return Binary(bytes.fromhex(content), int(subtype, 16))
    if kind == "x":
        return decode_document(bytes.fromhex(text))[""]
    raise ValueError(key)
