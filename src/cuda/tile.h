/* SPDX-License-Identifier: Apache-2.0
 * Tiles: which tiles of a fold have any cell, all cells, or some. As with cells there are 32 of them as bits, and how far nothing changes.
 *
 * A row of tiles is read band by band. In a band a column is in the strips in all rows, in none, or in some, which the boundaries tell without
 * going over the rows; only rows with exceptions are read one by one. A tile is left as soon as nothing can change about it any more. */
#ifndef ROARMASK_CUDA_TILE_H
#define ROARMASK_CUDA_TILE_H

#include "cuda/fold.h"

/* 32 tiles of one row of tiles, of the columns [begin, end). */
typedef struct cu_marks {
    uint32_t in, out; /* that have a cell, that lack one */
    uint32_t there;   /* that lie in the grid */
    int32_t begin, end;
    uint32_t tile_cols;
    rmask_cuda_tiles tiles; /* the wanted ones */
} cu_marks;

/* Moves *at on to the first tile of which something is still to be known; false where there is none. */
CU_FN bool cu_seek(const cu_marks *m, int32_t *at)
{
    const uint32_t known = m->tiles == RMASK_CUDA_ANY ? m->in : m->tiles == RMASK_CUDA_FULL ? m->out : m->in & m->out;
    const uint32_t open = m->there & ~known & 0xffffffffu << (uint32_t)(*at - m->begin) / m->tile_cols;
    if (!open) return false;
    const int32_t first = (int32_t)((uint32_t)m->begin + (uint32_t)cu_lowest(open) * m->tile_cols);
    if (first > *at) *at = first;
    return true;
}

/* The columns [begin, end), not none, have these members. */
CU_FN void cu_mark(cu_marks *m, int32_t begin, int32_t end, uint32_t members)
{
    const uint32_t first = (uint32_t)(begin - m->begin) / m->tile_cols, last = (uint32_t)(end - 1 - m->begin) / m->tile_cols;
    const uint32_t tiles = (0xffffffffu << first) & (0xffffffffu >> (31 - last));
    if (members & CU_OUT) m->out |= tiles;
    if (members & CU_IN) m->in |= tiles;
}

/* The columns [begin, end), 32 at most, have the bits of `word`. */
CU_FN void cu_mark_word(cu_marks *m, int32_t begin, int32_t end, uint32_t word)
{
    for (int32_t at = begin; at < end;) {
        const int64_t next = m->begin + ((int64_t)((uint32_t)(at - m->begin) / m->tile_cols) + 1) * m->tile_cols;
        const int32_t to = next < end ? (int32_t)next : end;
        const uint32_t bits = (0xffffffffu << (at - begin)) & (0xffffffffu >> (32 - (to - begin)));
        if (word & bits) cu_mark(m, at, to, CU_IN);
        if (~word & bits) cu_mark(m, at, to, CU_OUT);
        at = to;
    }
}

/* Marks what a band has; false where its rows must be taken one by one. */
CU_FN bool cu_mark_rows(cu_marks *m, cu_rows rows)
{
    for (int32_t at = m->begin; at < m->end && cu_seek(m, &at);) {
        const cu_stretch s = cu_fold_stretch(rows, at, m->end);
        if (s.end == at) { /* exceptions, of one row */
            const int32_t to = m->end - at < 32 ? m->end : at + 32;
            cu_mark_word(m, at, to, cu_fold_word(rows, at, m->end));
            at = to;
            continue;
        }
        if (s.members == CU_UNKNOWN) return false;
        for (uint32_t i = 0; i < s.num_values; i++) {
            const int32_t value = s.base + s.values[i];
            if (value > at) cu_mark(m, at, value, s.members);
            cu_mark(m, value, value + 1, s.members ^ CU_MIXED);
            at = value + 1;
        }
        if (s.end > at) cu_mark(m, at, s.end, s.members);
        at = s.end;
    }
    return true;
}

/* The rows of cells of a row of tiles. */
CU_FN int32_t cu_tile_row_begin(const cu_fold *what, int32_t tile_row) { return tile_row * what->tile_rows; }

CU_FN int32_t cu_tile_row_end(const cu_fold *what, int32_t tile_row)
{
    const int32_t begin = tile_row * what->tile_rows, rows = what->masks[0].rows;
    return rows - begin < what->tile_rows ? rows : begin + what->tile_rows;
}

/* The column of cells where a tile begins; that of a tile beyond the grid is its end. */
CU_FN int32_t cu_tile_begin(const cu_fold *what, int64_t tile_col)
{
    const int64_t col = tile_col * what->tile_cols, cols = what->masks[0].cols;
    return (int32_t)(col < cols ? col : cols);
}

/* The tiles [tile_col, tile_col + 32) of a row of tiles, those from `end` on being 0. end <= what->cols. */
CU_FN uint32_t cu_tile_word(const cu_fold *what, int num, int32_t tile_row, int64_t tile_col, int64_t end)
{
    if (tile_col >= end) return 0;
    cu_marks m;
    m.in = m.out = 0;
    m.there = end - tile_col < 32 ? ~(0xffffffffu << (end - tile_col)) : 0xffffffffu;
    m.begin = cu_tile_begin(what, tile_col);
    m.end = cu_tile_begin(what, end - tile_col < 32 ? end : tile_col + 32);
    m.tile_cols = (uint32_t)what->tile_cols;
    m.tiles = what->tiles;
    const int32_t row_end = cu_tile_row_end(what, tile_row);
    int32_t at = m.begin, one_by_one = 0; /* the rows above it are */
    for (int32_t row = cu_tile_row_begin(what, tile_row); row < row_end && cu_seek(&m, &at); at = m.begin) {
        cu_row band[RMASK_CUDA_MAX_FOLD];
        int32_t next = row < one_by_one ? row + 1 : row_end;
        const cu_rows rows = cu_fold_band(what, num, row, &next, band);
        if (cu_mark_rows(&m, rows))
            row = next;
        else
            one_by_one = next;
    }
    return what->tiles == RMASK_CUDA_ANY ? m.in : what->tiles == RMASK_CUDA_FULL ? m.in & ~m.out : m.in & m.out;
}

/* The tiles from `at` on that are all wanted or all not, to `limit` at most; its end is `at` where they are fewer than `least`. */
CU_FN cu_stretch cu_tile_stretch(const cu_fold *what, int num, int32_t tile_row, int32_t at, int32_t limit, int32_t least)
{
    const int32_t begin = cu_tile_begin(what, at), end = cu_tile_begin(what, limit), row_end = cu_tile_row_end(what, tile_row);
    cu_stretch s;
    s.end = at;
    s.members = CU_OUT;
    s.values = NULL;
    s.num_values = 0;
    s.base = 0;
    uint32_t members = 0;
    int32_t to = end;
    for (int32_t row = cu_tile_row_begin(what, tile_row), next; row < row_end; row = next) {
        cu_row band[RMASK_CUDA_MAX_FOLD];
        next = row_end;
        const cu_rows rows = cu_fold_band(what, num, row, &next, band);
        cu_stretch t = cu_fold_stretch(rows, begin, to);
        cu_cut(&t);
        to = t.end;
        members |= t.members == CU_UNKNOWN ? (uint32_t)CU_MIXED : t.members;
        if (members == CU_MIXED || (to < end && (to - begin) / what->tile_cols < least)) return s;
    }
    s.end = to < end ? at + (to - begin) / what->tile_cols : limit;
    if (members == CU_IN && what->tiles != RMASK_CUDA_PARTIAL) s.members = CU_IN;
    return s;
}

#endif
