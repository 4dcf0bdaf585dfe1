/* Shortcut from a log's line to its document in BSON, for lines that hold nothing unusual; the rest is
 * `document.py`'s.
 *
 * A line is usual if it is one JSON object of text, whole numbers of few digits, decimals that a double holds
 * after one rounding, booleans, null, arrays and objects, whose time is written as Claude Code writes it.
 * Whatever else there is, a damaged byte, U+0000 or a key that is there twice, makes it unusual: the decision is
 * left to Python, so that there is one rule and no second. `encoding.py` checks at start that both agree.
 *
 * The bytes are untrusted. Input is read below `end` alone. Output has room for what the rest of the input can
 * become, and `has_room` is asked before each element (see there).
 *
 * Only the stable ABI of Python 3.11: one binary serves it and all that follow.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../stream/decode/text.h"

#define MAX_DIGITS 18 /* of a number; no such one leaves 64 bits */
#define MAX_POWER 22 /* the largest power of ten that a double holds */
#define MAX_WHOLE (UINT64_C(1) << 53)
#define MAX_LINE_BYTES (INT32_MAX / 4)
#define MAX_DOCUMENT_BYTES (16 << 20)
#define DIGEST_BYTES 8
/* Most that an element takes beside its texts: kind, an array's index, its NUL, a length, a NUL, or 8 bytes. */
#define SLACK 64

typedef struct {
    In at, end;
    Out out, limit;
    uint64_t hashes[MAX_KEYS]; /* of the keys of all objects that are open, the innermost last */
    size_t keys;
    uint64_t seconds, snapshot_seconds; /* 0: none */
} Line;

/* Whether another element fits. All that is left of the input becomes no longer text than it is, and what closes
 * an object takes a byte on both sides; so only the SLACK of each element can make the output run out. */
static bool has_room(const Line *line)
{
    return (size_t)(line->limit - line->out) >= (size_t)(line->end - line->at) + SLACK;
}

static void put32(Out out, uint32_t value)
{
    for (int byte = 0; byte < 4; byte++)
        out[byte] = (uint8_t)(value >> 8 * byte);
}

static void put64(Out out, uint64_t value)
{
    for (int byte = 0; byte < 8; byte++)
        out[byte] = (uint8_t)(value >> 8 * byte);
}

static void skip_space(Line *line)
{
    while (line->at < line->end
           && (*line->at == ' ' || *line->at == '\t' || *line->at == '\n' || *line->at == '\r'))
        line->at++;
}

/* Pass a character, with space before it; false if another one is there. */
static bool took(Line *line, uint8_t character)
{
    skip_space(line);
    if (line->at == line->end || *line->at != character)
        return false;
    line->at++;
    return true;
}

/* ---- Text -------------------------------------------------------------------------------------------- */

/* Read four hexadecimal digits, -1 if they are none. */
static int32_t read_hex(In at, In end)
{
    int32_t value = 0;
    if (end - at < 4)
        return -1;
    for (int place = 0; place < 4; place++) {
        uint8_t digit = at[place];
        if (digit >= '0' && digit <= '9')
            digit -= '0';
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            digit = (uint8_t)((digit | 0x20) - 'a' + 10);
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static Out write_code_point(uint32_t code, Out out)
{
    if (code < 0x80) {
        *out++ = (uint8_t)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (uint8_t)(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (uint8_t)(0xE0 | code >> 12);
        } else {
            *out++ = (uint8_t)(0xF0 | code >> 18);
            *out++ = (uint8_t)(0x80 | (code >> 12 & 0x3F));
        }
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    }
    *out++ = (uint8_t)(0x80 | (code & 0x3F));
    return out;
}

static const uint8_t SHORT_ESCAPES[128] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = 8, ['f'] = 12, ['n'] = 10, ['r'] = 13, ['t'] = 9
};

/* Write what is behind a backslash. */
static bool write_escaped(Line *line)
{
    if (line->at == line->end || *line->at >= 128)
        return false;
    uint8_t kind = *line->at++;
    if (SHORT_ESCAPES[kind]) {
        *line->out++ = SHORT_ESCAPES[kind];
        return true;
    }
    if (kind != 'u')
        return false;
    int32_t code = read_hex(line->at, line->end);
    if (code <= 0 || (code >= 0xDC00 && code <= 0xDFFF))
        return false;
    line->at += 4;
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (line->end - line->at < 6 || line->at[0] != '\\' || line->at[1] != 'u')
            return false;
        int32_t low = read_hex(line->at + 2, line->end);
        if (low < 0xDC00 || low > 0xDFFF)
            return false;
        line->at += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    line->out = write_code_point((uint32_t)code, line->out);
    return true;
}

/* Write text whose first quote has been passed, as UTF-8 and a NUL. */
static bool write_text(Line *line)
{
    for (;;) {
        uint64_t word;
        for (; line->end - line->at >= 8; line->at += 8, line->out += 8) {
            memcpy(&word, line->at, 8);
            if (!is_plain_json(word))
                break;
            memcpy(line->out, &word, 8);
        }
        if (line->at == line->end)
            return false;
        uint8_t code = *line->at;
        if (code == '"') {
            line->at++;
            *line->out++ = 0;
            return true;
        }
        if (code < 0x20)
            return false;
        if (code == '\\') {
            line->at++;
            if (!write_escaped(line))
                return false;
            continue;
        }
        size_t size = code < 0x80 ? 1 : sequence_size(line->at, line->end);
        if (!size)
            return false;
        memcpy(line->out, line->at, size);
        line->at += size;
        line->out += size;
    }
}

/* ---- Times ------------------------------------------------------------------------------------------- */

/* Read a number of so many digits, -1 if they are none. */
static int64_t digits(In at, int count)
{
    int64_t value = 0;
    for (int place = 0; place < count; place++) {
        if (at[place] < '0' || at[place] > '9')
            return -1;
        value = value * 10 + (at[place] - '0');
    }
    return value;
}

static const int16_t DAYS_BEFORE[14] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

/* Read `2026-01-31T23:59:59.999Z`, its fraction of 0, 3 or 6 digits, as whole seconds since 1970, of which an
 * ObjectId holds 32 bits; 0 if it is none such. */
static uint64_t seconds_of(In at, size_t size)
{
    if ((size != 20 && size != 24 && size != 27) || at[4] != '-' || at[7] != '-' || at[10] != 'T'
        || at[13] != ':' || at[16] != ':' || at[size - 1] != 'Z' || (size > 20 && at[19] != '.')
        || (size > 20 && digits(at + 20, (int)size - 21) < 0))
        return 0;
    int64_t year = digits(at, 4), month = digits(at + 5, 2), day = digits(at + 8, 2);
    int64_t hour = digits(at + 11, 2), minute = digits(at + 14, 2), second = digits(at + 17, 2);
    if (year < 1970 || month < 1 || month > 12 || hour < 0 || hour > 23 || minute < 0 || minute > 59
        || second < 0 || second > 59)
        return 0;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > DAYS_BEFORE[month + 1] - DAYS_BEFORE[month] + (is_leap && month == 2))
        return 0;
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 + DAYS_BEFORE[month]
        + (is_leap && month > 2) + day - 1 - 719162;
    int64_t seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    return seconds > 0 && seconds <= UINT32_MAX ? (uint64_t)seconds : 0;
}

/* ---- Values ------------------------------------------------------------------------------------------ */

static const double POWERS[MAX_POWER + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

/* Pass digits, at least one; false if there is none, or if the number has too many. */
static bool read_digits(Line *line, uint64_t *value, int *count)
{
    In start = line->at;
    for (; line->at < line->end && *line->at >= '0' && *line->at <= '9'; line->at++) {
        if (++*count > MAX_DIGITS)
            return false;
        *value = *value * 10 + (uint64_t)(*line->at - '0');
    }
    return line->at > start;
}

/* Write a number; `*kind` becomes INT32, INT64 or DOUBLE. A double is a whole number below 2**53 multiplied with
 * or divided by a power of ten that is exact, too: rounded once, as its text is. */
static bool write_number(Line *line, Out kind)
{
    bool is_negative = *line->at == '-';
    line->at += is_negative;
    In start = line->at;
    uint64_t whole = 0;
    int count = 0, power = 0;
    if (!read_digits(line, &whole, &count) || (*start == '0' && count > 1))
        return false;
    bool is_double = false;
    if (line->at < line->end && *line->at == '.') {
        is_double = true;
        line->at++;
        In fraction = line->at;
        if (!read_digits(line, &whole, &count))
            return false;
        power = -(int)(line->at - fraction);
    }
    if (line->at < line->end && (*line->at | 0x20) == 'e') {
        is_double = true;
        line->at++;
        bool is_small = line->at < line->end && *line->at == '-';
        line->at += is_small || (line->at < line->end && *line->at == '+');
        uint64_t exponent = 0;
        int places = MAX_DIGITS - 3;
        if (!read_digits(line, &exponent, &places))
            return false;
        power += is_small ? -(int)exponent : (int)exponent;
    }
    if (!is_double) {
        if (is_negative && !whole)
            return false;
        int64_t value = is_negative ? -(int64_t)whole : (int64_t)whole;
        bool is_short = value >= INT32_MIN && value <= INT32_MAX;
        *kind = is_short ? INT32 : INT64;
        if (is_short)
            put32(line->out, (uint32_t)value);
        else
            put64(line->out, (uint64_t)value);
        line->out += is_short ? 4 : 8;
        return true;
    }
    if (whole > MAX_WHOLE || power < -MAX_POWER || power > MAX_POWER)
        return false;
    double value = power < 0 ? (double)whole / POWERS[-power] : (double)whole * POWERS[power];
    value = is_negative ? -value : value;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    *kind = DOUBLE;
    put64(line->out, bits);
    line->out += 8;
    return true;
}

static bool took_word(Line *line, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(line->end - line->at) < size || memcmp(line->at, word, size) != 0)
        return false;
    line->at += size;
    return true;
}

static bool write_object(Line *line, int depth, bool is_snapshot);
static bool write_array(Line *line, int depth);

/* Write a value, and its kind where that belongs; space before it has been passed. */
static bool write_value(Line *line, Out kind, int depth, bool is_snapshot)
{
    if (line->at == line->end)
        return false;
    switch (*line->at) {
    case '"': {
        Out size = line->out;
        line->at++;
        line->out += 4;
        if (!write_text(line))
            return false;
        *kind = STRING;
        put32(size, (uint32_t)(line->out - size - 4));
        return true;
    }
    case '{':
        *kind = DOCUMENT;
        line->at++;
        return write_object(line, depth + 1, is_snapshot);
    case '[':
        *kind = ARRAY;
        line->at++;
        return write_array(line, depth + 1);
    case 't':
    case 'f': {
        bool is_true = *line->at == 't';
        *kind = BOOLEAN;
        *line->out++ = is_true;
        return took_word(line, is_true ? "true" : "false");
    }
    case 'n':
        *kind = NULL_VALUE;
        return took_word(line, "null");
    default:
        return write_number(line, kind);
    }
}

/* Enter a key of the object whose keys begin at `base`; false if its hash is there already, or if there are too
 * many. That another key may have the same hash costs time, and only that. */
static bool enter(Line *line, size_t base, In name, size_t size)
{
    if (line->keys == MAX_KEYS || line->keys - base >= MAX_KEYS_OF_ONE)
        return false;
    uint64_t hash = size, word;
    for (; size; name += word, size -= (size_t)word) {
        uint64_t part = 0;
        word = size < 8 ? size : 8;
        memcpy(&part, name, (size_t)word);
        hash = (hash ^ part) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    for (size_t number = base; number < line->keys; number++)
        if (line->hashes[number] == hash)
            return false;
    line->hashes[line->keys++] = hash;
    return true;
}

static bool is_named(In name, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(name, word, size) == 0;
}

/* Take the time of a line, or of its snapshot, from a value that has been written. False if it is unusual. */
static bool read_time(uint8_t kind, In value, In end, uint64_t *seconds)
{
    if (kind == NULL_VALUE)
        return true;
    if (kind == STRING)
        *seconds = seconds_of(value + 4, (size_t)(end - value) - 5);
    return *seconds != 0;
}

/* Write the elements of an object whose brace has been passed, up to its end.
 *
 * At the top level (`depth` 1) the importer's own fields are unusual, and the time is noted; `is_snapshot`: the
 * time is noted as the snapshot's. */
static bool write_elements(Line *line, int depth, bool is_snapshot)
{
    size_t base = line->keys;
    if (took(line, '}'))
        return true;
    do {
        if (!took(line, '"') || !has_room(line))
            return false;
        Out kind = line->out++;
        In name = line->out;
        if (!write_text(line))
            return false;
        size_t size = (size_t)(line->out - name) - 1;
        if (!enter(line, base, name, size))
            return false;
        if (depth == 1
            && (is_named(name, size, "_id") || is_named(name, size, "projectId")
                || is_named(name, size, "sourceFile") || is_named(name, size, "ingestedAt")))
            return false;
        if (!took(line, ':'))
            return false;
        skip_space(line);
        In value = line->out;
        if (!write_value(line, kind, depth, depth == 1 && is_named(name, size, "snapshot")))
            return false;
        if ((depth == 1 || is_snapshot) && is_named(name, size, "timestamp")
            && !read_time(*kind, value, line->out, is_snapshot ? &line->snapshot_seconds : &line->seconds))
            return false;
    } while (took(line, ','));
    line->keys = base;
    return took(line, '}');
}

static bool write_object(Line *line, int depth, bool is_snapshot)
{
    Out size = line->out;
    line->out += 4;
    if (depth > MAX_DEPTH || !write_elements(line, depth, is_snapshot))
        return false;
    *line->out++ = 0;
    put32(size, (uint32_t)(line->out - size));
    return true;
}

static Out write_index(uint32_t index, Out out)
{
    uint8_t places[10];
    size_t first = sizeof places;
    do {
        places[--first] = (uint8_t)('0' + index % 10);
        index /= 10;
    } while (index);
    memcpy(out, places + first, sizeof places - first);
    out += sizeof places - first;
    *out++ = 0;
    return out;
}

/* Write an array whose bracket has been passed. */
static bool write_array(Line *line, int depth)
{
    Out size = line->out;
    line->out += 4;
    if (depth > MAX_DEPTH)
        return false;
    if (!took(line, ']')) {
        uint32_t index = 0;
        do {
            skip_space(line);
            if (!has_room(line))
                return false;
            Out kind = line->out++;
            line->out = write_index(index++, line->out);
            if (!write_value(line, kind, depth, false))
                return false;
        } while (took(line, ','));
        if (!took(line, ']'))
            return false;
    }
    *line->out++ = 0;
    put32(size, (uint32_t)(line->out - size));
    return true;
}

/* ---- Documents --------------------------------------------------------------------------------------- */

/* Write the document of a line into `document`, which has `capacity` bytes; give its size, 0 if it is unusual. */
static size_t write_document(
    Line *line, Out document, size_t capacity, const uint8_t *digest, uint32_t earlier, In added, size_t added_size)
{
    static const uint8_t ID[5] = {OBJECT_ID, '_', 'i', 'd', 0};
    Out object_id = document + 4 + sizeof ID;
    memcpy(document + 4, ID, sizeof ID);
    line->out = object_id + 4 + DIGEST_BYTES;
    line->limit = document + capacity - added_size - 1;
    if (!took(line, '{') || !write_elements(line, 1, false))
        return 0;
    skip_space(line);
    if (line->at != line->end)
        return 0;
    if (!line->seconds)
        line->seconds = line->snapshot_seconds ? line->snapshot_seconds : earlier;
    for (int byte = 0; byte < 4; byte++)
        object_id[byte] = (uint8_t)(line->seconds >> 8 * (3 - byte));
    memcpy(object_id + 4, digest, DIGEST_BYTES);
    memcpy(line->out, added, added_size);
    line->out += added_size;
    *line->out++ = 0;
    size_t size = (size_t)(line->out - document);
    put32(document, (uint32_t)size);
    return size <= MAX_DOCUMENT_BYTES ? size : 0;
}

/* ---- Python ------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(ENCODE_DOC,
"encode(text, digest, earlier, added)\n--\n\n"
"Write the document of a usual line as BSON.\n\n"
"Args:\n"
"    text: Of the line, JSON without space around it.\n"
"    digest: Last 8 bytes of the document's `_id`.\n"
"    earlier: Seconds since 1970 of the line before, below 2**32, for a line without a time.\n"
"    added: Elements that come last, as BSON.\n\n"
"Returns:\n"
"    The document, and the seconds in its `_id`. None if the line is unusual.");

static PyObject *encode(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer text, digest, added;
    unsigned long earlier;
    if (!PyArg_ParseTuple(arguments, "y*y*ky*", &text, &digest, &earlier, &added))
        return NULL;
    PyObject *result = NULL;
    if (digest.len != DIGEST_BYTES || earlier > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a digest has 8 bytes, a time 32 bits");
    } else if (text.len > MAX_LINE_BYTES || added.len > MAX_DOCUMENT_BYTES) {
        result = Py_NewRef(Py_None);
    } else {
        /* Twice the line leaves room for small numbers, which grow; what needs more is unusual. */
        size_t capacity = 2 * (size_t)text.len + (size_t)added.len + 16 * SLACK, size = 0;
        Line *line = malloc(sizeof *line);
        Out document = malloc(capacity);
        if (line && document) {
            line->at = text.buf;
            line->end = line->at + text.len;
            line->keys = 0;
            line->seconds = line->snapshot_seconds = 0;
            size = write_document(
                line, document, capacity, digest.buf, (uint32_t)earlier, added.buf, (size_t)added.len);
            result = size ? Py_BuildValue("y#k", document, (Py_ssize_t)size, (unsigned long)line->seconds)
                          : Py_NewRef(Py_None);
        } else {
            PyErr_NoMemory();
        }
        free(document);
        free(line);
    }
    PyBuffer_Release(&text);
    PyBuffer_Release(&digest);
    PyBuffer_Release(&added);
    return result;
}

static PyMethodDef METHODS[] = {
    {"encode", encode, METH_VARARGS, ENCODE_DOC},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {{0, NULL}};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_encode",
    .m_doc = "From a log's lines to BSON, for usual lines.",
    .m_methods = METHODS,
    .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__encode(void) { return PyModuleDef_Init(&MODULE); }
