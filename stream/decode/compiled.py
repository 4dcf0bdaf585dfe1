"""Compiled shortcut from BSON to columns for documents that hold nothing unusual; the rest is `normalise`'s.

A document is usual if its values are text, whole numbers, booleans, null, arrays and objects, its times are
written as Claude Code writes them, and nothing in it needs replacing or rejecting. Whatever else there is, a
damaged byte too, makes it unusual: the decision is left to Python, so that there is one rule and no second.
Compiled by Numba when first called (some seconds), kept on disk for the next time; runs without Python's
lock. One long module, as what is kept on disk is thrown away only when this very file changes.
"""

# Written for Numba: loops over bytes, no objects; constants are in capitals, as it freezes globals.

import math

import numpy as np
from numba import njit

TEXT_COLUMNS = (
    "_id", "type", "session_id", "project_id", "source_file", "uuid",
    "message_role", "message_id", "message_content", "message_raw", "extra",
)  # fmt: skip
"""Columns of text in the order of `texts`, the second dimension of what `transcribe` writes."""
INSTANT_COLUMNS = ("timestamp", "ingested_at")

_COLUMNS = len(TEXT_COLUMNS)
_ID, _TYPE, _SESSION, _PROJECT, _FILE, _UUID, _ROLE, _MESSAGE_ID, _CONTENT, _RAW, _EXTRA = range(11)
_TIMESTAMP, _INGESTED, _MESSAGE = 6, 7, 8  # places of fields, where _ID to _UUID share the columns' numbers
_FIELDS = 9
_NAMES = (
    b"_id", b"type", b"sessionId", b"projectId", b"sourceFile", b"uuid",
    b"timestamp", b"ingestedAt", b"message",
)  # fmt: skip
_NAME_BYTES = np.zeros((_FIELDS, 16), dtype=np.uint8)
for _number, _name in enumerate(_NAMES):
    _NAME_BYTES[_number, : len(_name)] = np.frombuffer(_name, dtype=np.uint8)
_NAME_SIZES = np.array([len(name) for name in _NAMES], dtype=np.int64)

_DOUBLE, _STRING, _DOCUMENT, _ARRAY, _OBJECT_ID, _BOOLEAN, _DATE, _NULL, _INT32, _INT64 = (
    0x01, 0x02, 0x03, 0x04, 0x07, 0x08, 0x09, 0x0A, 0x10, 0x12,
)  # fmt: skip
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_TEXT_WORDS = np.frombuffer(b"truefalsenull", dtype=np.uint8)
_SHORT_ESCAPES = np.zeros(256, dtype=np.uint8)
for _code, _letter in ((8, b"b"), (9, b"t"), (10, b"n"), (12, b"f"), (13, b"r"), (34, b'"'), (92, b"\\")):
    _SHORT_ESCAPES[_code] = _letter[0]
_DAYS_BEFORE = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365], dtype=np.int64)

_MAX_DEPTH = 100
_MAX_KEYS = 4096
_MAX_MILLISECONDS = 253_402_300_799_999
_MIN_MILLISECONDS = -62_135_596_800_000
_MAX_GROWTH = 6
"""A control character takes a byte in BSON and six in JSON; nothing grows more."""
_SLACK = 64
_BLOCK = 32
_NO_KEY = -1
_UNUSUAL = -1


@njit(inline="always")
def _int32(data, at):
    value = (
        np.int64(data[at])
        | (np.int64(data[at + 1]) << 8)
        | (np.int64(data[at + 2]) << 16)
        | (np.int64(data[at + 3]) << 24)
    )
    return value - 0x1_0000_0000 if value >= 0x8000_0000 else value


@njit(inline="always")
def _int64(data, at):
    low = np.uint64(_int32(data, at) & 0xFFFF_FFFF)
    high = np.uint64(_int32(data, at + 4) & 0xFFFF_FFFF)
    return np.int64(low | (high << np.uint64(32)))


@njit
def _value_size(data, kind, at, end):
    """Give the size of a value, `_UNUSUAL` if it is of another kind or does not fit before `end`."""
    if kind == _STRING:
        if at + 5 > end:
            return _UNUSUAL
        length = _int32(data, at)
        if length < 1 or at + 4 + length > end or data[at + 3 + length] != 0:
            return _UNUSUAL
        return 4 + length
    if kind == _DOCUMENT or kind == _ARRAY:
        if at + 5 > end:
            return _UNUSUAL
        size = _int32(data, at)
        if size < 5 or at + size > end or data[at + size - 1] != 0:
            return _UNUSUAL
        return size
    if kind == _NULL:
        size = 0
    elif kind == _BOOLEAN:
        size = 1
    elif kind == _INT32:
        size = 4
    elif kind == _INT64 or kind == _DATE or kind == _DOUBLE:
        size = 8
    elif kind == _OBJECT_ID:
        size = 12
    else:
        return _UNUSUAL
    return size if at + size <= end else _UNUSUAL


@njit(inline="always")
def _key_end(data, at, end):
    """Give where a key's NUL is, `_UNUSUAL` if there is none before `end`."""
    while at < end and data[at] != 0:
        at += 1
    return at if at < end else _UNUSUAL


@njit
def _copy(data, at, end, out, to):
    """Copy bytes; give where they end."""
    # Unsigned, so that Numba asks of no index whether it counts from the end: the loop becomes a memcpy.
    start, goal = np.uint64(at), np.uint64(to)
    for offset in range(np.uint64(end - at)):
        out[goal + offset] = data[start + offset]
    return to + end - at


@njit
def _plain_end(data, at, end, is_json):
    """Give up to where text can be copied by whole blocks: ASCII without U+0000, and nothing JSON escapes."""
    while at + _BLOCK <= end:
        start = np.uint64(at)
        is_plain = True
        if is_json:
            for offset in range(np.uint64(_BLOCK)):
                code = data[start + offset]
                is_plain &= (code >= 0x20) & (code < 0x80) & (code != 34) & (code != 92)
        else:
            for offset in range(np.uint64(_BLOCK)):
                code = data[start + offset]
                is_plain &= (code != 0) & (code < 0x80)
        if not is_plain:
            break
        at += _BLOCK
    return at


@njit
def _sequence_end(data, at, end):
    """Give the end of a UTF-8 sequence of two to four bytes, `_UNUSUAL` if it is none."""
    lead = data[at]
    if 0xC2 <= lead <= 0xDF:
        size, low, high = 2, 0x80, 0xBF
    elif lead == 0xE0:
        size, low, high = 3, 0xA0, 0xBF
    elif lead == 0xED:
        size, low, high = 3, 0x80, 0x9F
    elif 0xE1 <= lead <= 0xEF:
        size, low, high = 3, 0x80, 0xBF
    elif lead == 0xF0:
        size, low, high = 4, 0x90, 0xBF
    elif 0xF1 <= lead <= 0xF3:
        size, low, high = 4, 0x80, 0xBF
    elif lead == 0xF4:
        size, low, high = 4, 0x80, 0x8F
    else:
        return _UNUSUAL
    if at + size > end or data[at + 1] < low or data[at + 1] > high:
        return _UNUSUAL
    for following in range(at + 2, at + size):
        if data[following] < 0x80 or data[following] > 0xBF:
            return _UNUSUAL
    return at + size


@njit
def _write_text(data, at, end, out, to):
    """Write text as it is; give where it ends, `_UNUSUAL` if it is no UTF-8 or holds U+0000."""
    while at < end:
        plain = _plain_end(data, at, end, False)
        to = _copy(data, at, plain, out, to)
        at = plain
        stop = min(at + _BLOCK, end)
        while at < stop:
            code = data[at]
            if code == 0:
                return _UNUSUAL
            behind = at + 1 if code < 0x80 else _sequence_end(data, at, end)
            if behind == _UNUSUAL:
                return _UNUSUAL
            while at < behind:
                out[to] = data[at]
                at += 1
                to += 1
    return to


@njit
def _write_quoted(data, at, end, out, to):
    """Write text as JSON; give where it ends, `_UNUSUAL` if it is no UTF-8 or holds U+0000."""
    out[to] = 34
    to += 1
    while at < end:
        plain = _plain_end(data, at, end, True)
        to = _copy(data, at, plain, out, to)
        at = plain
        stop = min(at + _BLOCK, end)
        while at < stop:
            code = data[at]
            if code >= 0x80:
                behind = _sequence_end(data, at, end)
                if behind == _UNUSUAL:
                    return _UNUSUAL
                while at < behind:
                    out[to] = data[at]
                    at += 1
                    to += 1
                continue
            short = _SHORT_ESCAPES[code]
            if short != 0:
                out[to] = 92
                out[to + 1] = short
                to += 2
            elif code >= 0x20:
                out[to] = code
                to += 1
            elif code == 0:
                return _UNUSUAL
            else:
                out[to] = 92
                out[to + 1] = 117
                out[to + 2] = 48
                out[to + 3] = 48
                out[to + 4] = _HEX[code >> 4]
                out[to + 5] = _HEX[code & 15]
                to += 6
            at += 1
    out[to] = 34
    return to + 1


@njit
def _write_integer(value, out, to):
    if value < 0:
        out[to] = 45
        to += 1
    else:
        value = -value  # of the two, only the negative side has room for every number
    first = to
    while True:
        out[to] = 48 - value % -10
        to += 1
        value = -(value // -10)
        if value == 0:
            break
    last = to - 1
    while first < last:
        swapped = out[first]
        out[first] = out[last]
        out[last] = swapped
        first += 1
        last -= 1
    return to


@njit
def _double(data, at):
    """Give a finite double that is zero or normal, else not-a-number."""
    bits = _int64(data, at)
    exponent = (bits >> 52) & 0x7FF
    fraction = bits & 0xF_FFFF_FFFF_FFFF
    if bits == 0:
        return 0.0
    if exponent == 0 or exponent == 0x7FF:
        return math.nan
    value = math.ldexp(float(fraction | 0x10_0000_0000_0000), exponent - 1075)
    return -value if bits < 0 else value


@njit
def _write_double(value, out, to):
    """Write a number of few digits: the fewest decimals that give it back; `_UNUSUAL` if it needs many.

    A whole number below 10**15, divided by a power of ten up to 10**22, is rounded once, as its text is.
    """
    size = abs(value)
    if not (size == 0.0 or 0.001 <= size < 1e15):
        return _UNUSUAL
    scale = 1.0
    decimals = 0
    while True:
        whole = round(size * scale)
        if whole >= 1e15 or decimals > 12:
            return _UNUSUAL
        if whole / scale == size:
            break
        scale *= 10.0
        decimals += 1
    digits = np.int64(whole)
    if value < 0:
        out[to] = 45
        to += 1
    power = np.int64(scale)
    to = _write_integer(digits // power, out, to)
    out[to] = 46
    to += 1
    if decimals == 0:
        out[to] = 48
        return to + 1
    rest = digits % power
    for place in range(decimals):
        out[to + decimals - 1 - place] = 48 + rest % 10
        rest //= 10
    return to + decimals


@njit
def _write_word(start, end, out, to):
    for at in range(start, end):
        out[to] = _TEXT_WORDS[at]
        to += 1
    return to


@njit
def _write_scalar(data, kind, at, size, out, to):
    """Write a value without parts as JSON; give where it ends, or `_UNUSUAL`."""
    if kind == _STRING:
        return _write_quoted(data, at + 4, at + size - 1, out, to)
    if kind == _INT32:
        return _write_integer(_int32(data, at), out, to)
    if kind == _INT64:
        return _write_integer(_int64(data, at), out, to)
    if kind == _NULL:
        return _write_word(9, 13, out, to)
    if kind == _DOUBLE:
        return _write_double(_double(data, at), out, to)
    if kind == _BOOLEAN:
        if data[at] == 1:
            return _write_word(0, 4, out, to)
        if data[at] == 0:
            return _write_word(4, 9, out, to)
    return _UNUSUAL


@njit
def _is_known_key(data, start, end, hashes, first, last):
    """Whether a key may have been there before in its object; enters it at `last` of `hashes`."""
    # Unsigned: a signed overflow is undefined, and where LLVM vectorises this loop it saturates.
    found = np.uint64(end - start)
    for at in range(start, end):
        found = found * np.uint64(1_000_003) + np.uint64(data[at])
    for number in range(first, last):
        if hashes[number] == found:
            return True
    hashes[last] = found
    return False


@njit
def _write_json(data, kind, at, size, out, to, ends, kinds, bases, hashes, keys):
    """Write a value as JSON; give where it ends, or `_UNUSUAL`.

    Args:
        ends, kinds, bases: Stacks, `_MAX_DEPTH` deep.
        hashes: Of the keys of all objects that are open, `keys` in use.
    """
    if kind != _DOCUMENT and kind != _ARRAY:
        return _write_scalar(data, kind, at, size, out, to)
    depth = 0
    ends[0] = at + size - 1
    kinds[0] = kind
    bases[0] = keys
    out[to] = 123 if kind == _DOCUMENT else 91
    to += 1
    at += 4
    is_first = True
    while True:
        end = ends[depth]
        if at == end:
            out[to] = 125 if kinds[depth] == _DOCUMENT else 93
            to += 1
            at += 1
            keys = bases[depth]
            depth -= 1
            if depth < 0:
                return to
            is_first = False
            continue
        kind = data[at]
        start = at + 1
        at = _key_end(data, start, end)
        if at == _UNUSUAL:
            return _UNUSUAL
        if not is_first:
            out[to] = 44
            to += 1
        if kinds[depth] == _DOCUMENT:
            if keys >= _MAX_KEYS or _is_known_key(data, start, at, hashes, bases[depth], keys):
                return _UNUSUAL
            keys += 1
            to = _write_quoted(data, start, at, out, to)
            if to == _UNUSUAL:
                return _UNUSUAL
            out[to] = 58
            to += 1
        at += 1
        size = _value_size(data, kind, at, end)
        if size == _UNUSUAL:
            return _UNUSUAL
        if kind == _DOCUMENT or kind == _ARRAY:
            depth += 1
            if depth >= _MAX_DEPTH:
                return _UNUSUAL
            ends[depth] = at + size - 1
            kinds[depth] = kind
            bases[depth] = keys
            out[to] = 123 if kind == _DOCUMENT else 91
            to += 1
            at += 4
            is_first = True
        else:
            to = _write_scalar(data, kind, at, size, out, to)
            if to == _UNUSUAL:
                return _UNUSUAL
            at += size
            is_first = False


@njit
def _digits(data, at, count):
    """Read a number of so many digits, `_UNUSUAL` if they are none."""
    value = 0
    for offset in range(count):
        digit = np.int64(data[at + offset]) - 48
        if digit < 0 or digit > 9:
            return _UNUSUAL
        value = value * 10 + digit
    return value


@njit
def _days(year, month, day):
    """Give the days since 1970 of a date, `_UNUSUAL` - 10**9 if there is no such date."""
    is_leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    length = _DAYS_BEFORE[month + 1] - _DAYS_BEFORE[month] + (1 if is_leap and month == 2 else 0)
    if day < 1 or day > length:
        return np.int64(-1_000_000_000)
    before = year - 1
    return (
        before * 365 + before // 4 - before // 100 + before // 400
        + _DAYS_BEFORE[month] + (1 if is_leap and month > 2 else 0) + day - 1 - 719_162
    )  # fmt: skip


@njit
def _written_instant(data, at, length):
    """Read `2026-01-31T23:59:59.999Z`, fraction of 0, 3 or 6 digits; microseconds, and whether it is so."""
    if length != 20 and length != 24 and length != 27:
        return 0, False
    if (
        data[at + 4] != 45 or data[at + 7] != 45 or data[at + 10] != 84 or data[at + 13] != 58
        or data[at + 16] != 58 or data[at + length - 1] != 90 or (length > 20 and data[at + 19] != 46)
    ):  # fmt: skip
        return 0, False
    year, month, day = _digits(data, at, 4), _digits(data, at + 5, 2), _digits(data, at + 8, 2)
    hour, minute, second = _digits(data, at + 11, 2), _digits(data, at + 14, 2), _digits(data, at + 17, 2)
    fraction = 0 if length == 20 else _digits(data, at + 20, length - 21)
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or hour > 23:
        return 0, False
    if minute < 0 or minute > 59 or second < 0 or second > 59 or fraction < 0:
        return 0, False
    days = _days(year, month, day)
    if days == -1_000_000_000:
        return 0, False
    if length == 24:
        fraction *= 1000
    return ((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + fraction, True


@njit
def _instant(data, kind, at, size):
    """Read a time; microseconds, and whether it is written in a usual way."""
    if kind == _STRING:
        return _written_instant(data, at + 4, size - 5)
    if kind == _DATE or kind == _INT64:
        value = _int64(data, at)
    elif kind == _INT32:
        value = _int32(data, at)
    elif kind == _DOUBLE:
        number = _double(data, at)
        if not (abs(number) < 1e15 and math.floor(number) == number):
            return 0, False
        value = np.int64(number)
    else:
        return 0, False
    if not _MIN_MILLISECONDS <= value <= _MAX_MILLISECONDS:
        return 0, False  # before the product, which could overflow
    return value * 1000, True


@njit
def _field(data, start, end):
    """Give which of `_NAMES` a key is, `_NO_KEY` if none."""
    length = end - start
    for number in range(_FIELDS):
        if _NAME_SIZES[number] == length:
            is_same = True
            for offset in range(length):
                if data[start + offset] != _NAME_BYTES[number, offset]:
                    is_same = False
                    break
            if is_same:
                return number
    return _NO_KEY


@njit
def _is_text(data, start, end, word):
    if end - start != len(word):
        return False
    for offset in range(len(word)):
        if data[start + offset] != word[offset]:
            return False
    return True


_ROLE_KEY = np.frombuffer(b"role", dtype=np.uint8)
_ID_KEY = np.frombuffer(b"id", dtype=np.uint8)
_CONTENT_KEY = np.frombuffer(b"content", dtype=np.uint8)
_TYPE_KEY = np.frombuffer(b"type", dtype=np.uint8)
_TEXT_KEY = np.frombuffer(b"text", dtype=np.uint8)


@njit
def _block_text(data, at, size):
    """Give where the text of a content block is, and its end; -1 if it has none. Its bytes are sound."""
    end = at + size - 1
    at += 4
    is_text_block = False
    found = found_end = np.int64(-1)
    while at < end:
        kind = data[at]
        start = at + 1
        at = _key_end(data, start, end)
        value = at + 1
        length = _value_size(data, kind, value, end)
        if kind == _STRING:
            if _is_text(data, start, at, _TYPE_KEY):
                is_text_block = _is_text(data, value + 4, value + length - 1, _TEXT_KEY)
            elif _is_text(data, start, at, _TEXT_KEY):
                found, found_end = value + 4, value + length - 1
        at = value + length
    if is_text_block:
        return found, found_end
    return np.int64(-1), np.int64(-1)


@njit
def _write_content(data, kind, at, size, out, to):
    """Write the text of a content, whose bytes are sound; give where it ends, and whether there is any."""
    if kind == _STRING:
        return _copy(data, at + 4, at + size - 1, out, to), True
    is_there = False
    if kind != _ARRAY:
        return to, False
    end = at + size - 1
    at += 4
    while at < end:
        kind = data[at]
        value = _key_end(data, at + 1, end) + 1
        length = _value_size(data, kind, value, end)
        start = stop = np.int64(-1)
        if kind == _STRING:
            start, stop = value + 4, value + length - 1
        elif kind == _DOCUMENT:
            start, stop = _block_text(data, value, length)
        if start >= 0:
            if is_there:
                out[to] = 10
                to += 1
            is_there = True
            to = _copy(data, start, stop, out, to)
        at = value + length
    return to, is_there


@njit
def _characters(out, start, end):
    first = np.uint64(start)
    count = 0
    for offset in range(np.uint64(end - start)):
        count += (out[first + offset] & 0xC0) != 0x80
    return count


@njit(nogil=True, cache=True)
def count_documents(data):
    """Count the documents of a BSON array, -1 if it is damaged."""
    end = len(data) - 1
    at = 4
    documents = 0
    while at < end:
        if data[at] != _DOCUMENT:
            return -1
        at = _key_end(data, at + 1, end) + 1
        size = _value_size(data, _DOCUMENT, at, end) if at > 0 else _UNUSUAL
        if size == _UNUSUAL:
            return -1
        documents += 1
        at += size
    return documents


@njit(nogil=True, cache=True)
def transcribe(
    data, extracted_days, places, texts, text_ends, has_text, instants, has_instant, dates, lengths
):
    """Write the columns of all usual documents of a batch.

    Args:
        data: BSON array of documents, as many as `count_documents` says.
        extracted_days: Date of documents that have none, days since 1970.
        places: Out: start and end of each document, and 1 if it is usual, 0 if it is left to `normalise`.
        texts: Out: one buffer for each of `TEXT_COLUMNS`; what does not fit is left to `normalise`.
        text_ends: Out: where each usual document's text ends in each column's buffer; first row zeros.
        has_text: Out: whether it has one.
        instants: Out: microseconds since 1970, for each of `INSTANT_COLUMNS`.
        has_instant: Out: whether it has one.
        dates: Out: days since 1970.
        lengths: Out: characters of the content.

    Returns:
        How many documents are usual.
    """
    ends = np.empty(_MAX_DEPTH, dtype=np.int64)
    kinds = np.empty(_MAX_DEPTH, dtype=np.int64)
    bases = np.empty(_MAX_DEPTH, dtype=np.int64)
    hashes = np.empty(_MAX_KEYS, dtype=np.uint64)
    field_kind = np.empty(_FIELDS, dtype=np.int64)
    field_at = np.empty(_FIELDS, dtype=np.int64)
    field_size = np.empty(_FIELDS, dtype=np.int64)
    to = np.zeros(_COLUMNS, dtype=np.int64)
    capacity = texts.shape[1]
    end = len(data) - 1
    at = 4
    documents = usual = 0
    while at < end:
        at = _key_end(data, at + 1, end) + 1
        size = _value_size(data, _DOCUMENT, at, end)
        places[documents, 0] = at
        places[documents, 1] = at + size
        places[documents, 2] = 0
        if _transcribe_one(
            data, at, size, usual, extracted_days, capacity, texts, text_ends, has_text, instants,
            has_instant, dates, lengths, to, field_kind, field_at, field_size, ends, kinds, bases, hashes,
        ):  # fmt: skip
            places[documents, 2] = 1
            usual += 1
            for column in range(_COLUMNS):
                to[column] = text_ends[column, usual]
        documents += 1
        at += size
    return usual


@njit
def _transcribe_one(
    data, at, size, row, extracted_days, capacity, texts, text_ends, has_text, instants, has_instant,
    dates, lengths, to, field_kind, field_at, field_size, ends, kinds, bases, hashes,
):  # fmt: skip
    """Write the row of one document; whether it is usual. If not, what was written does not count."""
    needed = size * _MAX_GROWTH + _SLACK
    for column in range(_COLUMNS):
        if to[column] + needed > capacity:
            return False
    for number in range(_FIELDS):
        field_kind[number] = 0
    end = at + size - 1
    at += 4
    extra = texts[_EXTRA]
    extra_to = to[_EXTRA]
    keys = 0
    while at < end:
        kind = np.int64(data[at])
        start = at + 1
        at = _key_end(data, start, end)
        if at == _UNUSUAL:
            return False
        value = at + 1
        length = _value_size(data, kind, value, end)
        if length == _UNUSUAL:
            return False
        number = _field(data, start, at)
        if number != _NO_KEY:
            if field_kind[number] != 0:
                return False
            field_kind[number], field_at[number], field_size[number] = kind, value, length
        else:
            if keys >= _MAX_KEYS or _is_known_key(data, start, at, hashes, 0, keys):
                return False
            keys += 1
            extra[extra_to] = 123 if keys == 1 else 44
            extra_to = _write_quoted(data, start, at, extra, extra_to + 1)
            if extra_to == _UNUSUAL:
                return False
            extra[extra_to] = 58
            extra_to = _write_json(
                data, kind, value, length, extra, extra_to + 1, ends, kinds, bases, hashes, keys
            )
            if extra_to == _UNUSUAL:
                return False
        at = value + length
    if keys:
        extra[extra_to] = 125
        extra_to += 1
    has_text[_EXTRA, row] = keys > 0
    text_ends[_EXTRA, row + 1] = extra_to

    # The key.
    id_to = to[_ID]
    key = texts[_ID]
    kind, value = field_kind[_ID], field_at[_ID]
    if kind == _OBJECT_ID:
        for offset in range(12):
            key[id_to] = _HEX[data[value + offset] >> 4]
            key[id_to + 1] = _HEX[data[value + offset] & 15]
            id_to += 2
    elif kind == _STRING:
        key[id_to] = 115
        key[id_to + 1] = 58
        id_to = _write_text(data, value + 4, value + field_size[_ID] - 1, key, id_to + 2)
        if id_to == _UNUSUAL:
            return False
    elif kind == _INT32 or kind == _INT64:
        key[id_to] = 105
        key[id_to + 1] = 58
        whole = _int32(data, value) if kind == _INT32 else _int64(data, value)
        id_to = _write_integer(whole, key, id_to + 2)
    else:
        return False
    has_text[_ID, row] = True
    text_ends[_ID, row + 1] = id_to

    # The envelope.
    if field_kind[_TYPE] != _STRING or field_size[_TYPE] <= 5:
        return False
    for number in range(_TYPE, _UUID + 1):
        place = to[number]
        kind = field_kind[number]
        if kind == _STRING:
            value = field_at[number]
            place = _write_text(data, value + 4, value + field_size[number] - 1, texts[number], place)
            if place == _UNUSUAL:
                return False
        elif kind != 0 and kind != _NULL:
            return False
        has_text[number, row] = kind == _STRING
        text_ends[number, row + 1] = place

    # The times.
    dated_by = extracted_days
    for offset in range(1, -1, -1):
        number = _TIMESTAMP + offset
        kind = field_kind[number]
        is_there = kind != 0 and kind != _NULL
        if is_there:
            instant, is_usual = _instant(data, kind, field_at[number], field_size[number])
            if not is_usual:
                return False
            instants[offset, row] = instant
            dated_by = instant // 86_400_000_000
        else:
            instants[offset, row] = 0
        has_instant[offset, row] = is_there
    dates[row] = dated_by

    # The message.
    raw_to, content_to, role_to, id_of_message_to = to[_RAW], to[_CONTENT], to[_ROLE], to[_MESSAGE_ID]
    has_role = has_message_id = has_content = False
    kind, value, length = field_kind[_MESSAGE], field_at[_MESSAGE], field_size[_MESSAGE]
    is_there = kind != 0 and kind != _NULL
    if is_there:
        if kind != _STRING and kind != _DOCUMENT and kind != _ARRAY:
            return False
        raw_to = _write_json(data, kind, value, length, texts[_RAW], raw_to, ends, kinds, bases, hashes, 0)
        if raw_to == _UNUSUAL:
            return False
        if kind == _DOCUMENT:
            inner_end = value + length - 1
            at = value + 4
            while at < inner_end:
                kind = np.int64(data[at])
                start = at + 1
                at = _key_end(data, start, inner_end)
                value = at + 1
                length = _value_size(data, kind, value, inner_end)
                if _is_text(data, start, at, _CONTENT_KEY):
                    content_to, has_content = _write_content(
                        data, kind, value, length, texts[_CONTENT], content_to
                    )
                elif kind == _STRING:
                    if _is_text(data, start, at, _ROLE_KEY):
                        role_to = _write_text(data, value + 4, value + length - 1, texts[_ROLE], role_to)
                        has_role = True
                    elif _is_text(data, start, at, _ID_KEY):
                        id_of_message_to = _write_text(
                            data, value + 4, value + length - 1, texts[_MESSAGE_ID], id_of_message_to
                        )
                        has_message_id = True
                at = value + length
        else:
            content_to, has_content = _write_content(data, kind, value, length, texts[_CONTENT], content_to)
    has_text[_RAW, row], text_ends[_RAW, row + 1] = is_there, raw_to
    has_text[_ROLE, row], text_ends[_ROLE, row + 1] = has_role, role_to
    has_text[_MESSAGE_ID, row], text_ends[_MESSAGE_ID, row + 1] = has_message_id, id_of_message_to
    has_text[_CONTENT, row], text_ends[_CONTENT, row + 1] = has_content, content_to
    lengths[row] = _characters(texts[_CONTENT], to[_CONTENT], content_to)
    return True
