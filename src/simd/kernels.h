/* SPDX-License-Identifier: Apache-2.0
 * The kernels of simd.h, once for every tier. A tier_*.c defines TIER_VEC, the header with its vector operations, and includes
 * this file. */
#include "file/checksum.h"
#include "simd/simd.h"

#include <string.h>

/* One set bit after the other: what the vector versions of vec_put_bits do in bulk. */
static inline int32_t *put_bits_plain(int32_t *out, uint64_t word, int32_t base)
{
    for (; word; word &= word - 1) *out++ = base + __builtin_ctzll(word);
    return out;
}

static inline uint16_t *put_positions_plain(uint16_t *out, uint64_t word, uint16_t base)
{
    for (; word; word &= word - 1) *out++ = (uint16_t)(base + __builtin_ctzll(word));
    return out;
}

#include TIER_VEC

static int32_t *iota(int32_t *out, const int32_t *limit, int32_t first, size_t n)
{
    int32_t *end = out + n;
    vec values = vec_add(vec_iota(), vec_set1(first));
    const vec step = vec_set1(LANES);
    for (; end - out >= LANES; out += LANES, values = vec_add(values, step)) vec_store(out, values);
    if (out < end && limit - out >= LANES) {
        vec_store(out, values);
        return end;
    }
    for (first += (int32_t)(n - (size_t)(end - out)); out < end;) *out++ = first++;
    return end;
}

static int32_t *widen(int32_t *out, const int32_t *limit, const uint16_t *values, size_t n, int32_t base)
{
    (void)limit;
    size_t i = 0;
    const vec bases = vec_set1(base);
    for (; n - i >= LANES; i += LANES) vec_store(out + i, vec_add(vec_widen(values + i), bases));
    if (i < n && n >= LANES) { /* the last vector overlaps the one before: values cannot be read past their end */
        vec_store(out + n - LANES, vec_add(vec_widen(values + n - LANES), bases));
        return out + n;
    }
    for (; i < n; i++) out[i] = base + values[i];
    return out + n;
}

static int32_t *runs(int32_t *out, const int32_t *limit, const int32_t *flips, size_t n, int32_t shift)
{
    const vec shifts = vec_set1(shift);
    for (size_t i = 0; i < n;) {
        if (RUN_LANES > 1 && n - i >= 2 * RUN_LANES && vec_put_single_runs(out, flips + i, shifts)) {
            out += RUN_LANES;
            i += 2 * RUN_LANES;
            continue;
        }
        const size_t stop = n - i < 2 * RUN_LANES ? n : i + 2 * RUN_LANES;
        for (; i < stop; i += 2) out = iota(out, limit, flips[i] + shift, (size_t)(flips[i + 1] - flips[i]));
    }
    return out;
}

/* Between two entries of the short list the long one is copied by whole vectors, of which only the smaller entries count. */
static size_t merge(int32_t *out, const int32_t *a, size_t num_a, const int32_t *b, size_t num_b)
{
    const int32_t *const start = out, *const end_a = a + num_a;
    for (size_t j = 0; j < num_b; j++) {
        const int32_t key = b[j];
        size_t smaller;
        do {
            const vec values = vec_load(a);
            smaller = vec_count_less(values, key);
            vec_store(out, values);
            a += smaller;
            out += smaller;
        } while (smaller == LANES);
        if (*a == key)
            a++;
        else
            *out++ = key;
    }
    const size_t rest = (size_t)(end_a - a);
    memcpy(out, a, rest * sizeof *out);
    return (size_t)(out - start) + rest;
}

/* 64 bits of a bitset whose last unit is at `end_unit`. */
static inline uint64_t load_word(const uint16_t *units, uint32_t unit, uint32_t end_unit)
{
    uint64_t word = 0;
    size_t n = end_unit - unit;
    memcpy(&word, units + unit, (n < 4 ? n : 4) * sizeof *units);
    return word;
}

static int32_t *bits(int32_t *out, const int32_t *limit, const uint16_t *units, uint32_t begin, uint32_t end, uint16_t invert,
                     int32_t base)
{
    const uint64_t flip = invert ? ~UINT64_C(0) : 0;
    const uint32_t end_unit = (end + 15) / 16;
    for (uint32_t at = begin & ~UINT32_C(15); at < end; at += 64) {
        uint64_t word = (end_unit - at / 16 >= 4 ? load_word(units, at / 16, at / 16 + 4) : load_word(units, at / 16, end_unit)) ^ flip;
        if (at < begin) word &= ~UINT64_C(0) << (begin - at);
        if (end - at < 64) word &= ~(~UINT64_C(0) << (end - at));
        out = limit - out >= 64 ? vec_put_bits(out, word, base + (int32_t)at) : put_bits_plain(out, word, base + (int32_t)at);
    }
    return out;
}

static size_t lower_bound(const uint16_t *values, size_t n, uint32_t key)
{
    if (key > UINT16_MAX) return n;
    const uint16_t *at = values;
    while (n > 4 * BELOW_LANES) {
        size_t half = n / 2;
        if (at[half] < key) at += half;
        n -= half;
    }
    size_t below = (size_t)(at - values);
    for (; n >= BELOW_LANES; at += BELOW_LANES, n -= BELOW_LANES) {
        size_t more = vec_count_below(at, (uint16_t)key);
        below += more;
        if (more < BELOW_LANES) return below;
    }
    for (size_t i = 0; i < n && at[i] < key; i++) below++;
    return below;
}

static size_t intersect(uint16_t *out, const uint16_t *a, size_t num_a, const uint16_t *b, size_t num_b)
{
    const uint16_t *const start = out, *const end_a = a + num_a, *const end_b = b + num_b;
#if VEC_INTERSECT
    while (end_a - a >= 8 && end_b - b >= 8) {
        const uint16_t last_a = a[7], last_b = b[7];
        out = vec_put_units(out, a, vec_any_equal(vec_load_units(a), 8, vec_load_units(b), 8));
        a += last_a <= last_b ? 8 : 0;
        b += last_b <= last_a ? 8 : 0;
    }
    while (a < end_a && b < end_b) {
        const int part_a = end_a - a < 8 ? (int)(end_a - a) : 8, part_b = end_b - b < 8 ? (int)(end_b - b) : 8;
        const uint16_t last_a = a[part_a - 1], last_b = b[part_b - 1];
        uint32_t both = vec_any_equal(vec_load_some_units(a, part_a), part_a, vec_load_some_units(b, part_b), part_b);
        for (; both; both &= both - 1) *out++ = a[__builtin_ctz(both)];
        a += last_a <= last_b ? part_a : 0;
        b += last_b <= last_a ? part_b : 0;
    }
#else
    while (a < end_a && b < end_b) {
        const uint16_t x = *a, y = *b;
        *out = x;
        out += x == y;
        a += x <= y;
        b += y <= x;
    }
#endif
    return (size_t)(out - start);
}

static int32_t *flips(int32_t *out, const int32_t *cols, size_t n)
{
    bool disorder = false;
    *out++ = cols[0];
    size_t i = 1;
    for (; n - i >= LANES; i += LANES) {
        const vec cur = vec_load(cols + i), prev = vec_load(cols + i - 1);
        const uint32_t breaks = vec_breaks(cur, prev);
        if (LANES > 1 && !breaks) continue;
        disorder |= vec_any_not_above(cur, prev);
        out = vec_put_breaks(out, cur, prev, breaks);
    }
    for (; i < n; i++) {
        const int32_t cur = cols[i], prev = cols[i - 1];
        disorder |= (uint32_t)cur <= (uint32_t)prev;
        out[0] = (int32_t)((uint32_t)prev + 1);
        out[1] = cur;
        out += out[0] != cur ? 2 : 0;
    }
    *out++ = (int32_t)((uint32_t)cols[n - 1] + 1);
    return disorder ? NULL : out;
}

static void combine(uint16_t *out, const uint16_t *a, const uint16_t *b, size_t num_units, unsigned function)
{
    const uint16_t t00 = function & 1 ? 0xffff : 0, t01 = function & 2 ? 0xffff : 0;
    const uint16_t t10 = function & 4 ? 0xffff : 0, t11 = function & 8 ? 0xffff : 0;
    for (size_t i = 0; i < num_units; i++) {
        const uint16_t x = a[i], y = b[i];
        out[i] = (uint16_t)((x & ((y & t11) | (~y & t10))) | (~x & ((y & t01) | (~y & t00))));
    }
}

static size_t popcount(const uint16_t *units, size_t num_units)
{
    size_t count = 0, i = 0;
    for (; num_units - i >= 4; i += 4) {
        uint64_t word;
        memcpy(&word, units + i, sizeof word);
        count += (size_t)__builtin_popcountll(word);
    }
    for (; i < num_units; i++) count += (size_t)__builtin_popcount(units[i]);
    return count;
}

static size_t positions(uint16_t *out, const uint16_t *units, size_t num_units)
{
    const uint16_t *const start = out;
    for (size_t i = 0; i < num_units; i += 4) {
        const uint64_t word = num_units - i >= 4 ? load_word(units, (uint32_t)i, (uint32_t)i + 4)
                                                 : load_word(units, (uint32_t)i, (uint32_t)num_units);
        out = vec_put_positions(out, word, (uint16_t)(i * 16));
    }
    return (size_t)(out - start);
}

static void spread(uint8_t *out, const uint64_t *words, size_t num_words)
{
    for (size_t i = 0; i < num_words; i++, out += 64) vec_spread(out, words[i]);
}

#ifdef __SSE4_2__
static inline uint64_t crc_of_word(uint64_t crc, const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return _mm_crc32_u64(crc, word);
}

/* Three thirds at once: the instruction's result takes three cycles to come, and one can begin in each. */
static uint32_t checksum_of_thirds(uint32_t before, const uint8_t *data, size_t third)
{
    uint64_t crcs[3] = {~before, UINT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < third; i += 8)
        for (size_t k = 0; k < 3; k++) crcs[k] = crc_of_word(crcs[k], data + k * third + i);
    const uint32_t two_thirds = rmask_checksum_join(~(uint32_t)crcs[0], ~(uint32_t)crcs[1], third);
    return rmask_checksum_join(two_thirds, ~(uint32_t)crcs[2], third);
}

static uint32_t checksum(uint32_t before, const void *data, size_t num_bytes)
{
    enum { MIN_THIRD = 8192 }; /* joining takes about a microsecond */
    const uint8_t *at = data;
    const size_t third = num_bytes / 24 * 8;
    if (third >= MIN_THIRD) {
        before = checksum_of_thirds(before, at, third);
        at += 3 * third;
        num_bytes -= 3 * third;
    }
    uint64_t crc = ~before;
    for (; num_bytes >= 8; at += 8, num_bytes -= 8) crc = crc_of_word(crc, at);
    for (; num_bytes > 0; at++, num_bytes--) crc = _mm_crc32_u8((uint32_t)crc, *at);
    return ~(uint32_t)crc;
}
#else
#define checksum rmask_checksum_plain
#endif

#define TIER_NAME(tier) TIER_NAME_(tier)
#define TIER_NAME_(tier) rmask_simd_##tier
#define TIER_STRING(tier) TIER_STRING_(tier)
#define TIER_STRING_(tier) #tier

const rmask_simd TIER_NAME(TIER) = {TIER_STRING(TIER), iota, widen, runs, merge, bits, lower_bound, intersect, flips, combine,
                                    popcount,          positions, spread,    checksum};
