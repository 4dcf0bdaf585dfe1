/* Shortcut from BSON to columns for documents that hold nothing unusual; the rest is `normalise`'s.
 *
 * A document is usual if its values are text, numbers, booleans, null, arrays and objects, its times are
 * written as Claude Code writes them, and nothing in it needs replacing or rejecting. Whatever else there is,
 * a damaged byte too, makes it unusual: the decision is left to Python, so that there is one rule and no
 * second. `columns.py` checks at start that both agree.
 *
 * The bytes are untrusted. Two rules keep every access inside its memory:
 *
 * - input is read through `read_element` alone, which gives nothing that does not lie wholly inside its
 *   document; text that has passed `write_text` or `write_quoted` is sound and may be copied again;
 * - output is written behind `reserve`, which makes room for the most a document of its size can become
 *   (`MAX_GROWTH`), before its first byte is written.
 *
 * Only the stable ABI of Python 3.11: one binary serves it and all that follow. Arithmetic that may overflow
 * is unsigned.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Columns of `LANDING_SCHEMA`, in its order. */
enum {
    ID, OP, SOURCE_VERSION, TYPE, SESSION_ID, PROJECT_ID, AT, INGESTED_AT, EXTRACTED_AT, MESSAGE_ROLE,
    MESSAGE_CONTENT, MESSAGE_RAW, SOURCE_FILE, DATE_OF, CONTENT_LENGTH, UUID, MESSAGE_ID, EXTRA, COLUMNS
};
/* Bytes of a value; 0 is text. */
static const uint8_t WIDTHS[COLUMNS] = {
    [SOURCE_VERSION] = 8, [AT] = 8, [INGESTED_AT] = 8, [EXTRACTED_AT] = 8, [DATE_OF] = 4, [CONTENT_LENGTH] = 8
};

/* A control character takes a byte in BSON and six in JSON; nothing grows more. */
#define MAX_GROWTH 6
#define SLACK 64
#define MAX_TEXT_BYTES INT32_MAX
#define MAX_MILLISECONDS INT64_C(253402300799999)
#define MIN_MILLISECONDS INT64_C(-62135596800000)
/* A smaller number is a time in seconds: see `normalise`. */
#define SECONDS_BELOW INT64_C(100000000000)
/* Of a double: as microseconds below 2**53, so that Python's product is exact, too. */
#define EXACT_MILLISECONDS INT64_C(9000000000000)
#define MICROSECONDS_PER_DAY INT64_C(86400000000)

/* ---- Reading ---------------------------------------------------------------------------------------- */

static uint64_t load64(In at)
{
    uint64_t value = 0;
    for (int byte = 7; byte >= 0; byte--)
        value = value << 8 | at[byte];
    return value;
}

static uint32_t load32(In at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int64_t signed64(uint64_t bits)
{
    int64_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Pack a BSON timestamp as `stream.core.cluster_time` does: 31 bits for the count, so that seconds last to 2106. */
static int64_t cluster_time(uint64_t timestamp)
{
    uint64_t count = timestamp & 0xFFFFFFFFu, most = 0x7FFFFFFFu;
    return (int64_t)((timestamp >> 32) << 31 | (count < most ? count : most));
}

static int64_t signed32(uint32_t bits)
{
    int32_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

typedef struct {
    uint8_t kind; /* 0: there is none */
    In name;
    size_t name_size;
    In value;
    size_t size;
} Element;

/* Give the size of a value; SIZE_MAX if it is of an unusual kind or does not end before `end`. */
static size_t size_of(uint8_t kind, In at, In end)
{
    size_t room = (size_t)(end - at), size;
    switch (kind) {
    case STRING:
        if (room < 5)
            return SIZE_MAX;
        size = load32(at);
        if (size < 1 || size > room - 4 || at[3 + size] != 0)
            return SIZE_MAX;
        return 4 + size;
    case DOCUMENT:
    case ARRAY:
        if (room < 5)
            return SIZE_MAX;
        size = load32(at);
        if (size < 5 || size > room || at[size - 1] != 0)
            return SIZE_MAX;
        return size;
    case NULL_VALUE:
        return 0;
    case BOOLEAN:
        size = 1;
        break;
    case INT32:
        size = 4;
        break;
    case DOUBLE:
    case DATE:
    case TIMESTAMP:
    case INT64:
        size = 8;
        break;
    case OBJECT_ID:
        size = 12;
        break;
    default:
        return SIZE_MAX;
    }
    return size <= room ? size : SIZE_MAX;
}

/* Read the element at `at` of a document whose last byte is at `end`; give where the next one is, or NULL. */
static In read_element(In at, In end, Element *found)
{
    if (at >= end)
        return NULL;
    found->kind = *at++;
    In name_end = memchr(at, 0, (size_t)(end - at));
    if (!name_end)
        return NULL;
    found->name = at;
    found->name_size = (size_t)(name_end - at);
    found->value = name_end + 1;
    found->size = size_of(found->kind, found->value, end);
    return found->size == SIZE_MAX ? NULL : found->value + found->size;
}

static In first_of(const Element *parent) { return parent->value + 4; }
static In end_of(const Element *parent) { return parent->value + parent->size - 1; }
static In text_of(const Element *string) { return string->value + 4; }

static bool is_named(const Element *element, const char *name)
{
    return strlen(name) == element->name_size && memcmp(element->name, name, element->name_size) == 0;
}

static bool is_text(const Element *element, const char *text)
{
    size_t size = strlen(text);
    return element->kind == STRING && element->size == size + 5 && memcmp(text_of(element), text, size) == 0;
}

/* ---- Writing: functions give where what they wrote ends, or NULL if the value is unusual -------------- */

/* Whether eight bytes are ASCII without U+0000. */
static bool is_plain(uint64_t word) { return !((word & HIGHS) | zeros(word)); }

static Out write_bytes(In at, size_t size, Out out)
{
    memcpy(out, at, size);
    return out + size;
}

static Out write_word(const char *word, Out out) { return write_bytes((In)word, strlen(word), out); }

/* Write text as it is; it must be UTF-8 without U+0000. */
static Out write_text(In at, In end, Out out)
{
    while (at < end) {
        uint64_t word;
        for (; end - at >= 8; at += 8, out += 8) {
            memcpy(&word, at, 8);
            if (!is_plain(word))
                break;
            memcpy(out, &word, 8);
        }
        In stop = end - at > 8 ? at + 8 : end;
        while (at < stop) {
            size_t size = *at < 0x80 ? *at != 0 : sequence_size(at, end);
            if (!size)
                return NULL;
            out = write_bytes(at, size, out);
            at += size;
        }
    }
    return out;
}

static const char SHORT_ESCAPES[0x5D] = {
    [8] = 'b', [9] = 't', [10] = 'n', [12] = 'f', [13] = 'r', ['"'] = '"', ['\\'] = '\\'
};
static const char HEX[] = "0123456789abcdef";

/* Write text as JSON; it must be UTF-8 without U+0000. */
static Out write_quoted(In at, In end, Out out)
{
    *out++ = '"';
    while (at < end) {
        uint64_t word;
        for (; end - at >= 8; at += 8, out += 8) {
            memcpy(&word, at, 8);
            if (!is_plain_json(word))
                break;
            memcpy(out, &word, 8);
        }
        In stop = end - at > 8 ? at + 8 : end;
        while (at < stop) {
            uint8_t code = *at;
            if (code >= 0x80) {
                size_t size = sequence_size(at, end);
                if (!size)
                    return NULL;
                out = write_bytes(at, size, out);
                at += size;
                continue;
            }
            char escape = code < sizeof SHORT_ESCAPES ? SHORT_ESCAPES[code] : 0;
            if (escape) {
                *out++ = '\\';
                *out++ = (uint8_t)escape;
            } else if (code >= 0x20) {
                *out++ = code;
            } else if (code == 0) {
                return NULL;
            } else {
                out = write_word("\\u00", out);
                *out++ = (uint8_t)HEX[code >> 4];
                *out++ = (uint8_t)HEX[code & 15];
            }
            at++;
        }
    }
    *out++ = '"';
    return out;
}

static Out write_natural(uint64_t value, Out out)
{
    uint8_t digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value);
    return write_bytes(digits + first, sizeof digits - first, out);
}

static Out write_integer(int64_t value, Out out)
{
    uint64_t size = (uint64_t)value;
    if (value < 0) {
        *out++ = '-';
        size = 0 - size;
    }
    return write_natural(size, out);
}

static int64_t integer_of(const Element *element)
{
    return element->kind == INT32 ? signed32(load32(element->value)) : signed64(load64(element->value));
}

static double double_of(const Element *element)
{
    uint64_t bits = load64(element->value);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Write a number of few digits: the fewest decimals that give it back; one that needs many is unusual.
 *
 * A whole number below 10**15, divided by a power of ten up to 10**22, is rounded once, as its text is.
 */
static Out write_double(double value, Out out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits == 0)
        return write_word("0.0", out);
    double size = value < 0 ? -value : value;
    if (!(size >= 0.001 && size < 1e15)) /* nor a negative zero, nor one that is no number */
        return NULL;
    uint64_t whole, power = 1;
    int decimals = 0;
    for (;; decimals++, power *= 10) {
        double scaled = size * (double)power;
        if (decimals > 12 || scaled >= 1e15 - 1)
            return NULL;
        whole = (uint64_t)(scaled + 0.5);
        if ((double)whole / (double)power == size)
            break;
    }
    if (value < 0)
        *out++ = '-';
    out = write_natural(whole / power, out);
    *out++ = '.';
    if (!decimals) {
        *out++ = '0';
        return out;
    }
    uint64_t rest = whole % power;
    for (int place = decimals - 1; place >= 0; place--, rest /= 10)
        out[place] = (uint8_t)('0' + rest % 10);
    return out + decimals;
}

static Out write_scalar(const Element *element, Out out)
{
    switch (element->kind) {
    case STRING:
        return write_quoted(text_of(element), end_of(element), out);
    case INT32:
    case INT64:
        return write_integer(integer_of(element), out);
    case NULL_VALUE:
        return write_word("null", out);
    case DOUBLE:
        return write_double(double_of(element), out);
    case BOOLEAN:
        return *element->value > 1 ? NULL : write_word(*element->value ? "true" : "false", out);
    default:
        return NULL;
    }
}

/* The keys of all objects that are open, the innermost last: a dict takes the last of two, so two are unusual. */
typedef struct {
    uint64_t hashes[MAX_KEYS];
    In names[MAX_KEYS];
    size_t sizes[MAX_KEYS];
    size_t count;
} Keys;

static uint64_t hash_of(In name, size_t size)
{
    uint64_t hash = size * UINT64_C(0x9E3779B97F4A7C15);
    if (size >= 8) {
        hash ^= load64(name);
        hash *= UINT64_C(0xFF51AFD7ED558CCD);
        hash ^= load64(name + size - 8);
    } else {
        uint64_t word = 0;
        memcpy(&word, name, size);
        hash ^= word;
    }
    return hash;
}

/* Enter a key of the object whose keys begin at `base`; false if it is there already, or if there are too many. */
static bool enter(Keys *keys, size_t base, const Element *element)
{
    if (keys->count == MAX_KEYS || keys->count - base >= MAX_KEYS_OF_ONE)
        return false;
    uint64_t hash = hash_of(element->name, element->name_size);
    for (size_t number = base; number < keys->count; number++)
        if (keys->hashes[number] == hash && keys->sizes[number] == element->name_size
            && memcmp(keys->names[number], element->name, element->name_size) == 0)
            return false;
    keys->hashes[keys->count] = hash;
    keys->names[keys->count] = element->name;
    keys->sizes[keys->count++] = element->name_size;
    return true;
}

/* Write a value as JSON; what is in `keys` stays. */
static Out write_json(Element element, Out out, Keys *keys)
{
    struct {
        In end;
        size_t base;
        bool is_object;
    } open[MAX_DEPTH], *inner;
    size_t base = keys->count;
    int depth = 0;
    bool is_first = true;
    In at = NULL;
    for (;;) {
        if (element.kind == DOCUMENT || element.kind == ARRAY) {
            if (depth == MAX_DEPTH)
                return NULL;
            inner = &open[depth++];
            inner->end = end_of(&element);
            inner->base = keys->count;
            inner->is_object = element.kind == DOCUMENT;
            *out++ = inner->is_object ? '{' : '[';
            at = first_of(&element);
            is_first = true;
        } else {
            out = write_scalar(&element, out);
            if (!out)
                return NULL;
            is_first = false;
        }
        while (depth && at == open[depth - 1].end) {
            inner = &open[--depth];
            *out++ = inner->is_object ? '}' : ']';
            keys->count = inner->base;
            is_first = false;
            at++;
        }
        if (!depth)
            break;
        inner = &open[depth - 1];
        In next = read_element(at, inner->end, &element);
        if (!next)
            return NULL;
        if (!is_first)
            *out++ = ',';
        if (inner->is_object) {
            if (!enter(keys, inner->base, &element))
                return NULL;
            out = write_quoted(element.name, element.name + element.name_size, out);
            if (!out)
                return NULL;
            *out++ = ':';
        }
        at = next; /* of an object or array: replaced by where its own first element is */
    }
    keys->count = base;
    return out;
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

/* Read `2026-01-31T23:59:59.999Z`, its fraction of 0, 3 or 6 digits, as microseconds since 1970. */
static bool written_instant(In at, size_t size, int64_t *instant)
{
    if (size != 20 && size != 24 && size != 27)
        return false;
    if (at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != ':' || at[16] != ':' || at[size - 1] != 'Z'
        || (size > 20 && at[19] != '.'))
        return false;
    int64_t year = digits(at, 4), month = digits(at + 5, 2), day = digits(at + 8, 2);
    int64_t hour = digits(at + 11, 2), minute = digits(at + 14, 2), second = digits(at + 17, 2);
    int64_t fraction = size == 20 ? 0 : digits(at + 20, (int)size - 21);
    if (year < 1 || month < 1 || month > 12 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0
        || second > 59 || fraction < 0)
        return false;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t length = DAYS_BEFORE[month + 1] - DAYS_BEFORE[month] + (is_leap && month == 2);
    if (day < 1 || day > length)
        return false;
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 + DAYS_BEFORE[month]
        + (is_leap && month > 2) + day - 1 - 719162;
    *instant = ((days * 24 + hour) * 60 + minute) * 60000000 + second * 1000000
        + (size == 24 ? fraction * 1000 : fraction);
    return true;
}

static bool read_instant(const Element *element, int64_t *instant)
{
    int64_t milliseconds;
    double number;
    switch (element->kind) {
    case STRING:
        return written_instant(text_of(element), element->size - 5, instant);
    case DATE:
    case INT32:
    case INT64:
        milliseconds = integer_of(element);
        break;
    case DOUBLE:
        number = double_of(element);
        if (!(number > -1e15 && number < 1e15))
            return false;
        milliseconds = (int64_t)number;
        if ((double)milliseconds != number)
            return false;
        break;
    default:
        return false;
    }
    if (element->kind != DATE && milliseconds > -SECONDS_BELOW && milliseconds < SECONDS_BELOW)
        milliseconds *= 1000;
    if (element->kind == DOUBLE && (milliseconds > EXACT_MILLISECONDS || milliseconds < -EXACT_MILLISECONDS))
        return false;
    if (milliseconds < MIN_MILLISECONDS || milliseconds > MAX_MILLISECONDS)
        return false;
    *instant = milliseconds * 1000;
    return true;
}

static int32_t day_of(int64_t instant)
{
    int64_t days = instant / MICROSECONDS_PER_DAY;
    return (int32_t)(instant % MICROSECONDS_PER_DAY < 0 ? days - 1 : days);
}

/* ---- Columns ----------------------------------------------------------------------------------------- */

typedef struct {
    Out values; /* text of all rows, or values of WIDTHS */
    size_t size, capacity; /* of text; of the others only the capacity, for all rows */
    uint8_t *ends; /* int32 where each row's text ends, the first 0 */
    Out validity; /* a bit for each row */
    size_t nulls;
    /* Of the row that is being written: */
    bool has_value;
    size_t new_size;
} Column;

typedef struct {
    Column columns[COLUMNS];
    size_t rows;
    int64_t extracted_at;
    Keys keys;
    bool is_out_of_memory;
} Table;

static bool make_table(Table *table, size_t documents)
{
    for (int number = 0; number < COLUMNS; number++) {
        Column *column = &table->columns[number];
        column->validity = calloc(documents / 8 + 1, 1);
        if (!column->validity)
            return false;
        if (WIDTHS[number]) {
            column->capacity = (documents + 1) * WIDTHS[number];
            column->values = malloc(column->capacity);
            if (!column->values)
                return false;
        } else {
            column->ends = malloc((documents + 1) * sizeof(int32_t));
            if (!column->ends)
                return false;
            memset(column->ends, 0, sizeof(int32_t));
        }
    }
    return true;
}

static void free_table(Table *table)
{
    for (int number = 0; number < COLUMNS; number++) {
        free(table->columns[number].values);
        free(table->columns[number].ends);
        free(table->columns[number].validity);
    }
}

/* Make room for so many bytes of text behind those of earlier rows; give where to write them, or NULL. */
static Out reserve(Table *table, int number, size_t size)
{
    Column *column = &table->columns[number];
    if (size > (size_t)MAX_TEXT_BYTES - column->size)
        return NULL;
    if (column->size + size >= column->capacity) { /* so that there is memory for an empty text, too */
        size_t needed = column->size + size + 1;
        size_t capacity = column->capacity * 2 > needed ? column->capacity * 2 : needed;
        Out values = realloc(column->values, capacity);
        if (!values) {
            table->is_out_of_memory = true;
            return NULL;
        }
        column->values = values;
        column->capacity = capacity;
    }
    return column->values + column->size;
}

/* Say where the row's text ends in its column. */
static void set_text(Table *table, int number, Out end)
{
    Column *column = &table->columns[number];
    column->has_value = true;
    column->new_size = (size_t)(end - column->values);
}

static void set_int64(Table *table, int number, int64_t value)
{
    Column *column = &table->columns[number];
    column->has_value = true;
    memcpy(column->values + table->rows * 8, &value, 8);
}

static void set_date(Table *table, int32_t day)
{
    Column *column = &table->columns[DATE_OF];
    column->has_value = true;
    memcpy(column->values + table->rows * 4, &day, 4);
}

static void begin_row(Table *table)
{
    for (int number = 0; number < COLUMNS; number++) {
        Column *column = &table->columns[number];
        column->has_value = false;
        column->new_size = column->size;
        if (WIDTHS[number])
            memset(column->values + table->rows * WIDTHS[number], 0, WIDTHS[number]);
    }
}

static void commit_row(Table *table)
{
    for (int number = 0; number < COLUMNS; number++) {
        Column *column = &table->columns[number];
        if (column->has_value)
            column->validity[table->rows / 8] |= (uint8_t)(1 << table->rows % 8);
        else
            column->nulls++;
        if (!WIDTHS[number]) {
            int32_t end = (int32_t)column->new_size;
            column->size = column->new_size;
            memcpy(column->ends + (table->rows + 1) * sizeof end, &end, sizeof end);
        }
    }
    table->rows++;
}

static bool put_text(Table *table, int number, In at, In end)
{
    Out out = reserve(table, number, (size_t)(end - at));
    if (!out || !(out = write_text(at, end, out)))
        return false;
    set_text(table, number, out);
    return true;
}

static bool put_word(Table *table, int number, const char *word)
{
    return put_text(table, number, (In)word, (In)word + strlen(word));
}

/* ---- Documents --------------------------------------------------------------------------------------- */

/* Write the canonical key of an `_id`; see `normalise.document_key`. */
static bool put_key(Table *table, const Element *id)
{
    Out out = reserve(table, ID, id->size + SLACK);
    if (!out)
        return false;
    switch (id->kind) {
    case OBJECT_ID:
        for (int byte = 0; byte < 12; byte++) {
            *out++ = (uint8_t)HEX[id->value[byte] >> 4];
            *out++ = (uint8_t)HEX[id->value[byte] & 15];
        }
        break;
    case STRING:
        out = write_text(text_of(id), end_of(id), write_word("s:", out));
        if (!out)
            return false;
        break;
    case INT32:
    case INT64:
        out = write_integer(integer_of(id), write_word("i:", out));
        break;
    default:
        return false;
    }
    set_text(table, ID, out);
    return true;
}

/* Read the two texts of a content block: what it is, and its `text`. False if it is damaged. */
static bool read_block(const Element *block, Element *text)
{
    Element element;
    bool is_text_block = false;
    for (In at = first_of(block), end = end_of(block); at < end;) {
        at = read_element(at, end, &element);
        if (!at)
            return false;
        if (is_named(&element, "type"))
            is_text_block = is_text(&element, "text");
        else if (is_named(&element, "text") && element.kind == STRING)
            *text = element;
    }
    if (!is_text_block)
        text->kind = 0;
    return true;
}

/* Write the text of a content that has passed `write_json`; see `normalise._text_of`. */
static bool put_content(Table *table, const Element *content)
{
    Element block, text = {0};
    bool is_there = content->kind == STRING;
    Out out = reserve(table, MESSAGE_CONTENT, content->size);
    if (!out)
        return false;
    Out start = out;
    if (is_there) {
        out = write_bytes(text_of(content), content->size - 5, out);
    } else if (content->kind == ARRAY) {
        for (In at = first_of(content), end = end_of(content); at < end;) {
            at = read_element(at, end, &block);
            if (!at)
                return false;
            text.kind = 0;
            if (block.kind == STRING)
                text = block;
            else if (block.kind == DOCUMENT && !read_block(&block, &text))
                return false;
            if (!text.kind)
                continue;
            if (is_there)
                *out++ = '\n';
            is_there = true;
            out = write_bytes(text_of(&text), text.size - 5, out);
        }
    }
    if (!is_there)
        return true;
    int64_t characters = 0;
    for (Out at = start; at < out; at++)
        characters += (*at & 0xC0) != 0x80;
    set_text(table, MESSAGE_CONTENT, out);
    set_int64(table, CONTENT_LENGTH, characters);
    return true;
}

static bool put_message(Table *table, const Element *message)
{
    if (message->kind != STRING && message->kind != DOCUMENT && message->kind != ARRAY)
        return false;
    Out out = reserve(table, MESSAGE_RAW, message->size * MAX_GROWTH + SLACK);
    if (!out || !(out = write_json(*message, out, &table->keys)))
        return false;
    set_text(table, MESSAGE_RAW, out);
    if (message->kind != DOCUMENT)
        return put_content(table, message);
    Element element;
    for (In at = first_of(message), end = end_of(message); at < end;) {
        at = read_element(at, end, &element);
        if (!at)
            return false;
        bool is_good = true;
        if (is_named(&element, "content"))
            is_good = put_content(table, &element);
        else if (element.kind == STRING && is_named(&element, "role"))
            is_good = put_text(table, MESSAGE_ROLE, text_of(&element), end_of(&element));
        else if (element.kind == STRING && is_named(&element, "id"))
            is_good = put_text(table, MESSAGE_ID, text_of(&element), end_of(&element));
        if (!is_good)
            return false;
    }
    return true;
}

/* The fields with a column of their own: text as it is; the others each in their way. */
static const struct {
    const char *name;
    int column;
} FIELDS[] = {
    {"_id", ID}, {"type", TYPE}, {"sessionId", SESSION_ID}, {"projectId", PROJECT_ID},
    {"sourceFile", SOURCE_FILE}, {"uuid", UUID}, {"timestamp", AT}, {"ingestedAt", INGESTED_AT},
    {"message", MESSAGE_RAW},
};

static int column_of(const Element *element)
{
    for (size_t number = 0; number < sizeof FIELDS / sizeof *FIELDS; number++)
        if (is_named(element, FIELDS[number].name))
            return FIELDS[number].column;
    return EXTRA;
}

static bool put_field(Table *table, int column, const Element *field)
{
    int64_t instant;
    if (column == ID)
        return put_key(table, field);
    if (field->kind == NULL_VALUE)
        return column != TYPE;
    if (column == MESSAGE_RAW)
        return put_message(table, field);
    if (!WIDTHS[column])
        return field->kind == STRING && (column != TYPE || field->size > 5)
            && put_text(table, column, text_of(field), end_of(field));
    if (!read_instant(field, &instant))
        return false;
    set_int64(table, column, instant);
    return true;
}

static int64_t int64_at(const Column *column, size_t row)
{
    int64_t value;
    memcpy(&value, column->values + row * 8, 8);
    return value;
}

/* Write the row of a document, but for its op and version; whether it is usual. */
static bool put_document(Table *table, const Element *document)
{
    Element element;
    unsigned seen = 0;
    Out extra = reserve(table, EXTRA, document->size * MAX_GROWTH + SLACK);
    if (!extra)
        return false;
    table->keys.count = 0;
    for (In at = first_of(document), end = end_of(document); at < end;) {
        at = read_element(at, end, &element);
        if (!at)
            return false;
        int column = column_of(&element);
        if (column != EXTRA) {
            if (seen & 1u << column || !put_field(table, column, &element))
                return false;
            seen |= 1u << column;
            continue;
        }
        *extra++ = table->keys.count ? ',' : '{';
        if (!enter(&table->keys, 0, &element))
            return false;
        extra = write_quoted(element.name, element.name + element.name_size, extra);
        if (!extra)
            return false;
        *extra++ = ':';
        extra = write_json(element, extra, &table->keys);
        if (!extra)
            return false;
    }
    if (table->keys.count) {
        *extra++ = '}';
        set_text(table, EXTRA, extra);
    }
    if (!(seen & 1u << ID) || !(seen & 1u << TYPE))
        return false;
    const Column *dated_by = &table->columns[table->columns[AT].has_value ? AT : INGESTED_AT];
    set_date(table, day_of(dated_by->has_value ? int64_at(dated_by, table->rows) : table->extracted_at));
    set_int64(table, EXTRACTED_AT, table->extracted_at);
    return true;
}

/* ---- Change events ----------------------------------------------------------------------------------- */

static const char *const OPERATIONS[] = {"insert", "update", "replace", "delete"};
enum { DELETE = 3, OPERATION_COUNT };

/* Whether Python can decode a value that nothing is made of; `scratch` is written over. */
static bool is_sound(Table *table, const Element *element)
{
    if (element->kind == OBJECT_ID || element->kind == DATE || element->kind == TIMESTAMP)
        return true;
    Out scratch = reserve(table, EXTRA, element->size * MAX_GROWTH + SLACK);
    table->keys.count = 0;
    return scratch && write_json(*element, scratch, &table->keys);
}

/* Read the `_id` of a document key; other fields of it are a shard's. */
static bool read_document_key(Table *table, const Element *document_key, Element *id)
{
    Element element;
    id->kind = 0;
    for (In at = first_of(document_key), end = end_of(document_key); at < end;) {
        at = read_element(at, end, &element);
        if (!at)
            return false;
        if (!is_named(&element, "_id")) {
            if (!is_sound(table, &element))
                return false;
        } else if (id->kind) {
            return false;
        } else {
            *id = element;
        }
    }
    return id->kind != 0;
}

/* Whether a document's first `_id` is the very value of its document key: else the key has changed its type. */
static bool has_id(const Element *document, const Element *id)
{
    Element element;
    for (In at = first_of(document), end = end_of(document); at < end;) {
        at = read_element(at, end, &element);
        if (!at)
            return false;
        if (is_named(&element, "_id"))
            return element.kind == id->kind && element.size == id->size
                && memcmp(element.value, id->value, id->size) == 0;
    }
    return false;
}

/* Write the row of a change event; give which operation it is, -1 if it is unusual. See `changes.read_changes`. */
static int put_event(Table *table, const Element *event)
{
    Element element, document = {0}, document_key = {0}, time = {0}, operation = {0}, token = {0}, id;
    for (In at = first_of(event), end = end_of(event); at < end;) {
        at = read_element(at, end, &element);
        if (!at)
            return -1;
        Element *place = is_named(&element, "_id") ? &token
            : is_named(&element, "operationType")  ? &operation
            : is_named(&element, "clusterTime")    ? &time
            : is_named(&element, "fullDocument")   ? &document
            : is_named(&element, "documentKey")    ? &document_key
                                                   : NULL;
        if (place ? place->kind : !is_sound(table, &element))
            return -1;
        if (place)
            *place = element;
    }
    int number = 0;
    while (number < OPERATION_COUNT && !is_text(&operation, OPERATIONS[number]))
        number++;
    if (number == OPERATION_COUNT || time.kind != TIMESTAMP || document_key.kind != DOCUMENT
        || token.kind != DOCUMENT || !is_sound(table, &token) || !read_document_key(table, &document_key, &id))
        return -1;
    set_int64(table, SOURCE_VERSION, cluster_time(load64(time.value)));
    if (document.kind == DOCUMENT) {
        if (number == DELETE || !has_id(&document, &id))
            return -1;
        return put_document(table, &document) && put_word(table, OP, "upsert") ? number : -1;
    }
    if (document.kind && document.kind != NULL_VALUE)
        return -1;
    return put_key(table, &id) && put_word(table, OP, "delete") ? number : -1;
}

/* ---- Batches ----------------------------------------------------------------------------------------- */

/* Count the documents of a BSON array, -1 if it is damaged; enter where they are, unless `spans` is NULL. */
static Py_ssize_t find_documents(In batch, size_t size, uint8_t *spans)
{
    Element element;
    if (size < 5 || load32(batch) != size || batch[size - 1] != 0)
        return -1;
    In end = batch + size - 1;
    Py_ssize_t count = 0;
    for (In at = batch + 4; at < end; count++) {
        at = read_element(at, end, &element);
        if (!at || element.kind != DOCUMENT)
            return -1;
        if (spans) {
            int32_t span[2] = {(int32_t)(element.value - batch), (int32_t)(at - batch)};
            memcpy(spans + (size_t)count * sizeof span, span, sizeof span);
        }
    }
    return count;
}

/* What one call makes; `spans` and `codes` have an entry for each document. */
typedef struct {
    Table table;
    uint8_t *spans;
    uint8_t *codes; /* which operation a change event is, 0 of a document, LEFT of what has no row */
    size_t documents;
} Made;

#define LEFT 0xFF

static void free_made(Made *made)
{
    free_table(&made->table);
    free(made->spans);
    free(made->codes);
    free(made);
}

/* Write the rows of a batch: of change events if `source_version` is negative, else of documents. */
static bool transcribe_all(Made *made, In batch, int64_t source_version)
{
    Table *table = &made->table;
    for (size_t number = 0; number < made->documents; number++) {
        int32_t span[2];
        memcpy(span, made->spans + number * sizeof span, sizeof span);
        Element document = {DOCUMENT, NULL, 0, batch + span[0], (size_t)(span[1] - span[0])};
        int code = -1;
        begin_row(table);
        set_int64(table, CONTENT_LENGTH, 0);
        if (source_version < 0) {
            code = put_event(table, &document);
        } else {
            set_int64(table, SOURCE_VERSION, source_version);
            if (put_document(table, &document) && put_word(table, OP, "upsert"))
                code = 0;
        }
        if (table->is_out_of_memory)
            return false;
        made->codes[number] = code < 0 ? LEFT : (uint8_t)code;
        if (code >= 0)
            commit_row(table);
    }
    return true;
}

/* ---- Python ------------------------------------------------------------------------------------------ */

/* Memory that is given to Python, and freed by it. */
typedef struct {
    PyObject_HEAD
    void *bytes;
    Py_ssize_t size;
} Memory;

static int memory_get(PyObject *self, Py_buffer *view, int flags)
{
    Memory *memory = (Memory *)self;
    return PyBuffer_FillInfo(view, self, memory->bytes, memory->size, 1, flags);
}

static void memory_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(((Memory *)self)->bytes);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot MEMORY_SLOTS[] = {
    {Py_bf_getbuffer, memory_get},
    {Py_tp_dealloc, memory_free},
    {Py_tp_doc, "Memory filled by this module, freed with the last that uses it."},
    {0, NULL},
};
static PyType_Spec MEMORY_SPEC = {
    .name = "stream.decode._transcribe.Memory",
    .basicsize = sizeof(Memory),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = MEMORY_SLOTS,
};

/* Hand memory over to Python, cut to its size; `*bytes` is NULL then. */
static PyObject *to_memory(PyTypeObject *type, void **bytes, size_t size)
{
    Memory *memory = PyObject_New(Memory, type);
    if (!memory)
        return NULL;
    void *cut = realloc(*bytes, size ? size : 1);
    memory->bytes = cut ? cut : *bytes;
    memory->size = (Py_ssize_t)size;
    *bytes = NULL;
    return (PyObject *)memory;
}

/* Give a column's buffers as Arrow lays them out: validity (None: no nulls), ends if it is text, values. */
static PyObject *to_buffers(PyTypeObject *type, Column *column, int width, size_t rows)
{
    PyObject *buffers = PyList_New(0), *buffer;
    if (!buffers)
        return NULL;
    for (int number = 0; number < 3; number++) {
        if (number == 0 && !column->nulls)
            buffer = Py_NewRef(Py_None);
        else if (number == 0)
            buffer = to_memory(type, (void **)&column->validity, (rows + 7) / 8);
        else if (number == 1 && width)
            continue;
        else if (number == 1)
            buffer = to_memory(type, (void **)&column->ends, (rows + 1) * sizeof(int32_t));
        else
            buffer = to_memory(type, (void **)&column->values, width ? rows * (size_t)width : column->size);
        int failed = !buffer || PyList_Append(buffers, buffer) < 0;
        Py_XDECREF(buffer);
        if (failed) {
            Py_DECREF(buffers);
            return NULL;
        }
    }
    return buffers;
}

static PyObject *to_columns(PyTypeObject *type, Table *table)
{
    PyObject *columns = PyList_New(0);
    for (int number = 0; columns && number < COLUMNS; number++) {
        PyObject *buffers = to_buffers(type, &table->columns[number], WIDTHS[number], table->rows);
        int failed = !buffers || PyList_Append(columns, buffers) < 0;
        Py_XDECREF(buffers);
        if (failed)
            Py_CLEAR(columns);
    }
    return columns;
}

static PyObject *to_result(PyTypeObject *type, Made *made)
{
    PyObject *columns = to_columns(type, &made->table);
    PyObject *spans = columns ? to_memory(type, (void **)&made->spans, made->documents * 8) : NULL;
    if (!spans) {
        Py_XDECREF(columns);
        return NULL;
    }
    return Py_BuildValue(
        "nNNy#", (Py_ssize_t)made->table.rows, columns, spans, (char *)made->codes, (Py_ssize_t)made->documents);
}

PyDoc_STRVAR(TRANSCRIBE_DOC,
"transcribe(batch, extracted_at, source_version)\n--\n\n"
"Write the columns of all usual documents of a BSON array, outside of Python's lock.\n\n"
"Args:\n"
"    batch: BSON array of documents, or of change events if `source_version` is negative.\n"
"    extracted_at: When it was read, microseconds since 1970.\n"
"    source_version: Cluster time of all documents; events have their own.\n\n"
"Returns:\n"
"    Rows; for each column of `LANDING_SCHEMA` its buffers, as Arrow lays them out; start and end of each\n"
"    document, 32 bits each; a byte for each document: 0, or of an event 0 to 3 for insert, update, replace\n"
"    and delete, or 255 if it has no row. None if the array itself is damaged.");

static PyObject *transcribe(PyObject *module, PyObject *arguments)
{
    Py_buffer batch;
    long long extracted_at, source_version;
    if (!PyArg_ParseTuple(arguments, "y*LL", &batch, &extracted_at, &source_version))
        return NULL;
    PyObject *result = NULL;
    PyTypeObject *type = *(PyTypeObject **)PyModule_GetState(module);
    Made *made = calloc(1, sizeof *made);
    Py_ssize_t documents = 0;
    bool is_made = false;
    if (made) {
        Py_BEGIN_ALLOW_THREADS
        documents = batch.len > INT32_MAX ? -1 : find_documents(batch.buf, (size_t)batch.len, NULL);
        if (documents >= 0) {
            made->documents = (size_t)documents;
            made->table.extracted_at = extracted_at;
            made->spans = malloc(made->documents * 8 + 1);
            made->codes = malloc(made->documents + 1);
            if (made->spans && made->codes && make_table(&made->table, made->documents)) {
                find_documents(batch.buf, (size_t)batch.len, made->spans);
                is_made = transcribe_all(made, batch.buf, source_version);
            }
        }
        Py_END_ALLOW_THREADS
    }
    if (documents < 0)
        result = Py_NewRef(Py_None);
    else if (!is_made)
        PyErr_NoMemory();
    else
        result = to_result(type, made);
    if (made)
        free_made(made);
    PyBuffer_Release(&batch);
    return result;
}

static PyMethodDef METHODS[] = {
    {"transcribe", transcribe, METH_VARARGS, TRANSCRIBE_DOC},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &MEMORY_SPEC, NULL);
    *(PyObject **)PyModule_GetState(module) = type;
    return type ? 0 : -1;
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    PyObject **state = PyModule_GetState(module);
    if (state)
        Py_VISIT(*state);
    return 0;
}

static int clear(PyObject *module)
{
    PyObject **state = PyModule_GetState(module);
    if (state)
        Py_CLEAR(*state);
    return 0;
}

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_transcribe",
    .m_doc = "From BSON to the columns of the landing zone, for usual documents.",
    .m_size = sizeof(PyObject *),
    .m_methods = METHODS,
    .m_slots = SLOTS,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit__transcribe(void) { return PyModuleDef_Init(&MODULE); }
