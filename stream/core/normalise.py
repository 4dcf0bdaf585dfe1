"""Document → row, or → dead letter. The one rule for stream, backfill and verification; pure and total.

How values that have no place of their own in Parquet and JSON are written:

- dates inside `message` and unnamed fields: ISO 8601 in UTC;
- ObjectId, Decimal128, binary, regular expression, timestamp and other BSON types: MongoDB Extended JSON;
- JavaScript code: its text;
- NaN and infinities inside JSON: null, as JSON has no such numbers;
- U+0000: U+FFFD, as most databases cannot store it in text.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn, TypeGuard, get_args

import bson
import orjson
from bson import json_util
from bson.datetime_ms import DatetimeMS
from pydantic import BaseModel, ConfigDict, ValidationError

from stream.core.change_event import field_of
from stream.core.document_key import document_key
from stream.core.exact_json import EXACT_JSON
from stream.core.redact import Redactor
from stream.core.schema import MICROSECONDS_PER_DAY, TRUNCATE_ID, Row

Reason = Literal["undecodable", "missing_type", "bad_envelope", "bad_timestamp", "bad_message", "too_deep"]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""Why a document can be rejected; a closed set, as it labels a metric."""

SECONDS_BELOW = 100_000_000_000
"""A number smaller than this is a time in seconds: as such it is year 5138, as milliseconds March 1973."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - decoded dates are naive UTC
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_INSTANT = -62_135_596_800_000_000
_MAX_INSTANT = 253_402_300_799_999_999
_JSON_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_ESCAPED_NUL = b"\\u0000"
_TEXT_FIELDS = ("type", "sessionId", "projectId", "sourceFile", "uuid")


@dataclass(frozen=True)
class DeadLetter:
    """A document that has no row, and why.

    Attributes:
        reason: Which rule it broke.
        detail: What exactly, without the document's content.
        document_id: Canonical key of its `_id`, None if that cannot be read.
        raw: The whole document as canonical Extended JSON; as `{"$bson": <binary>}` where that would not be
            exact, or if it cannot be decoded.
    """

    reason: Reason
    detail: str
    document_id: str | None
    raw: str


class Envelope(BaseModel):
    """The fields of a document that decide where its row belongs."""

    model_config = ConfigDict(strict=True, extra="ignore")

    type: str
    sessionId: str | None = None  # noqa: N815 - the log's own name
    projectId: str | None = None  # noqa: N815
    sourceFile: str | None = None  # noqa: N815
    uuid: str | None = None


class _RejectedError(Exception):
    """Says which rule a document broke; never leaves this module."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason: Reason = reason
        self.detail = detail
        super().__init__(reason)


def microseconds(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    since = instant - _EPOCH_UTC
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def normalise(
    document: Mapping[str, Any],
    *,
    source_version: int,
    extracted_at: int,
    redactor: Redactor | None = None,
) -> Row | DeadLetter:
    """Make the row of a document. Never raises, never changes the document.

    Args:
        document: As decoded with `change_event.CODEC_OPTIONS`.
        source_version: Cluster time of the change that made this version.
        extracted_at: When it was read, microseconds since 1970.
        redactor: Takes secrets out first; None takes the document as it is.

    Returns:
        An `upsert` row, or a dead letter that holds the whole document.
    """
    if redactor is not None:
        try:
            document = redactor.document(document)
        except Exception as error:  # noqa: BLE001 - total by contract, and rather nothing than a secret
            without = {"_id": document.get("_id"), "$unredacted": type(error).__name__}
            return _dead_letter(without, "undecodable", f"cannot be redacted: {type(error).__name__}")
    try:
        return _row(dict(document), source_version, extracted_at)
    except _RejectedError as rejected:
        return _dead_letter(document, rejected.reason, rejected.detail)
    except orjson.JSONEncodeError as error:
        return _dead_letter(document, "too_deep", str(error))
    except Exception as error:  # noqa: BLE001 - total by contract: the unforeseen is kept, with its reason
        return _dead_letter(document, "undecodable", f"{type(error).__name__}: {error}")


def undecodable(raw: bytes, problem: str, *, redactor: Redactor | None = None) -> DeadLetter:
    """Make the dead letter of a document whose BSON cannot be decoded."""
    document_id = field_of(raw, "_id")
    key = None if document_id is None else document_key(document_id)
    if redactor is not None:
        raw = redactor.raw(raw)
    return DeadLetter("undecodable", problem, key, json_util.dumps({"$bson": raw}))


def deletion(document_id: object, *, source_version: int) -> Row:
    """Make the row that says a document is gone."""
    return Row(document_key(document_id), "delete", source_version)


def truncate_marker(source_version: int) -> Row:
    """Make the row that says that all older rows of the collection are gone."""
    return Row(TRUNCATE_ID, "truncate", source_version)


def _row(rest: dict[str, Any], source_version: int, extracted_at: int) -> Row:
    take = rest.pop
    document_id = take("_id", None)
    kind = take("type", None)
    session_id = take("sessionId", None)
    project_id = take("projectId", None)
    source_file = take("sourceFile", None)
    uuid = take("uuid", None)
    if not (
        type(kind) is str
        and kind
        and (session_id is None or type(session_id) is str)
        and (project_id is None or type(project_id) is str)
        and (source_file is None or type(source_file) is str)
        and (uuid is None or type(uuid) is str)
    ):
        _require_envelope(kind, session_id, project_id, source_file, uuid)
    timestamp = _instant(take("timestamp", None), "timestamp")
    ingested_at = _instant(take("ingestedAt", None), "ingestedAt")
    dated_by = timestamp if timestamp is not None else ingested_at
    message = take("message", None)
    role, content, message_id = _message_parts(message)
    return Row(
        document_key(document_id),
        "upsert",
        source_version,
        _text(kind),
        _text(session_id),
        _text(project_id),
        timestamp,
        ingested_at,
        extracted_at,
        _text(role),
        content,
        None if message is None else _json(message),
        _text(source_file),
        (extracted_at if dated_by is None else dated_by) // MICROSECONDS_PER_DAY,
        0 if content is None else len(content),
        _text(uuid),
        _text(message_id),
        _json(rest) if rest else None,
    )


def _require_envelope(kind: object, *others: object) -> NoReturn:
    """Let pydantic say what is wrong with an envelope that the quick check did not pass.

    Only JavaScript code, a kind of text to Python, is as good as text to pydantic.
    """
    if kind is None or kind == "":
        raise _RejectedError("missing_type", "the document has no `type`")
    try:
        Envelope.model_validate(dict(zip(_TEXT_FIELDS, (kind, *others), strict=True)))
    except ValidationError as error:
        detail = "; ".join(
            f"`{problem['loc'][0]}`: {problem['msg'].lower()}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise _RejectedError("bad_envelope", detail) from None
    raise _RejectedError("bad_envelope", "JavaScript code stands where text should")


def _instant(value: object, name: str) -> int | None:
    """Read a point in time: ISO 8601 text, BSON date, epoch seconds or milliseconds, or nothing.

    Text without an offset is UTC, as Claude Code writes all times in UTC. A number is seconds or milliseconds
    by its size (see `SECONDS_BELOW`).
    """
    if value is None:
        return None
    if type(value) is str:
        try:
            instant = datetime.fromisoformat(value)
            since = instant - (_EPOCH if instant.tzinfo is None else _EPOCH_UTC)
        except (ValueError, OverflowError):
            raise _RejectedError("bad_timestamp", f"`{name}` is no ISO 8601 time") from None
        found = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    elif isinstance(value, datetime):
        since = value - _EPOCH
        found = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    elif isinstance(value, DatetimeMS):
        found = int(value) * 1000
    elif _is_number(value):
        found = round(value * (1_000_000 if abs(value) < SECONDS_BELOW else 1000))
    else:
        raise _RejectedError("bad_timestamp", f"`{name}` is of type {type(value).__name__}")
    if not _MIN_INSTANT <= found <= _MAX_INSTANT:
        raise _RejectedError("bad_timestamp", f"`{name}` lies outside the years 1 to 9999")
    return found


def _is_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _message_parts(message: object) -> tuple[str | None, str | None, str | None]:
    """Return role, text and id of a message of any shape the logs have."""
    if type(message) is dict:
        role = message.get("role")
        message_id = message.get("id")
        return (
            role if type(role) is str else None,
            _text_of(message.get("content")),
            message_id if type(message_id) is str else None,
        )
    if message is None or type(message) in (str, list):
        return None, _text_of(message), None
    raise _RejectedError("bad_message", f"`message` is of type {type(message).__name__}")


def _text_of(content: object) -> str | None:
    """Return the text of a string, or of the text blocks of a list, a line each; None if there is none."""
    if type(content) is str:
        return _text(content)
    if not isinstance(content, list):
        return None
    texts: list[str] = []
    for block in content:
        if type(block) is dict:
            if block.get("type") == "text":
                text = block.get("text")
                if type(text) is str:
                    texts.append(text)
        elif type(block) is str:
            texts.append(block)
    return _text("\n".join(texts)) if texts else None


def _text(value: str | None) -> str | None:
    if value is None or "\0" not in value:
        return value
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _json(value: object) -> bytes:
    written = orjson.dumps(value, _extended_json, _JSON_OPTIONS)
    if _ESCAPED_NUL in written:
        # Read back, as a value may hold text that only its Extended JSON shows.
        written = orjson.dumps(_without_nul(orjson.loads(written)), option=_JSON_OPTIONS)
    return written


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(key): _without_nul(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nul(inner) for inner in value]
    return value


def _extended_json(value: object) -> object:
    return json_util.default(value, json_util.RELAXED_JSON_OPTIONS)


def _dead_letter(document: Mapping[str, Any], reason: Reason, detail: str) -> DeadLetter:
    try:
        key = document_key(document["_id"]) if "_id" in document else None
    except Exception:  # noqa: BLE001 - no BSON type: then it came from elsewhere than MongoDB
        key = None
    return DeadLetter(reason, detail, key, _whole(document))


def _whole(document: Mapping[str, Any]) -> str:
    """Write a document so that it can be read back exactly.

    Extended JSON can be read by people, but is not always exact: a field may itself be called `$date`.
    """
    try:
        written = json_util.dumps(document, json_options=EXACT_JSON)
        encoded = bson.encode(document)
        is_exact = bson.encode(json_util.loads(written, json_options=EXACT_JSON)) == encoded
        return written if is_exact else json_util.dumps({"$bson": encoded})
    except Exception as error:  # noqa: BLE001 - too deep for one of the writers
        return _whole_as_bson(document, error)


def _whole_as_bson(document: Mapping[str, Any], problem: Exception) -> str:
    try:
        return json_util.dumps({"$bson": bson.encode(document)})
    except Exception:  # noqa: BLE001 - nothing that MongoDB can hold
        return json_util.dumps({"$unwritable": f"{type(problem).__name__}: {problem}"})
