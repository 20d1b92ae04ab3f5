/* SPDX-License-Identifier: Apache-2.0
 * The walk over a row that serves counting, listing and ranges: segments of the strip from left to right, and in each segment the
 * exceptions, which are extra cells outside of it and holes inside. All of it is inlined into its few users. */
#ifndef ROARMASK_CORE_ROW_WALK_H
#define ROARMASK_CORE_ROW_WALK_H

#include "core/exception.h"
#include "simd/simd.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* What a walk is for. `mode` is a constant wherever it is used, so each mode is its own code. */
typedef enum walk_mode { COUNT, COLUMNS, RANGES } walk_mode;

/* Where a walk over a row puts the columns it finds. */
typedef struct row_sink {
    const rmask_simd *simd;
    size_t count;         /* cells, or ranges */
    int32_t *out, *limit; /* the rest of the caller's buffer */
    int32_t last_end;     /* end of the last range */
    bool overflow;        /* the buffer was too small; counting goes on */
} row_sink;

/* For columns; with `cols` NULL it only counts, and overflows at once. */
static inline row_sink sink_to(int32_t *cols, size_t capacity)
{
    return (row_sink){.simd = rmask_simd_get(), .out = cols, .limit = cols ? cols + capacity : NULL};
}

ALWAYS_INLINE bool has_room(row_sink *s, size_t n)
{
    if ((size_t)(s->limit - s->out) >= n) return true;
    s->overflow = true;
    s->limit = s->out;
    return false;
}

ALWAYS_INLINE void put_range(row_sink *s, walk_mode mode, int32_t begin, int32_t end)
{
    if (begin >= end) return;
    if (mode == RANGES) {
        const bool joins = s->count > 0 && s->last_end == begin;
        s->last_end = end;
        if (!joins) s->count++;
        if (s->overflow) return;
        if (joins) {
            s->out[-1] = end;
        } else if (has_room(s, 2)) {
            *s->out++ = begin;
            *s->out++ = end;
        }
        return;
    }
    const size_t n = (size_t)(end - begin);
    s->count += n;
    if (mode == COLUMNS && has_room(s, n)) s->out = s->simd->iota(s->out, s->limit, begin, n);
}

/* One segment in which an array has the exceptions values[0 .. n). */
ALWAYS_INLINE void put_array(row_sink *s, walk_mode mode, int32_t begin, int32_t end, bool inside, const uint16_t *values, size_t n,
                             int32_t base)
{
    if (!inside && mode != RANGES) {
        s->count += n;
        if (mode != COLUMNS || n == 0 || !has_room(s, n)) return;
        if (n == 1)
            *s->out++ = base + values[0];
        else
            s->out = s->simd->widen(s->out, s->limit, values, n, base);
        return;
    }
    if (inside && mode == COUNT) {
        s->count += (size_t)(end - begin) - n;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const int32_t col = base + values[i];
        if (inside)
            put_range(s, mode, begin, col);
        else
            put_range(s, mode, col, col + 1);
        begin = col + 1;
    }
    if (inside) put_range(s, mode, begin, end);
}

/* One segment in which a bitset has the exceptions. */
ALWAYS_INLINE void put_bitset(row_sink *s, walk_mode mode, int32_t begin, int32_t end, bool inside, const rmask_container *bitset,
                              int32_t base)
{
    const uint32_t lo = (uint32_t)(begin - base), hi = (uint32_t)(end - base);
    if (mode == RANGES) {
        for (uint32_t first = lo / 16 * 16; first < hi; first += 16) {
            uint32_t members = bitset->units[first / 16] ^ (inside ? 0xffffu : 0);
            if (first < lo) members &= ~UINT32_C(0) << (lo - first);
            if (hi - first < 16) members &= ~(~UINT32_C(0) << (hi - first));
            while (members) {
                const int run_begin = __builtin_ctz(members), run_end = run_begin + __builtin_ctz(~(members >> run_begin));
                put_range(s, mode, base + (int32_t)first + run_begin, base + (int32_t)first + run_end);
                members &= ~UINT32_C(0) << run_end;
            }
        }
        return;
    }
    const size_t exceptions = rmask_container_count_range(bitset, lo, hi), n = inside ? hi - lo - exceptions : exceptions;
    s->count += n;
    if (mode == COLUMNS && has_room(s, n)) s->out = s->simd->bits(s->out, s->limit, bitset->units, lo, hi, inside ? 0xffff : 0, base);
}

/* Cells of a row that is there as bits, 0 behind the last column. */
ALWAYS_INLINE size_t count_words(const row_sink *s, const uint64_t *words, int32_t cols)
{
    return s->simd->popcount((const uint16_t *)(const void *)words, ((size_t)cols + 63) / 64 * 4);
}

/* Its columns. Only where the buffer may be too small are they counted first. */
ALWAYS_INLINE void put_words(row_sink *s, const uint64_t *words, int32_t cols)
{
    int32_t *const begin = s->out;
    if ((size_t)(s->limit - begin) < (size_t)cols) {
        const size_t n = count_words(s, words, cols);
        if (!has_room(s, n)) {
            s->count += n;
            return;
        }
    }
    s->out = s->simd->bits(begin, s->limit, (const uint16_t *)(const void *)words, 0, (uint32_t)cols, 0, 0);
    s->count += (size_t)(s->out - begin);
}

/* The segments up to column `limit`, without exceptions. */
ALWAYS_INLINE void put_plain(row_sink *s, walk_mode mode, rmask_flips *flips, int32_t limit)
{
    int32_t begin, end;
    bool inside;
    while (rmask_next_segment(flips, limit, &begin, &end, &inside))
        if (inside) put_range(s, mode, begin, end);
}

/* The segments of one chunk with its exceptions. */
ALWAYS_INLINE void put_chunk(row_sink *s, walk_mode mode, rmask_flips *flips, int32_t base, int32_t limit, const rmask_container *container)
{
    int32_t begin, end;
    bool inside;
    const uint16_t *values = container->units;
    size_t left = container->num_units;
    while (rmask_next_segment(flips, limit, &begin, &end, &inside)) {
        if (container->is_bitset) {
            put_bitset(s, mode, begin, end, inside, container, base);
        } else {
            const size_t n = rmask_count_below(s->simd, values, left, end - base);
            put_array(s, mode, begin, end, inside, values, n, base);
            values += n;
            left -= n;
        }
    }
}

ALWAYS_INLINE void walk_row(row_sink *s, walk_mode mode, int32_t cols, rmask_flips flips, rmask_row_containers containers)
{
    for (rmask_container container; rmask_next_container(&containers, &container);) {
        const int32_t base = container.chunk * RMASK_CHUNK_COLS;
        put_plain(s, mode, &flips, base);
        put_chunk(s, mode, &flips, base, base + rmask_chunk_width(cols, container.chunk), &container);
    }
    put_plain(s, mode, &flips, cols);
}

#endif
