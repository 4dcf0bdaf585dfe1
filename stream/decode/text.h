/* What both C extensions know of text and of BSON: `transcribe.c` beside this, and `batch/importer/encode.c`. */

#ifndef CLAUDE_ANALYTICS_TEXT_H
#define CLAUDE_ANALYTICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef const uint8_t *In;
typedef uint8_t *Out;

/* Kinds of values in BSON. */
enum {
    DOUBLE = 0x01, STRING = 0x02, DOCUMENT = 0x03, ARRAY = 0x04, OBJECT_ID = 0x07, BOOLEAN = 0x08,
    DATE = 0x09, NULL_VALUE = 0x0A, INT32 = 0x10, TIMESTAMP = 0x11, INT64 = 0x12
};

/* What is deeper or wider is left to Python. */
#define MAX_DEPTH 100
#define MAX_KEYS 4096 /* of all objects that are open */
#define MAX_KEYS_OF_ONE 1024

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* Mark bytes that are zero. May mark a byte above one that is; never misses one. */
static inline uint64_t zeros(uint64_t word) { return (word - ONES) & ~word & HIGHS; }

/* Whether JSON has eight bytes as they are: ASCII, nothing below a space, no quote, no backslash. */
static inline bool is_plain_json(uint64_t word)
{
    return !(((word - ONES * 0x20) | word | zeros(word ^ ONES * 0x22) | zeros(word ^ ONES * 0x5C)) & HIGHS);
}

/* Give the size of a UTF-8 sequence of two to four bytes, 0 if it is none. */
static inline size_t sequence_size(In at, In end)
{
    uint8_t lead = at[0], low = 0x80, high = 0xBF;
    size_t size;
    if (lead >= 0xC2 && lead <= 0xDF) {
        size = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        size = 3;
        if (lead == 0xE0)
            low = 0xA0;
        else if (lead == 0xED)
            high = 0x9F; /* surrogates */
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        size = 4;
        if (lead == 0xF0)
            low = 0x90;
        else if (lead == 0xF4)
            high = 0x8F;
    } else {
        return 0;
    }
    if ((size_t)(end - at) < size || at[1] < low || at[1] > high)
        return 0;
    for (size_t byte = 2; byte < size; byte++)
        if ((at[byte] & 0xC0) != 0x80)
            return 0;
    return size;
}

#endif
