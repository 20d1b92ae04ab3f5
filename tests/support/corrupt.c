/* SPDX-License-Identifier: Apache-2.0
 * Random corruption of bytes. */
#include "corrupt.h"

#include <string.h>

static size_t any(rng *random, size_t limit) { return (size_t)rng_below(random, (int64_t)limit); }

/* Numbers at which fields overflow, meet their limits, or are nearly right. */
static uint32_t odd_number(uint32_t number, rng *random)
{
    static const uint32_t odd[] = {0,          1,          2,          3,          16,         64,         127,       128,
                                   255,        256,        0x7fff,     0x8000,     0xfffe,     0xffff,     0x10000,   0x10001,
                                   0x33333333, 0x3fffffff, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    switch (rng_below(random, 5)) {
    case 0: return number + 1;
    case 1: return number - 1;
    case 2: return number * 2;
    default: return odd[any(random, sizeof odd / sizeof odd[0])];
    }
}

/* A number of `width` bytes in a place of its own. */
static void put_odd_number(uint8_t *bytes, size_t num_bytes, size_t width, rng *random)
{
    uint32_t number = 0;
    if (num_bytes < width) return;
    const size_t at = any(random, (rng_chance(random, 0.3) && num_bytes > 128 ? 128 : num_bytes) / width) * width;
    memcpy(&number, bytes + at, width);
    number = odd_number(number, random);
    memcpy(bytes + at, &number, width);
}

/* Mostly short, and mostly of whole numbers. */
static size_t piece_length(size_t limit, rng *random)
{
    size_t length = rng_chance(random, 0.8) ? 1 + any(random, 40) : 1 + any(random, limit);
    if (rng_chance(random, 0.7)) length = (length + 3) / 4 * 4;
    return length < limit ? length : limit;
}

/* Puts a piece of `from` at a place of `bytes`, over what is there or in between. */
static size_t splice(uint8_t *bytes, size_t num_bytes, const uint8_t *from, size_t num_from, bool between, rng *random)
{
    uint8_t piece[CORRUPT_ROOM];
    const size_t at = any(random, num_bytes + 1), length = piece_length(num_from, random);
    const size_t begin = rng_chance(random, 0.5) && at + length <= num_from ? at : any(random, num_from - length + 1);
    memcpy(piece, from + begin, length);
    if (between) {
        if (num_bytes + length > CORRUPT_ROOM) return num_bytes;
        memmove(bytes + at + length, bytes + at, num_bytes - at);
        num_bytes += length;
    }
    memcpy(bytes + at, piece, length < num_bytes - at ? length : num_bytes - at);
    return num_bytes;
}

static size_t remove_piece(uint8_t *bytes, size_t num_bytes, rng *random)
{
    const size_t length = piece_length(num_bytes, random), at = any(random, num_bytes - length + 1);
    memmove(bytes + at, bytes + at + length, num_bytes - at - length);
    return num_bytes - length;
}

static size_t corrupt_once(uint8_t *bytes, size_t num_bytes, const uint8_t *other, size_t num_other, rng *random)
{
    const size_t at = any(random, num_bytes);
    switch (rng_below(random, 12)) {
    case 0:
    case 1: bytes[at] ^= (uint8_t)(1 << rng_below(random, 8)); return num_bytes;
    case 2: bytes[at] = (uint8_t)rng_next(random); return num_bytes;
    case 3: put_odd_number(bytes, num_bytes, 2, random); return num_bytes;
    case 4:
    case 5: put_odd_number(bytes, num_bytes, 4, random); return num_bytes;
    case 6: return at; /* cut off */
    case 7: return remove_piece(bytes, num_bytes, random);
    case 8: return splice(bytes, num_bytes, bytes, num_bytes, true, random);
    case 9: return splice(bytes, num_bytes, bytes, num_bytes, false, random);
    case 10: return splice(bytes, num_bytes, other, num_other, true, random);
    default: return splice(bytes, num_bytes, other, num_other, false, random);
    }
}

size_t corrupt(uint8_t *bytes, size_t num_bytes, const uint8_t *other, size_t num_other, rng *random)
{
    for (int64_t changes = rng_chance(random, 0.6) ? 1 : rng_between(random, 2, 4); changes > 0 && num_bytes > 0; changes--)
        num_bytes = corrupt_once(bytes, num_bytes, other, num_other, random);
    return num_bytes;
}
