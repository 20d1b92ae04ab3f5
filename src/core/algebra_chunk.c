/* SPDX-License-Identifier: Apache-2.0
 * Exceptions with exceptions, one chunk of one row at a time.
 *
 * Between two boundaries of either strip both structured memberships s1, s2 are constant, so the function of the full memberships is
 * a function of the exceptions alone: g(e1, e2) = f(s1 ^ e1, s2 ^ e2) ^ f(s1, s2) says where the result has an exception. g(0, 0) is
 * false, so stretches without exceptions are never looked at. */
#include "core/algebra.h"
#include "simd/simd.h"

#include <string.h>

unsigned rmask_exceptions_function(unsigned f, bool s1, bool s2)
{
    unsigned g = 0;
    for (unsigned e = 1; e < 4; e++)
        if (rmask_apply(f, s1 != (e >> 1), s2 != (e & 1)) != rmask_apply(f, s1, s2)) g |= 1u << e;
    return g;
}

/* A walk over one row's segments that can jump. */
typedef struct segment {
    rmask_flips *flips;
    int32_t end;
    bool inside;
} segment;

/* Makes the segment the one that column `col` is in, cut off at `limit`. */
static void move_to(segment *s, int32_t col, int32_t limit)
{
    if (col < s->end) return;
    int32_t begin;
    if (col > s->flips->at) rmask_flips_seek(s->flips, col);
    rmask_next_segment(s->flips, limit, &begin, &s->end, &s->inside);
}

/* ---------------------------------------------------------------- arrays */

static size_t copy_units(uint16_t *out, const uint16_t *from, size_t n)
{
    memcpy(out, from, n * sizeof *out);
    return n;
}

/* g of two ascending arrays, without a branch on the data. */
static size_t merge_arrays(uint16_t *out, unsigned g, const uint16_t *a, size_t num_a, const uint16_t *b, size_t num_b)
{
    size_t len = 0, i = 0, j = 0;
    while (i < num_a && j < num_b) {
        const uint16_t x = a[i], y = b[j];
        const bool take_a = x <= y, take_b = y <= x;
        out[len] = take_a ? x : y;
        len += g >> (2 * take_a + take_b) & 1;
        i += take_a;
        j += take_b;
    }
    if (g & 4) len += copy_units(out + len, a + i, num_a - i);
    if (g & 2) len += copy_units(out + len, b + j, num_b - j);
    return len;
}

size_t rmask_combine_arrays(uint16_t *out, unsigned g, const uint16_t *a, size_t num_a, const uint16_t *b, size_t num_b)
{
    if (g == 0) return 0;
    if (num_a == 0) return g & 2 ? copy_units(out, b, num_b) : 0;
    if (num_b == 0) return g & 4 ? copy_units(out, a, num_a) : 0;
    if (g == 8) return rmask_simd_get()->intersect(out, a, num_a, b, num_b);
    return merge_arrays(out, g, a, num_a, b, num_b);
}

static size_t combine_array_chunk(uint16_t *out, unsigned function, int32_t base, int32_t limit, rmask_flips *flips_a,
                                  const rmask_container *a, rmask_flips *flips_b, const rmask_container *b, int64_t *balance)
{
    const rmask_simd *simd = rmask_simd_get();
    const uint16_t *in_a = a->units, *in_b = b->units;
    size_t left_a = a->num_units, left_b = b->num_units, len = 0;
    segment segment_a = {flips_a, base, false}, segment_b = {flips_b, base, false};
    while (left_a || left_b) {
        const uint32_t first_a = left_a ? *in_a : UINT32_MAX, first_b = left_b ? *in_b : UINT32_MAX;
        const int32_t col = base + (int32_t)(first_a < first_b ? first_a : first_b);
        move_to(&segment_a, col, limit);
        move_to(&segment_b, col, limit);
        const int32_t end = segment_a.end < segment_b.end ? segment_a.end : segment_b.end;
        const size_t num_a = rmask_count_below(simd, in_a, left_a, end - base);
        const size_t num_b = rmask_count_below(simd, in_b, left_b, end - base);
        const unsigned g = rmask_exceptions_function(function, segment_a.inside, segment_b.inside);
        const size_t n = rmask_combine_arrays(out + len, g, in_a, num_a, in_b, num_b);
        *balance += rmask_apply(function, segment_a.inside, segment_b.inside) ? -(int64_t)n : (int64_t)n;
        len += n;
        in_a += num_a;
        in_b += num_b;
        left_a -= num_a;
        left_b -= num_b;
    }
    return len;
}

/* ---------------------------------------------------------------- bitsets */

const uint16_t *rmask_bits_of(uint16_t *space, const rmask_container *container, uint32_t num_units)
{
    if (container->is_bitset) return container->units;
    memset(space, 0, num_units * sizeof *space);
    for (uint32_t i = 0; i < container->num_units; i++) {
        const uint16_t offset = container->units[i];
        space[offset / 16] = (uint16_t)(space[offset / 16] | 1u << offset % 16);
    }
    return space;
}

void rmask_combine_bits(uint16_t *out, unsigned g, const uint16_t *a, const uint16_t *b, uint32_t begin, uint32_t end)
{
    const uint32_t first = begin / 16, last = (end + 15) / 16;
    const uint16_t kept = begin % 16 ? (uint16_t)(out[first] & (0xffffu >> (16 - begin % 16))) : 0;
    rmask_simd_get()->combine(out + first, a + first, b + first, last - first, g);
    if (begin % 16) out[first] = (uint16_t)((out[first] & (0xffffu << begin % 16)) | kept);
    if (end % 16) out[last - 1] = (uint16_t)(out[last - 1] & (0xffffu >> (16 - end % 16)));
}

static void combine_bitset_chunk(rmask_chunk_space *space, uint32_t num_units, unsigned function, int32_t base, int32_t limit,
                                 rmask_flips *flips_a, const rmask_container *a, rmask_flips *flips_b, const rmask_container *b,
                                 rmask_tally *tally)
{
    const uint16_t *bits_a = rmask_bits_of(space->bits_a, a, num_units), *bits_b = rmask_bits_of(space->bits_b, b, num_units);
    const rmask_container result = {0, num_units, true, space->units};
    segment segment_a = {flips_a, base, false}, segment_b = {flips_b, base, false};
    for (int32_t col = base; col < limit;) {
        move_to(&segment_a, col, limit);
        move_to(&segment_b, col, limit);
        const int32_t end = segment_a.end < segment_b.end ? segment_a.end : segment_b.end;
        const unsigned g = rmask_exceptions_function(function, segment_a.inside, segment_b.inside);
        rmask_combine_bits(space->units, g, bits_a, bits_b, (uint32_t)(col - base), (uint32_t)(end - base));
        const int64_t n = (int64_t)rmask_container_count_range(&result, (uint32_t)(col - base), (uint32_t)(end - base));
        tally->balance += rmask_apply(function, segment_a.inside, segment_b.inside) ? -n : n;
        tally->num_exceptions += (uint64_t)n;
        col = end;
    }
}

/* ---------------------------------------------------------------- either */

static void set_bits(uint16_t *units, uint32_t num_units, size_t len)
{
    uint16_t copy[RMASK_CHUNK_UNITS * 2 + 8];
    memcpy(copy, units, len * sizeof *units);
    memset(units, 0, num_units * sizeof *units);
    for (size_t i = 0; i < len; i++) units[copy[i] / 16] = (uint16_t)(units[copy[i] / 16] | 1u << copy[i] % 16);
}

rmask_container rmask_combine_chunk(rmask_chunk_space *space, unsigned function, int32_t cols, int32_t chunk, rmask_flips *flips_a,
                                    const rmask_container *a, rmask_flips *flips_b, const rmask_container *b, rmask_tally *tally)
{
    const int32_t base = chunk * RMASK_CHUNK_COLS, limit = base + rmask_chunk_width(cols, chunk);
    const uint32_t bitset_units = rmask_bitset_units(cols, chunk);
    rmask_container result = {chunk, 0, false, space->units};
    if (!a->is_bitset && !b->is_bitset) {
        const size_t len =
            combine_array_chunk(space->units, function, base, limit, flips_a, a, flips_b, b, &tally->balance);
        tally->num_exceptions += len;
        result.is_bitset = len >= bitset_units;
        if (result.is_bitset) set_bits(space->units, bitset_units, len);
        result.num_units = result.is_bitset ? bitset_units : (uint32_t)len;
        return result;
    }
    const uint64_t before = tally->num_exceptions;
    combine_bitset_chunk(space, bitset_units, function, base, limit, flips_a, a, flips_b, b, tally);
    result.is_bitset = tally->num_exceptions - before >= bitset_units;
    result.num_units = bitset_units;
    if (!result.is_bitset) {
        memcpy(space->bits_a, space->units, bitset_units * sizeof *space->units);
        result.num_units = (uint32_t)rmask_simd_get()->positions(space->units, space->bits_a, bitset_units);
    }
    return result;
}

bool rmask_next_chunk_pair(rmask_chunk_pairs *pairs, int32_t *chunk, rmask_container *a, rmask_container *b)
{
    if (!pairs->started)
        for (int i = 0; i < 2; i++) pairs->has[i] = rmask_next_container(&pairs->rows[i], &pairs->next[i]);
    pairs->started = true;
    if (!pairs->has[0] && !pairs->has[1]) return false;
    const int32_t chunks[2] = {pairs->has[0] ? pairs->next[0].chunk : INT32_MAX, pairs->has[1] ? pairs->next[1].chunk : INT32_MAX};
    *chunk = chunks[0] < chunks[1] ? chunks[0] : chunks[1];
    rmask_container *const found[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        *found[i] = (rmask_container){.chunk = *chunk};
        if (chunks[i] != *chunk) continue;
        *found[i] = pairs->next[i];
        pairs->has[i] = rmask_next_container(&pairs->rows[i], &pairs->next[i]);
    }
    return true;
}
