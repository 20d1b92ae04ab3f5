/* SPDX-License-Identifier: Apache-2.0
 * One row of a mask on the device: its strip's boundaries, its exceptions, any 32 of its columns as bits, and how far nothing changes. And bands:
 * rows of one strip without exceptions, of which a stretch of columns can be told at once. */
#ifndef ROARMASK_CUDA_ROW_H
#define ROARMASK_CUDA_ROW_H

#include "core/search.h"
#include "cuda/portable.h"
#include "roarmask/cuda.h"

enum { CU_CHUNK_COLS = 65536 };

/* A row, or a band: the rows from `row` to `last_row`. */
typedef struct cu_row {
    int32_t row, last_row, cols;
    const int32_t *fixed, *sliding;
    uint32_t num_fixed, num_sliding;
    const uint16_t *units; /* the exceptions: docs/format.md */
    uint32_t num_units;    /* 0: there are none */
    int32_t container_cols;
} cu_row;

/* Index of the first of n ascending offsets that is not below `key`. */
CU_FN uint32_t cu_lower_bound(const uint16_t *values, uint32_t n, int32_t key)
{
    uint32_t begin = 0;
    while (n > 0) {
        const uint32_t half = n / 2;
        if (values[begin + half] < key) {
            begin += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return begin;
}

/* The band of the rows from `row` on, to *end at most, which is lowered to where it ends: at the next strip, and before the next row with
 * exceptions. A row with exceptions is one by itself. The row is in range. */
CU_FN cu_row cu_band_from(const rmask_cuda_mask *mask, int32_t row, int32_t *end)
{
    const rmask_strip *const strips = (const rmask_strip *)mask->strips;
    const rmask_strip *const strip = rmask_find_strip(strips, mask->num_strips, (uint32_t)row);
    if (strip + 1 < strips + mask->num_strips && strip[1].row_begin < (uint32_t)*end) *end = (int32_t)strip[1].row_begin;
    cu_row r;
    r.row = row;
    r.cols = mask->cols;
    r.fixed = mask->fixed + strip->fixed_begin;
    r.num_fixed = strip->num_fixed;
    r.sliding = mask->sliding + strip->sliding_begin;
    r.num_sliding = strip->num_sliding;
    r.container_cols = mask->container_cols;
    r.units = mask->containers;
    r.num_units = 0;
    const uint32_t n = mask->num_directory_rows;
    for (uint32_t i = rmask_find_entry(mask->directory_rows, n, mask->first_directory_row, (uint32_t)row); i < n; i++) {
        const uint32_t at = mask->directory_rows ? mask->directory_rows[i] : mask->first_directory_row + i, begin = mask->directory_offsets[i];
        if (at >= (uint32_t)*end) break;
        const uint32_t num_units = mask->directory_offsets[i + 1] - begin;
        if (num_units == 0) continue;
        if (at == (uint32_t)row) {
            r.units += begin;
            r.num_units = num_units;
            *end = row + 1;
        } else {
            *end = (int32_t)at;
        }
        break;
    }
    r.last_row = *end - 1;
    return r;
}

/* The row is in range. */
CU_FN cu_row cu_row_of(const rmask_cuda_mask *mask, int32_t row)
{
    int32_t end = row + 1;
    cu_row r = cu_band_from(mask, row, &end);
    r.last_row = row; /* known without looking */
    return r;
}

/* ---------------------------------------------------------------- containers */

typedef struct cu_container {
    int32_t chunk;
    uint32_t num_units;
    bool is_bitset;
    const uint16_t *units;
} cu_container;

CU_FN bool cu_is_bitset(const cu_row *r, int32_t chunk, uint32_t num_units)
{
    const int64_t rest = r->container_cols - (int64_t)chunk * CU_CHUNK_COLS, full = CU_CHUNK_COLS;
    return num_units == (uint32_t)((rest < full ? rest : full) + 15) / 16;
}

/* The row's first container at or after a chunk; false where there is none. */
CU_FN bool cu_container_from(const cu_row *r, int32_t chunk, cu_container *c)
{
    if (r->num_units == 0) return false;
    if (r->container_cols <= CU_CHUNK_COLS) {
        c->chunk = 0;
        c->units = r->units;
        c->num_units = r->num_units;
        c->is_bitset = cu_is_bitset(r, 0, c->num_units);
        return chunk <= 0;
    }
    const uint32_t n = r->units[0];
    const uint16_t *head = r->units + 1, *units = head + 2 * (uint64_t)n;
    for (uint32_t i = 0; i < n; i++, head += 2) {
        if (head[0] >= chunk) {
            c->chunk = head[0];
            c->units = units;
            c->num_units = head[1];
            c->is_bitset = cu_is_bitset(r, c->chunk, c->num_units);
            return true;
        }
        units += head[1];
    }
    return false;
}

/* ---------------------------------------------------------------- 32 columns */

/* Bit i: an odd number of boundaries at or left of position + i. */
CU_FN uint32_t cu_list_word(const int32_t *list, uint32_t n, int64_t position)
{
    uint32_t i = rmask_upper_bound(list, n, position), word = i % 2 ? 0xffffffffu : 0;
    for (; i < n && list[i] < position + 32; i++) word ^= 0xffffffffu << (list[i] - position);
    return word;
}

/* Bit i: the container has offset + i, 0 <= offset < 65536. */
CU_FN uint32_t cu_container_word(const cu_container *c, int32_t offset)
{
    uint32_t word = 0;
    if (c->is_bitset) {
        const uint32_t first = (uint32_t)offset / 16, shift = (uint32_t)offset % 16;
        uint64_t wide = 0;
        for (uint32_t i = 0; i < 3; i++)
            if (first + i < c->num_units) wide |= (uint64_t)c->units[first + i] << 16 * i;
        return (uint32_t)(wide >> shift);
    }
    for (uint32_t i = cu_lower_bound(c->units, c->num_units, offset); i < c->num_units && c->units[i] < offset + 32; i++)
        word |= 1u << (c->units[i] - offset);
    return word;
}

/* Bit i: the row has column `col` + i. 0 <= col; what lies beyond the grid is 0. */
CU_FN uint32_t cu_row_word(const cu_row *r, int64_t col)
{
    if (col >= r->cols) return 0;
    uint32_t word = cu_list_word(r->fixed, r->num_fixed, col) ^ cu_list_word(r->sliding, r->num_sliding, col - r->row);
    const int32_t chunk = (int32_t)(col / CU_CHUNK_COLS), offset = (int32_t)(col % CU_CHUNK_COLS);
    cu_container c;
    if (cu_container_from(r, chunk, &c)) {
        if (c.chunk == chunk) word ^= cu_container_word(&c, offset);
        if (offset > CU_CHUNK_COLS - 32 && cu_container_from(r, chunk + 1, &c) && c.chunk == chunk + 1)
            word ^= cu_container_word(&c, 0) << (CU_CHUNK_COLS - offset);
    }
    const int64_t rest = r->cols - col;
    return rest < 32 ? word & ~(0xffffffffu << rest) : word;
}

/* ---------------------------------------------------------------- stretches */

/* What some cells are: a set of the two memberships, or nothing that is known. */
typedef enum cu_members { CU_UNKNOWN = 0, CU_OUT = 1, CU_IN = 2, CU_MIXED = 3 } cu_members;

/* Columns from `at` on of which the strip has all, none, or, of a band, each in some rows and not in others; and the row's exceptions. */
typedef struct cu_stretch {
    int32_t end;
    uint32_t members;       /* CU_MIXED is of a band only */
    const uint16_t *values; /* the exceptions are base + values[0 .. num_values) */
    uint32_t num_values;
    int32_t base;
} cu_stretch;

/* The longest one that ends at `limit` at most; its end is `at` where a bitset has the exceptions. at < limit <= cols.
 *
 * A sliding boundary comes past a column in one row: where different rows of a band have different numbers of them to the left, one row and the
 * next differ. */
CU_FN cu_stretch cu_stretch_at(const cu_row *r, int32_t at, int32_t limit)
{
    cu_stretch s;
    int64_t end = limit;
    const uint32_t i = rmask_upper_bound(r->fixed, r->num_fixed, at);
    if (i < r->num_fixed && r->fixed[i] < end) end = r->fixed[i];
    const uint32_t k = rmask_upper_bound(r->sliding, r->num_sliding, (int64_t)at - r->row);
    if (k < r->num_sliding && (int64_t)r->sliding[k] + r->row < end) end = (int64_t)r->sliding[k] + r->row;
    s.members = (i + k) % 2 ? CU_IN : CU_OUT;
    if (r->last_row > r->row && k > 0 && (int64_t)r->sliding[k - 1] + r->last_row > at) {
        s.members = CU_MIXED;
        end = at + (int64_t)1;
    }
    s.values = NULL;
    s.num_values = 0;
    s.base = 0;
    cu_container c;
    if (cu_container_from(r, at / CU_CHUNK_COLS, &c)) {
        const int64_t base = (int64_t)c.chunk * CU_CHUNK_COLS;
        if (base > at) {
            if (base < end) end = base;
        } else if (c.is_bitset) {
            end = at;
        } else {
            if (base + CU_CHUNK_COLS < end) end = base + CU_CHUNK_COLS;
            const uint32_t first = cu_lower_bound(c.units, c.num_units, (int32_t)(at - base));
            s.base = (int32_t)base;
            s.values = c.units + first;
            s.num_values = cu_lower_bound(s.values, c.num_units - first, (int32_t)(end - base));
        }
    }
    s.end = (int32_t)end;
    return s;
}

#endif
